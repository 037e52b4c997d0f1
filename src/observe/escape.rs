//! What a client says, made harmless for a log: no forged lines, no forged fields, no terminal escapes, and no more than its share.

/// What is written in place of the rest of a field that exceeds its share.
pub(super) const CUT: &[u8] = b"...";

/// Which octets stand for themselves in a line that people and old tools read. All others become `\xNN`, as nginx writes them.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    /// Between spaces: a space would start another field.
    Bare,
    /// Between double quotes.
    Quoted,
}

/// Appends `field` with at most `room` octets of it as written, then [`CUT`] if that was too little.
pub(super) fn plain(out: &mut Vec<u8>, field: &[u8], place: Place, room: usize) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let stands = |byte: u8| match place {
        Place::Bare => byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\'),
        Place::Quoted => matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\'),
    };
    let mut rest = field;
    let mut room = room;
    loop {
        let run = rest
            .iter()
            .position(|&byte| !stands(byte))
            .unwrap_or(rest.len());
        if run > room {
            out.extend_from_slice(&rest[..room]);
            out.extend_from_slice(CUT);
            return;
        }
        out.extend_from_slice(&rest[..run]);
        room -= run;
        let Some((&byte, behind)) = rest[run..].split_first() else {
            return;
        };
        let escaped = [
            b'\\',
            b'x',
            HEX[usize::from(byte >> 4)],
            HEX[usize::from(byte & 15)],
        ];
        if escaped.len() > room {
            out.extend_from_slice(CUT);
            return;
        }
        out.extend_from_slice(&escaped);
        room -= escaped.len();
        rest = behind;
    }
}

/// Appends the inside of a JSON string with at most `room` octets of `field` as written, then [`CUT`] if that was too little.
/// What is not UTF-8 becomes U+FFFD.
pub(super) fn json(out: &mut Vec<u8>, field: &[u8], room: usize) {
    let mut room = room;
    for chunk in field.utf8_chunks() {
        if !json_text(out, chunk.valid(), &mut room) {
            return;
        }
        if !chunk.invalid().is_empty() && !json_text(out, "\u{fffd}", &mut room) {
            return;
        }
    }
}

/// Whether all of `text` found room.
fn json_text(out: &mut Vec<u8>, text: &str, room: &mut usize) -> bool {
    let stands = |byte: u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
    let mut rest = text;
    loop {
        let run = rest
            .bytes()
            .position(|byte| !stands(byte))
            .unwrap_or(rest.len());
        let (plain, behind) = rest.split_at(run);
        if run > *room {
            out.extend_from_slice(&plain.as_bytes()[..*room]);
            out.extend_from_slice(CUT);
            return false;
        }
        out.extend_from_slice(plain.as_bytes());
        *room -= run;
        let Some(character) = behind.chars().next() else {
            return true;
        };
        let mut space = [0; ESCAPED_BYTES_MAX];
        let written = json_character(&mut space, character);
        if written.len() > *room {
            out.extend_from_slice(CUT);
            return false;
        }
        out.extend_from_slice(written);
        *room -= written.len();
        rest = &behind[character.len_utf8()..];
    }
}

const ESCAPED_BYTES_MAX: usize = 6;

/// Controls, and the two separators that end a line in JavaScript, are escaped although JSON would let most of them be:
/// a terminal obeys the C1 controls.
fn json_character(space: &mut [u8; ESCAPED_BYTES_MAX], character: char) -> &[u8] {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let code = u32::from(character);
    match character {
        '"' => b"\\\"",
        '\\' => b"\\\\",
        '\n' => b"\\n",
        '\r' => b"\\r",
        '\t' => b"\\t",
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' => {
            *space = [12u32, 8, 4, 0].iter().zip(2..).fold(
                [b'\\', b'u', 0, 0, 0, 0],
                |mut escaped, (shift, place)| {
                    escaped[place] = HEX[(code >> shift & 15) as usize];
                    escaped
                },
            );
            space
        }
        _ => character.encode_utf8(space).as_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ROOM: usize = 64;

    fn as_plain(field: &[u8], place: Place) -> String {
        let mut out = Vec::new();
        plain(&mut out, field, place, ROOM);
        String::from_utf8(out).unwrap()
    }

    fn as_json(field: &[u8]) -> String {
        let mut out = vec![b'"'];
        json(&mut out, field, ROOM);
        out.push(b'"');
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn lines_and_terminal_escapes_become_hex() {
        let hostile = b"a\r\nb\x1b[2J\"\\ \x9b\xff";
        assert_eq!(
            as_plain(hostile, Place::Quoted),
            r"a\x0D\x0Ab\x1B[2J\x22\x5C \x9B\xFF"
        );
        assert_eq!(
            as_plain(hostile, Place::Bare),
            r"a\x0D\x0Ab\x1B[2J\x22\x5C\x20\x9B\xFF"
        );
    }

    #[test]
    fn json_keeps_text_and_escapes_what_a_terminal_obeys() {
        assert_eq!(
            as_json("ä\n\u{1b}\u{9b}\u{2028}\"".as_bytes()),
            "\"ä\\n\\u001b\\u009b\\u2028\\\"\""
        );
        assert_eq!(as_json(b"a\xffb"), "\"a\u{fffd}b\"");
    }

    #[test]
    fn a_field_ends_at_its_share() {
        let long = vec![b'a'; ROOM + 1];
        let expected = format!("{}...", "a".repeat(ROOM));
        assert_eq!(as_plain(&long, Place::Quoted), expected);
        assert_eq!(as_json(&long), format!("\"{expected}\""));
        assert_eq!(as_plain(&long[..ROOM], Place::Bare), "a".repeat(ROOM));
        let many = [b'\n'; ROOM];
        assert_eq!(
            as_plain(&many, Place::Bare),
            r"\x0A".repeat(ROOM / 4) + "..."
        );
    }

    proptest! {
        #[test]
        fn plain_is_one_printable_field_of_bounded_length(field: Vec<u8>) {
            let bare = as_plain(&field, Place::Bare);
            prop_assert!(bare.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"'));
            let quoted = as_plain(&field, Place::Quoted);
            prop_assert!(quoted.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'"'));
            prop_assert!(bare.len().max(quoted.len()) <= ROOM + CUT.len());
        }

        #[test]
        fn json_parses_to_what_was_said(field in proptest::collection::vec(any::<u8>(), 0..10)) {
            let parsed: String = serde_json::from_str(&as_json(&field)).unwrap();
            prop_assert_eq!(parsed, String::from_utf8_lossy(&field));
        }

        #[test]
        fn json_parses_and_is_bounded_whatever_comes(field: Vec<u8>) {
            let written = as_json(&field);
            prop_assert!(serde_json::from_str::<String>(&written).is_ok());
            prop_assert!(!written.chars().any(char::is_control));
            prop_assert!(written.len() <= ROOM + CUT.len() + 2);
        }
    }
}

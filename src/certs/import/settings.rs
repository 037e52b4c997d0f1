//! Settings that tools keep as text: assignments of a shell, and sections of an INI file. Nothing is run or expanded.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

/// Reads `NAME='value'` a line, as acme.sh and dehydrated write them; of a name that is set twice the last counts.
#[must_use]
pub(super) fn of_shell(text: &[u8]) -> BTreeMap<String, String> {
    let text = String::from_utf8_lossy(text);
    let mut found = BTreeMap::new();
    for line in text.lines() {
        let line = line.trim();
        let line = line.strip_prefix("export ").unwrap_or(line);
        let Some((name, value)) = line.split_once('=') else {
            continue;
        };
        if is_name(name) {
            found.insert(name.to_owned(), decoded(unquoted(value)));
        }
    }
    found
}

/// Reads `name = value` lines; one in a section is called `section.name`.
#[must_use]
pub(super) fn of_ini(text: &[u8]) -> BTreeMap<String, String> {
    let text = String::from_utf8_lossy(text);
    let mut found = BTreeMap::new();
    let mut section = String::new();
    for line in text.lines() {
        let line = line.trim();
        if line.starts_with('#') || line.starts_with(';') {
            continue;
        }
        if line.starts_with('[') {
            section = line.trim_matches(['[', ']']).trim().to_owned();
        } else if let Some((name, value)) = line.split_once('=') {
            let name = match section.as_str() {
                "" => name.trim().to_owned(),
                section => format!("{section}.{}", name.trim()),
            };
            let value = value.trim();
            let plain = ['"', '\'']
                .into_iter()
                .find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote));
            found.insert(name, plain.unwrap_or(value).to_owned());
        }
    }
    found
}

fn is_name(text: &str) -> bool {
    let mut letters = text.chars();
    let begins = |letter: char| letter.is_ascii_alphabetic() || letter == '_';
    letters.next().is_some_and(begins)
        && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}

/// What a shell makes of a word, up to the end of the word.
fn unquoted(text: &str) -> String {
    let mut plain = String::new();
    let mut quote = None;
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (Some(open), letter) if letter == open => quote = None,
            (Some('"') | None, '\\') => plain.extend(letters.next()),
            (None, '\'' | '"') => quote = Some(letter),
            (None, letter) if letter.is_whitespace() || letter == ';' => break,
            (Some(_) | None, letter) => plain.push(letter),
        }
    }
    plain
}

/// acme.sh wraps values that hold quotes.
fn decoded(value: String) -> String {
    let wrapped = value
        .strip_prefix("__ACME_BASE64__START_")
        .and_then(|rest| rest.strip_suffix("__ACME_BASE64__END_"));
    let plain = wrapped
        .and_then(|wrapped| BASE64_STANDARD.decode(wrapped).ok())
        .and_then(|plain| String::from_utf8(plain).ok());
    plain.unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(line: &str, expected: &str) {
        let found = of_shell(line.as_bytes());
        assert_eq!(found.get("A").map(String::as_str), Some(expected), "{line}");
    }

    #[test]
    fn words_of_a_shell_are_unquoted() {
        check("A='b c'", "b c");
        check("A=\"b \\\"c\\\"\" # more", "b \"c\"");
        check("A=b;rm", "b");
        check("export A='it'\\''s'", "it's");
        check("A='open", "open");
        check("A='__ACME_BASE64__START_YSdi__ACME_BASE64__END_'", "a'b");
        check("A='$(id)'", "$(id)");
        assert!(of_shell(b"no\n=x\n9A=1\nA B=2").is_empty());
    }

    #[test]
    fn settings_of_sections_carry_their_section() {
        let found = of_ini(b"# c\nversion = 2.1\n[renewalparams]\nserver = https://ca.test/dir\nx = \"a, b\"\n[[map]]\ny = z");
        assert_eq!(found["version"], "2.1");
        assert_eq!(found["renewalparams.server"], "https://ca.test/dir");
        assert_eq!(found["renewalparams.x"], "a, b");
        assert_eq!(found["map.y"], "z");
    }

    proptest! {
        #[test]
        fn any_text_is_read(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "[A-C=\\\\'\"; \n\\[\\]]{0,60}") {
            for text in [&bytes[..], text.as_bytes()] {
                let _ = (of_shell(text), of_ini(text));
            }
        }
    }
}

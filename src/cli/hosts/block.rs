//! Our lines in a hosts file, between two marks: text in, text out, and not an octet besides them changed.

use std::error::Error;
use std::fmt;
use std::ops::Range;

use crate::hostname::HostName;

const BEGIN: &[u8] = b"# onedoor begin";
const END: &[u8] = b"# onedoor end";
const ABOUT: &str = ": `onedoor hosts sync` writes this block, `onedoor hosts clean` removes it";
/// Said when the file did not end with a line end, so that one had to be put before the block.
const JOINED: &[u8] = b", and the line end before it";
const ADDRESSES: [&str; 2] = ["127.0.0.1", "::1"];

/// Marks that do not fit together; lines are counted from one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Damage {
    NoEnd { line: usize },
    NoBegin { line: usize },
    SecondBegin { line: usize },
    SecondBlock { line: usize },
}

/// The file with a block for these names, where the block was, else at the end; without names it has none.
///
/// # Errors
/// When the marks in the file are damaged.
pub(in crate::cli) fn synced(text: &[u8], names: &[HostName]) -> Result<Vec<u8>, Damage> {
    if names.is_empty() {
        return cleaned(text);
    }
    let eol = line_end(text);
    let Some(old) = find(text)? else {
        let joined = !text.is_empty() && !text.ends_with(b"\n");
        let before = if joined { eol } else { "" };
        return Ok([text, before.as_bytes(), &block(names, eol, joined)].concat());
    };
    let joined = is_joined(&text[old.clone()]);
    let fresh = block(names, eol, joined);
    Ok([&text[..old.start], &fresh, &text[old.end..]].concat())
}

/// The file as it was before it had a block.
///
/// # Errors
/// When the marks in the file are damaged.
pub(in crate::cli) fn cleaned(text: &[u8]) -> Result<Vec<u8>, Damage> {
    let Some(old) = find(text)? else {
        return Ok(text.to_vec());
    };
    let mut before = &text[..old.start];
    let after = &text[old.end..];
    // Whoever wrote behind the block since needs the line end.
    if is_joined(&text[old]) && after.is_empty() {
        before = before.strip_suffix(b"\n").unwrap_or(before);
        before = before.strip_suffix(b"\r").unwrap_or(before);
    }
    Ok([before, after].concat())
}

/// The first address that the file has for a name, and the line it stands in.
#[must_use]
pub(in crate::cli) fn entry(text: &[u8], name: &str) -> Option<(usize, String)> {
    lines(text).enumerate().find_map(|(index, range)| {
        let line = String::from_utf8_lossy(&text[range]);
        let entry = line.split('#').next().unwrap_or_default();
        let mut words = entry.split_ascii_whitespace();
        let address = words.next()?;
        words
            .any(|word| word.eq_ignore_ascii_case(name))
            .then(|| (index + 1, address.to_owned()))
    })
}

fn block(names: &[HostName], eol: &str, joined: bool) -> Vec<u8> {
    let mut block = BEGIN.to_vec();
    block.extend_from_slice(ABOUT.as_bytes());
    if joined {
        block.extend_from_slice(JOINED);
    }
    block.extend_from_slice(eol.as_bytes());
    for name in names {
        for address in ADDRESSES {
            block.extend_from_slice(format!("{address} {name}{eol}").as_bytes());
        }
    }
    block.extend_from_slice(END);
    block.extend_from_slice(eol.as_bytes());
    block
}

fn is_joined(block: &[u8]) -> bool {
    let first = block.split(|byte| *byte == b'\n').next();
    first.is_some_and(|line| line.trim_ascii_end().ends_with(JOINED))
}

/// The end of a line as the file has it.
fn line_end(text: &[u8]) -> &'static str {
    let first = text.split_inclusive(|byte| *byte == b'\n').next();
    if first.is_some_and(|line| line.ends_with(b"\r\n")) {
        "\r\n"
    } else {
        "\n"
    }
}

fn find(text: &[u8]) -> Result<Option<Range<usize>>, Damage> {
    let mut found = None;
    let mut open: Option<(usize, usize)> = None;
    for (index, range) in lines(text).enumerate() {
        let line = index + 1;
        let words = text[range.clone()].trim_ascii();
        if is_begin(words) {
            if open.is_some() {
                return Err(Damage::SecondBegin { line });
            }
            if found.is_some() {
                return Err(Damage::SecondBlock { line });
            }
            open = Some((range.start, line));
        } else if words == END {
            let (start, _line) = open.take().ok_or(Damage::NoBegin { line })?;
            found = Some(start..range.end);
        }
    }
    match open {
        Some((_start, line)) => Err(Damage::NoEnd { line }),
        None => Ok(found),
    }
}

fn is_begin(words: &[u8]) -> bool {
    words
        .strip_prefix(BEGIN)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(b":"))
}

/// Each line with its end.
fn lines(text: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    text.split_inclusive(|byte| *byte == b'\n')
        .map(move |line| {
            let start = at;
            at += line.len();
            start..at
        })
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoEnd { line } => write!(
                f,
                "line {line} begins a block of onedoor that does not end: remove that line, and what onedoor wrote below it"
            ),
            Self::NoBegin { line } => write!(
                f,
                "line {line} ends a block of onedoor that does not begin: remove that line, and what onedoor wrote above it"
            ),
            Self::SecondBegin { line } => write!(
                f,
                "line {line} begins a block of onedoor within another one: remove that line"
            ),
            Self::SecondBlock { line } => write!(
                f,
                "line {line} begins a second block of onedoor: remove one of the two"
            ),
        }
    }
}

impl Error for Damage {}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = "127.0.0.1 localhost\n# mine\n\n";

    #[test]
    fn a_block_is_added_once_and_removed_whole() {
        let once = sync(BEFORE, &["shop.localhost"]);
        assert!(once.starts_with(BEFORE) && once.ends_with("# onedoor end\n"));
        assert!(once.contains("\n127.0.0.1 shop.localhost\n::1 shop.localhost\n"));
        assert_eq!(sync(&once, &["shop.localhost"]), once);
        assert_eq!(clean(&once), BEFORE);
        assert_eq!(sync(&once, &[]), BEFORE);
        assert_eq!(clean(BEFORE), BEFORE);
    }

    #[test]
    fn every_other_octet_is_kept() {
        for before in [
            "",
            "\n",
            "a",
            "a\r\nb",
            "a\r\nb\r\n",
            "\u{feff}x\n\t y ",
            "\n\n\n",
        ] {
            let with = sync(before, &["a.test", "b.test"]);
            assert!(with.starts_with(before), "{with:?}");
            assert_eq!(clean(&with), before);
            let other = sync(&with, &["c.test"]);
            assert_eq!(clean(&other), before, "{other:?}");
            assert_eq!(sync(&other, &["a.test", "b.test"]), with);
        }
        let odd = [b"\xff\xfe 10.0.0.1 x\r\n".as_slice(), b"\0"].concat();
        let with = synced(&odd, &names(&["a.test"])).unwrap();
        assert_eq!(cleaned(&with).unwrap(), odd);
    }

    #[test]
    fn lines_end_as_they_do_in_the_file() {
        let with = sync("a\r\n", &["a.test"]);
        assert_eq!(with.matches('\n').count(), with.matches("\r\n").count());
    }

    #[test]
    fn what_was_written_behind_the_block_stays_there() {
        let with = sync("1.1.1.1 one", &["a.test"]) + "2.2.2.2 two";
        assert_eq!(clean(&with), "1.1.1.1 one\n2.2.2.2 two");
        let changed = sync(&with, &["b.test"]);
        assert!(changed.ends_with("# onedoor end\n2.2.2.2 two"), "{changed}");
    }

    #[test]
    fn damaged_marks_are_refused_with_their_line() {
        #[track_caller]
        fn check(text: &str, expected: Damage) {
            assert_eq!(synced(text.as_bytes(), &names(&["a.test"])), Err(expected));
            assert_eq!(cleaned(text.as_bytes()), Err(expected));
        }
        check("a\n# onedoor begin\nb\n", Damage::NoEnd { line: 2 });
        check("# onedoor end\n", Damage::NoBegin { line: 1 });
        let twice = "# onedoor begin: x\n# onedoor begin\n# onedoor end\n";
        check(twice, Damage::SecondBegin { line: 2 });
        let block = "# onedoor begin\r\n# onedoor end\r\n";
        check(&block.repeat(2), Damage::SecondBlock { line: 3 });
    }

    #[test]
    fn only_our_own_marks_are_marks() {
        let text = "# onedoor beginner\n# onedoor end of the world\n";
        assert_eq!(clean(text), text);
    }

    #[test]
    fn the_first_entry_of_a_name_counts() {
        let text = b"# 10.0.0.1 a.test\n10.0.0.2 x A.test # y\n10.0.0.3 a.test\n";
        assert_eq!(entry(text, "a.test"), Some((2, "10.0.0.2".to_owned())));
        assert_eq!(entry(text, "y"), None);
        assert_eq!(entry(text, "10.0.0.2"), None);
    }

    fn names(names: &[&str]) -> Vec<HostName> {
        let parsed = names.iter().map(|name| HostName::parse(name).unwrap());
        parsed.collect()
    }

    fn sync(text: &str, wanted: &[&str]) -> String {
        String::from_utf8(synced(text.as_bytes(), &names(wanted)).unwrap()).unwrap()
    }

    fn clean(text: &str) -> String {
        String::from_utf8(cleaned(text.as_bytes()).unwrap()).unwrap()
    }
}

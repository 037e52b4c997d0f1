//! The one spelling in which paths are compared: R3986 6.2.2, never sent anywhere.

use std::borrow::Cow;

/// The normal form of a path: unreserved octets bare, all others as `%XX` in upper case, dot segments resolved.
/// Slashes are not merged. What climbs above the root stays at the root.
#[must_use]
pub fn normalise(path: &str) -> Cow<'_, str> {
    if is_settled(path) {
        return Cow::Borrowed(path);
    }
    Cow::Owned(resolve(&canonical(path)).path)
}

/// Whether a path is its own normal form under every reading of dots and slashes.
pub(super) fn is_settled(path: &str) -> bool {
    let mut rest = path.as_bytes();
    while let [byte, tail @ ..] = rest {
        let starts_dots = *byte == b'/'
            && matches!(
                tail,
                [b'.'] | [b'.', b'/' | b';', ..] | [b'.', b'.'] | [b'.', b'.', b'/' | b';', ..]
            );
        if starts_dots || !is_bare(*byte) {
            return false;
        }
        rest = tail;
    }
    true
}

/// The path with its octets in one spelling; dot segments stay.
pub(super) fn canonical(path: &str) -> String {
    let mut text = String::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((unit, tail)) = next_unit(rest) {
        unit.write(&mut text);
        rest = tail;
    }
    text
}

/// A canonical path as the most careless upstream reads it: encoded slashes and backslashes separate, parameters behind dots do not matter.
pub(super) fn careless(canonical: &str) -> String {
    canonical
        .replace("%2F", "/")
        .replace("%5C", "/")
        .split('/')
        .map(without_parameters_behind_dots)
        .collect::<Vec<_>>()
        .join("/")
}

/// A careless reading as those have it who also take several slashes for one and pass over every parameter.
pub(super) fn most_careless(careless: &str) -> String {
    let mut text = String::with_capacity(careless.len());
    for segment in careless.split('/') {
        let bare = segment.split_once(';').map_or(segment, |(bare, _)| bare);
        if !bare.is_empty() {
            text.push('/');
            text.push_str(bare);
        }
    }
    if text.is_empty() || careless.ends_with('/') {
        text.push('/');
    }
    text
}

/// Whether upstreams may read a path in several ways.
pub(super) fn is_ambiguous(path: &str) -> bool {
    let octets = path.as_bytes();
    octets.contains(&b';') || octets.windows(2).any(|pair| pair == b"//") || !is_settled(path)
}

fn without_parameters_behind_dots(segment: &str) -> &str {
    match segment.split_once(';') {
        Some((dots @ ("." | ".."), _parameters)) => dots,
        Some(_) | None => segment,
    }
}

/// A path without dot segments.
pub(super) struct Resolved {
    pub(super) path: String,
    /// Whether a `..` had nothing left to leave.
    pub(super) climbs: bool,
}

/// R3986 5.2.4.
pub(super) fn resolve(path: &str) -> Resolved {
    let Some(relative) = path.strip_prefix('/') else {
        return Resolved {
            path: path.to_owned(),
            climbs: false,
        };
    };
    let mut climbs = false;
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = relative.split('/').peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            ".." => climbs |= kept.pop().is_none(),
            "." => {}
            _ => {
                kept.push(segment);
                continue;
            }
        }
        if is_last {
            kept.push("");
        }
    }
    Resolved {
        path: format!("/{}", kept.join("/")),
        climbs,
    }
}

/// One octet of a path, however it is spelled.
#[derive(Clone, Copy)]
pub(super) enum Unit {
    Bare(u8),
    Encoded(u8),
}

impl Unit {
    fn write(self, text: &mut String) {
        match self {
            Self::Bare(byte) => text.push(char::from(byte)),
            Self::Encoded(byte) => {
                text.push('%');
                text.push(hex(byte >> 4));
                text.push(hex(byte & 0xf));
            }
        }
    }

    /// What is left of a canonical text behind this unit, if it starts with it.
    pub(super) fn strip_from(self, canonical: &[u8]) -> Option<&[u8]> {
        let (own, tail) = next_unit(canonical)?;
        let same = match (self, own) {
            (Self::Bare(left), Self::Bare(right)) | (Self::Encoded(left), Self::Encoded(right)) => {
                left == right
            }
            (Self::Bare(_), Self::Encoded(_)) | (Self::Encoded(_), Self::Bare(_)) => false,
        };
        same.then_some(tail)
    }
}

/// The first octet of a path and what follows. A `%` that encodes nothing is itself an octet to encode.
pub(super) fn next_unit(path: &[u8]) -> Option<(Unit, &[u8])> {
    if let [b'%', high, low, tail @ ..] = path
        && let (Some(high), Some(low)) = (digit(*high), digit(*low))
    {
        let byte = high << 4 | low;
        let unit = if is_unreserved(byte) {
            Unit::Bare(byte)
        } else {
            Unit::Encoded(byte)
        };
        return Some((unit, tail));
    }
    let (byte, tail) = path.split_first()?;
    let unit = if is_bare(*byte) {
        Unit::Bare(*byte)
    } else {
        Unit::Encoded(*byte)
    };
    Some((unit, tail))
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// `pchar` and the slash (R3986 3.3), without the percent sign.
fn is_bare(byte: u8) -> bool {
    is_unreserved(byte) || b"/!$&'()*+,;=:@".contains(&byte)
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

fn hex(digit: u8) -> char {
    char::from_digit(u32::from(digit), 16)
        .unwrap_or('0')
        .to_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(path: &str, expected: &str) {
        assert_eq!(normalise(path), expected, "{path}");
    }

    #[test]
    fn one_spelling_for_every_octet() {
        check("/a/b", "/a/b");
        check("/%61%2D%7e", "/a-~");
        check("/a%2fb", "/a%2Fb");
        check("/a b", "/a%20b");
        check("/é", "/%C3%A9");
        check("/%c3%a9", "/%C3%A9");
        check("/%", "/%25");
        check("/%4", "/%254");
        check("/%%34%31", "/%2541");
        check("/a\\b", "/a%5Cb");
        check("/A", "/A");
        check("//a//b", "//a//b");
        check("*", "*");
    }

    #[test]
    fn dot_segments_are_resolved() {
        check("/a/./b/../c", "/a/c");
        check("/a/..", "/");
        check("/a/.", "/a/");
        check("/a/%2e%2E/b", "/b");
        check("/.well-known/x", "/.well-known/x");
        check("/...", "/...");
        check("/a../b", "/a../b");
        check("/..", "/");
        check("/../../a", "/a");
        check("/a//..", "/a/");
    }

    #[test]
    fn climbing_above_the_root_is_seen() {
        assert!(resolve("/..").climbs);
        assert!(resolve("/a/../../b").climbs);
        assert!(!resolve("/a/..").climbs);
        assert!(resolve(&careless("/..;x/")).climbs);
        assert!(resolve(&careless("/a/..%2F..%5Cb")).climbs);
    }

    #[test]
    fn the_most_careless_see_neither_parameters_nor_empty_segments() {
        for (path, expected) in [
            ("/a/b", "/a/b"),
            ("//a;x//b/", "/a/b/"),
            ("/;x/a;y=1;z", "/a"),
            ("/", "/"),
            ("//;x", "/"),
            ("/a//../b", "/a/../b"),
        ] {
            assert_eq!(most_careless(path), expected, "{path}");
        }
    }

    #[test]
    fn ambiguous_paths_are_told_from_plain_ones() {
        assert!(!is_ambiguous("/a/b.c/~d,e"));
        for path in ["//a", "/a;b", "/a%2Fb", "/a\\b", "/a/../b"] {
            assert!(is_ambiguous(path), "{path}");
        }
    }

    proptest! {
        #[test]
        fn normalising_twice_changes_nothing(path in "/[%./a-c;0-9A-F\\\\é ]{0,24}") {
            let once = normalise(&path).into_owned();
            prop_assert_eq!(normalise(&once), once.as_str());
        }

        #[test]
        fn a_settled_path_is_its_own_normal_form(path in "/[%./a-c;0-9]{0,12}") {
            if is_settled(&path) {
                let resolved = resolve(&canonical(&path)).path;
                prop_assert_eq!(resolved.as_str(), path.as_str());
                prop_assert_eq!(careless(&path), path);
            }
        }
    }
}

//! The name of an object or a lease: safe as a path, an address or a field of any store.

use std::fmt;

/// The longest segment, in octets: leaves room for what a store adds, within the limit of file systems.
pub const SEGMENT_BYTES_MAX: usize = 200;
/// The longest key, in octets.
pub const KEY_BYTES_MAX: usize = 800;
/// The first segment that belongs to the stores themselves.
pub(super) const RESERVED: &str = "leases";

/// One or more segments of `a-z`, `0-9`, `.`, `_` and `-`, joined by `/`, none of which begins with a dot.
///
/// A key is never the folder of another: where `certs/a` is an object, `certs/a/b` cannot be one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Box<str>);

/// Why something is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadKey {
    /// It, or a part of it between slashes, has nothing in it.
    Empty,
    /// A segment is longer than [`SEGMENT_BYTES_MAX`], or the whole longer than [`KEY_BYTES_MAX`].
    TooLong,
    /// A segment begins with a dot, as hidden files do.
    Hidden,
    /// Any other octet than those allowed.
    Foreign(u8),
    /// The stores keep their leases there.
    Reserved,
}

impl Key {
    /// # Errors
    /// [`BadKey`]; nothing is mended.
    pub fn new(text: &str) -> Result<Self, BadKey> {
        if text.len() > KEY_BYTES_MAX {
            return Err(BadKey::TooLong);
        }
        for segment in text.split('/') {
            check_segment(segment)?;
        }
        if text.split('/').next() == Some(RESERVED) {
            return Err(BadKey::Reserved);
        }
        Ok(Self(text.into()))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn check_segment(segment: &str) -> Result<(), BadKey> {
    if segment.is_empty() {
        return Err(BadKey::Empty);
    }
    if segment.starts_with('.') {
        return Err(BadKey::Hidden);
    }
    if segment.len() > SEGMENT_BYTES_MAX {
        return Err(BadKey::TooLong);
    }
    let allowed =
        |octet: &u8| octet.is_ascii_lowercase() || octet.is_ascii_digit() || b"._-".contains(octet);
    match segment.bytes().find(|octet| !allowed(octet)) {
        Some(octet) => Err(BadKey::Foreign(octet)),
        None => Ok(()),
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for BadKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("a key or a segment of it is empty"),
            Self::TooLong => write!(
                f,
                "a key has at most {KEY_BYTES_MAX} octets, and a segment of it {SEGMENT_BYTES_MAX}"
            ),
            Self::Hidden => f.write_str("a segment of a key begins with a dot"),
            Self::Foreign(octet) => {
                write!(f, "a key has no `{}`", octet.escape_ascii())
            }
            Self::Reserved => write!(f, "`{RESERVED}` belongs to the storage itself"),
        }
    }
}

impl std::error::Error for BadKey {}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<(), BadKey>) {
        assert_eq!(Key::new(text).map(|_key| ()), expected, "{text:?}");
    }

    #[test]
    fn a_key_is_a_path_that_cannot_leave_its_folder() {
        check("certs/wildcard_.a-1.example/v000012", Ok(()));
        check("acme", Ok(()));
        check("", Err(BadKey::Empty));
        check("/etc/passwd", Err(BadKey::Empty));
        check("a//b", Err(BadKey::Empty));
        check("a/", Err(BadKey::Empty));
        check("a/../b", Err(BadKey::Hidden));
        check("a/.b", Err(BadKey::Hidden));
        check("a\\b", Err(BadKey::Foreign(b'\\')));
        check("A", Err(BadKey::Foreign(b'A')));
        check("a\0", Err(BadKey::Foreign(0)));
        check("ä", Err(BadKey::Foreign(0xc3)));
    }

    #[test]
    fn a_key_and_its_segments_have_a_longest_length() {
        check(&"a".repeat(SEGMENT_BYTES_MAX), Ok(()));
        check(&"a".repeat(SEGMENT_BYTES_MAX + 1), Err(BadKey::TooLong));
        let whole = "a/".repeat(KEY_BYTES_MAX / 2 - 1) + "ab";
        check(&whole, Ok(()));
        check(&(whole + "c"), Err(BadKey::TooLong));
    }

    #[test]
    fn the_folder_of_the_leases_is_no_place_for_objects() {
        check("leases", Err(BadKey::Reserved));
        check("leases/a", Err(BadKey::Reserved));
        check("leases-of-mine/leases", Ok(()));
    }
}

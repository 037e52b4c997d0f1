//! A user and a password as `Authorization: Basic` carries them (RFC 7617 section 2).

use std::fmt;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::HeaderMap;
use http::header::AUTHORIZATION;

/// Who a client says it is, and its proof. Shown to nobody.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Credentials {
    pub(super) user: Box<str>,
    pub(super) password: Box<str>,
}

/// What a request brings along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Brought {
    Credentials(Credentials),
    /// No field, or another scheme.
    Nothing,
    /// Nothing that could be right.
    Nonsense,
}

/// A longer field is no name with a password.
const FIELD_BYTES_MAX: usize = 2048;

/// Some clients leave the padding away.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Reads the one field there may be.
pub(super) fn read(headers: &HeaderMap) -> Brought {
    let mut lines = headers.get_all(AUTHORIZATION).iter();
    let Some(line) = lines.next() else {
        return Brought::Nothing;
    };
    if lines.next().is_some() || line.len() > FIELD_BYTES_MAX {
        return Brought::Nonsense;
    }
    let line = line.as_bytes();
    let end = line
        .iter()
        .position(|octet| *octet == b' ')
        .unwrap_or(line.len());
    let (scheme, token) = line.split_at(end);
    if !scheme.eq_ignore_ascii_case(b"basic") {
        return Brought::Nothing;
    }
    decode(token.trim_ascii()).map_or(Brought::Nonsense, Brought::Credentials)
}

/// Neither part has control characters: some hashes end at the first of them.
fn decode(token: &[u8]) -> Option<Credentials> {
    let text = String::from_utf8(BASE64.decode(token).ok()?).ok()?;
    if text.contains(char::is_control) {
        return None;
    }
    let (user, password) = text.split_once(':')?;
    Some(Credentials {
        user: user.into(),
        password: password.into(),
    })
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(…)")
    }
}

#[cfg(test)]
mod tests {
    use base64::prelude::BASE64_STANDARD;
    use http::HeaderValue;

    use super::*;

    fn brought(lines: &[&str]) -> Brought {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(AUTHORIZATION, HeaderValue::from_str(line).unwrap());
        }
        read(&headers)
    }

    #[track_caller]
    fn check(plain: &[u8], expected: Option<(&str, &str)>) {
        let line = format!("Basic {}", BASE64_STANDARD.encode(plain));
        let seen = match brought(&[&line]) {
            Brought::Credentials(found) => {
                Some((found.user.to_string(), found.password.to_string()))
            }
            Brought::Nothing | Brought::Nonsense => None,
        };
        let expected = expected.map(|(user, password)| (user.to_owned(), password.to_owned()));
        assert_eq!(seen, expected);
    }

    #[test]
    fn the_first_colon_ends_the_name() {
        check(b"Aladdin:open sesame", Some(("Aladdin", "open sesame")));
        check(b"ada:a:b:", Some(("ada", "a:b:")));
        check(b"ada:", Some(("ada", "")));
        check(b":x", Some(("", "x")));
        check("tëst:123£".as_bytes(), Some(("tëst", "123£")));
        check(b"ada", None);
        check(b"ada:\xff", None);
        check(b"ada:a\0b", None);
        check(b"ada:a\nb", None);
    }

    #[test]
    fn the_scheme_is_read_in_any_case_and_padding_may_be_missing() {
        for line in [
            "Basic YTpi",
            "basic  YTpi ",
            "BASIC YWE6Yg",
            "Basic YWE6Yg==",
        ] {
            assert!(
                matches!(brought(&[line]), Brought::Credentials(_)),
                "{line}"
            );
        }
    }

    #[test]
    fn what_is_no_basic_is_nothing_and_what_cannot_be_right_is_nonsense() {
        assert_eq!(brought(&[]), Brought::Nothing);
        for line in ["Bearer YTpi", "Basics YTpi", "", "Digest username=\"a\""] {
            assert_eq!(brought(&[line]), Brought::Nothing, "{line}");
        }
        let long = format!("Basic {}", "YTpi".repeat(1000));
        for line in [
            "Basic",
            "Basic ",
            "Basic !",
            "Basic YTpi YTpi",
            "Basic YWI=",
            long.as_str(),
        ] {
            assert_eq!(brought(&[line]), Brought::Nonsense, "{line}");
        }
        assert_eq!(brought(&["Basic YTpi", "Basic YTpi"]), Brought::Nonsense);
    }

    #[test]
    fn nobody_sees_them() {
        let shown = format!("{:?}", brought(&["Basic YTpi"]));
        assert_eq!(shown, "Credentials(Credentials(…))");
    }
}

//! `If-Match` (RFC 9110 section 13.1.1): what a change is based on.

use http::HeaderMap;
use http::header::IF_MATCH;

use crate::control::command::BasedOn;

/// Why a request does not say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unconditional {
    Absent,
    /// Neither `*` nor one revision in quotes.
    Malformed,
}

pub(super) fn based_on(headers: &HeaderMap) -> Result<BasedOn, Unconditional> {
    let mut values = headers.get_all(IF_MATCH).iter();
    let value = values.next().ok_or(Unconditional::Absent)?;
    let text = value.to_str().map_err(|_binary| Unconditional::Malformed)?;
    match (text.trim(), values.next()) {
        ("*", None) => Ok(BasedOn::Whatever),
        (tag, None) => revision(tag).ok_or(Unconditional::Malformed),
        (_first, Some(_second)) => Err(Unconditional::Malformed),
    }
}

/// A strong entity tag with a number in it.
fn revision(tag: &str) -> Option<BasedOn> {
    let number = tag.strip_prefix('"')?.strip_suffix('"')?;
    let digits = number.bytes().all(|octet| octet.is_ascii_digit());
    let revision = number.parse().ok().filter(|_number| digits)?;
    Some(BasedOn::Revision(revision))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_names_its_revision_or_a_star() {
        #[track_caller]
        fn check(values: &[&str], expected: Result<BasedOn, Unconditional>) {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(IF_MATCH, value.parse().unwrap());
            }
            assert_eq!(based_on(&headers), expected, "{values:?}");
        }
        check(&["*"], Ok(BasedOn::Whatever));
        check(&["\"7\""], Ok(BasedOn::Revision(7)));
        check(&[" \"7\" "], Ok(BasedOn::Revision(7)));
        check(&[], Err(Unconditional::Absent));
        for value in [
            "7",
            "\"",
            "\"\"",
            "\"x\"",
            "\"+7\"",
            "W/\"7\"",
            "\"7\", \"8\"",
            "",
        ] {
            check(&[value], Err(Unconditional::Malformed));
        }
        check(&["\"99999999999999999999\""], Err(Unconditional::Malformed));
        check(&["*", "*"], Err(Unconditional::Malformed));
    }
}

//! What one HTTP answer of a CA said besides its JSON: the parts that the ACME library drops.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, StatusCode, header};

/// The longest wait that a CA can ask for.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 60 * 60);

#[derive(Debug, Clone)]
pub struct Answer {
    /// Of the request.
    pub url: String,
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    /// How long the CA wants to be left alone, in either form of the header, at most [`RETRY_AFTER_MAX`].
    #[must_use]
    pub fn retry_after(&self, now: SystemTime) -> Option<Duration> {
        let text = self.text(&header::RETRY_AFTER)?.trim();
        let wait = match text.parse::<u64>() {
            Ok(seconds) => Duration::from_secs(seconds),
            Err(_no_number) => {
                let at = httpdate::parse_http_date(text).ok()?;
                at.duration_since(now).unwrap_or_default()
            }
        };
        Some(wait.min(RETRY_AFTER_MAX))
    }

    #[must_use]
    pub fn location(&self) -> Option<&str> {
        self.text(&header::LOCATION)
    }

    /// The targets of the links with this relation, such as `alternate` or `terms-of-service`.
    #[must_use]
    pub fn links(&self, relation: &str) -> Vec<&str> {
        let wanted = format!("rel=\"{relation}\"");
        self.headers
            .get_all(header::LINK)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter(|link| link.contains(&wanted))
            .filter_map(|link| link.trim().strip_prefix('<')?.split('>').next())
            .collect()
    }

    /// A header that is text.
    #[must_use]
    pub fn text(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn answer(name: HeaderName, value: &'static str) -> Answer {
        Answer {
            url: String::new(),
            status: StatusCode::OK,
            headers: HeaderMap::from_iter([(name, HeaderValue::from_static(value))]),
            body: Bytes::new(),
        }
    }

    #[track_caller]
    fn check(value: &'static str, expected: Option<u64>) {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let found = answer(header::RETRY_AFTER, value).retry_after(now);
        assert_eq!(found, expected.map(Duration::from_secs), "{value}");
    }

    #[test]
    fn both_forms_of_retry_after_are_read_and_bounded() {
        check("120", Some(120));
        check("Sun, 06 Nov 1994 08:50:37 GMT", Some(60));
        check("Sun, 06 Nov 1994 08:00:00 GMT", Some(0));
        check("99999999999999", Some(24 * 60 * 60));
        check("999999999999999999999999999", None);
        check("soon", None);
        check("-5", None);
        check("", None);
    }

    #[test]
    fn links_are_found_by_their_relation() {
        let answer = answer(
            header::LINK,
            "<https://ca.test/dir>;rel=\"index\", <https://ca.test/2>;rel=\"alternate\"",
        );
        assert_eq!(answer.links("alternate"), ["https://ca.test/2"]);
        assert!(answer.links("up").is_empty());
    }
}

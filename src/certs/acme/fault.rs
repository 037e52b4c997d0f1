//! What a failure at a CA means: whose it is, how it is to be answered, and the CA's own words.

use std::error::Error;
use std::fmt;
use std::time::{Duration, SystemTime};

use instant_acme::Problem;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::causes::one_line;
use crate::certs::acme::answer::{Answer, RETRY_AFTER_MAX};
use crate::certs::acme::seams::{Class, KeepError};

/// The prefix of the error types of RFC 8555 section 6.7.
const TYPE_PREFIX: &str = "urn:ietf:params:acme:error:";

/// Why there is no certificate now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderError {
    pub class: Class,
    pub side: Side,
    /// The CA's error type without its prefix, such as `rateLimited`.
    pub kind: Option<String>,
    /// When the CA wants to be asked again.
    pub retry_after: Option<Duration>,
    /// In the CA's own words where it has any.
    pub problem: String,
    /// The names that failed, with the CA's words for each.
    pub names: Vec<(String, String)>,
}

/// Whose failure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The CA said no.
    Ca,
    /// The CA said nothing that can be read.
    Network,
    /// A journal or an account could not be kept or read.
    Storage,
    /// A challenge could not be presented.
    Solver,
    /// The options cannot work with this CA.
    Options,
}

/// What the problem was an answer to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    Request,
    Challenge,
}

impl OrderError {
    pub(in crate::certs) fn new(class: Class, side: Side, problem: impl Into<String>) -> Self {
        Self {
            class,
            side,
            kind: None,
            retry_after: None,
            problem: problem.into(),
            names: Vec::new(),
        }
    }

    pub(super) fn not_kept(error: &KeepError) -> Self {
        Self::new(Class::Transient, Side::Storage, one_line(error))
    }

    /// A request that failed, with the answer if there was one.
    pub(super) fn of_request(
        error: &instant_acme::Error,
        answer: Option<&Answer>,
        now: SystemTime,
    ) -> Self {
        let wait = answer.and_then(|answer| answer.retry_after(now));
        let instant_acme::Error::Api(problem) = error else {
            return Self {
                retry_after: wait,
                ..Self::new(unread(answer), Side::Network, one_line(error))
            };
        };
        let status = answer.map(|answer| answer.status.as_u16());
        let mut fault = Self::of_problem(problem, Asked::Request, status, wait, now);
        if fault.kind.as_deref() == Some("userActionRequired")
            && let Some(terms) = answer.and_then(|it| it.links("terms-of-service").first().copied())
        {
            fault.problem = format!("{}: see {terms}", fault.problem);
        }
        fault
    }

    /// What a CA reported, in a request's answer or of a challenge.
    pub(super) fn of_problem(
        problem: &Problem,
        asked: Asked,
        status: Option<u16>,
        wait: Option<Duration>,
        now: SystemTime,
    ) -> Self {
        let kind = problem.r#type.as_deref().map(tail);
        let detail = problem.detail.as_deref().unwrap_or_default();
        let wait = wait.or_else(|| said_wait(detail, now));
        let status = status.or(problem.status);
        let class = if kind == Some("compound") {
            let classes = problem
                .subproblems
                .iter()
                .map(|sub| class_of(sub.r#type.as_deref().map(tail), "", asked, status, None));
            classes
                .max_by_key(|class| weight(*class))
                .unwrap_or(Class::Validation)
        } else {
            class_of(kind, detail, asked, status, wait)
        };
        let names = problem.subproblems.iter().filter_map(|sub| {
            let name = sub.identifier.as_ref()?.authorized(false).to_string();
            Some((name, words(sub.r#type.as_deref(), sub.detail.as_deref())))
        });
        Self {
            class,
            side: Side::Ca,
            kind: kind.map(str::to_owned),
            retry_after: wait,
            problem: words(problem.r#type.as_deref(), problem.detail.as_deref()),
            names: names.collect(),
        }
    }

    /// Takes a failed name in; the graver class wins.
    pub(super) fn with_name(mut self, name: String, other: Self) -> Self {
        if self.names.is_empty() || weight(other.class) > weight(self.class) {
            self.class = other.class;
            self.kind = other.kind.or(self.kind);
        }
        self.names.push((name, other.problem));
        self
    }

    pub(super) fn is(&self, kind: &str) -> bool {
        self.kind.as_deref() == Some(kind)
    }
}

/// A page in place of a problem came from something before the CA, which may be away soon.
fn unread(answer: Option<&Answer>) -> Class {
    match answer {
        Some(answer) if answer.status.as_u16() == 429 => Class::Limited,
        Some(_) | None => Class::Transient,
    }
}

fn class_of(
    kind: Option<&str>,
    detail: &str,
    asked: Asked,
    status: Option<u16>,
    wait: Option<Duration>,
) -> Class {
    match (kind, asked) {
        // A paused name has no time at which it is free again, but a page where a person can free it.
        (Some("rateLimited"), _) if wait.is_none() && detail.contains("http") => Class::Human,
        (Some("rateLimited"), _) => Class::Limited,
        (Some("badNonce" | "serverInternal" | "orderNotReady" | "conflict"), _) => Class::Transient,
        (Some("dns" | "connection" | "tls" | "incorrectResponse"), _)
        | (Some("unauthorized"), Asked::Challenge) => Class::Validation,
        _ => match (status, asked) {
            (Some(429), _) => Class::Limited,
            (Some(408 | 500..), _) => Class::Transient,
            (Some(_) | None, Asked::Request | Asked::Challenge) => Class::Human,
        },
    }
}

fn weight(class: Class) -> u8 {
    match class {
        Class::Transient => 0,
        Class::Validation => 1,
        Class::Limited => 2,
        Class::Human => 3,
    }
}

fn tail(kind: &str) -> &str {
    kind.strip_prefix(TYPE_PREFIX).unwrap_or(kind)
}

fn words(kind: Option<&str>, detail: Option<&str>) -> String {
    match (detail, kind.map(tail)) {
        (Some(detail), Some(kind)) => format!("{detail} ({kind})"),
        (Some(detail), None) => detail.to_owned(),
        (None, Some(kind)) => kind.to_owned(),
        (None, None) => "the CA does not say why".to_owned(),
    }
}

/// Let's Encrypt says `retry after 2026-01-02 15:04:05 UTC` in its limits' texts.
fn said_wait(detail: &str, now: SystemTime) -> Option<Duration> {
    const MARK: &str = "retry after ";
    const FORM: &str = "%Y-%m-%d %H:%M:%S";
    let start = detail.find(MARK)? + MARK.len();
    let text = detail.get(start..start + "2026-01-02 15:04:05".len())?;
    let at = DateTime::strptime(FORM, text).ok()?;
    let at = SystemTime::from(at.to_zoned(TimeZone::UTC).ok()?.timestamp());
    let wait = at.duration_since(now).unwrap_or_default();
    Some(wait.min(RETRY_AFTER_MAX))
}

impl fmt::Display for OrderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem)?;
        for (name, words) in &self.names {
            write!(f, "; {name}: {words}")?;
        }
        Ok(())
    }
}

impl Error for OrderError {}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, HeaderValue, StatusCode, header};

    use super::*;

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
    }

    fn problem(kind: &str, detail: &str) -> Problem {
        let kind = format!("{TYPE_PREFIX}{kind}");
        serde_json::from_value(serde_json::json!({ "type": kind, "detail": detail })).unwrap()
    }

    #[track_caller]
    fn check(kind: &str, asked: Asked, status: u16, expected: Class) {
        let fault = OrderError::of_problem(&problem(kind, "x"), asked, Some(status), None, now());
        assert_eq!(fault.class, expected, "{kind}");
        assert_eq!(fault.problem, format!("x ({kind})"));
    }

    #[test]
    fn each_kind_has_its_class() {
        check("badNonce", Asked::Request, 400, Class::Transient);
        check("serverInternal", Asked::Request, 500, Class::Transient);
        check("rateLimited", Asked::Request, 429, Class::Limited);
        check("unauthorized", Asked::Request, 403, Class::Human);
        check("unauthorized", Asked::Challenge, 403, Class::Validation);
        check("dns", Asked::Challenge, 400, Class::Validation);
        check("caa", Asked::Challenge, 403, Class::Human);
        check("accountDoesNotExist", Asked::Request, 400, Class::Human);
        check("userActionRequired", Asked::Request, 403, Class::Human);
        check("invalidProfile", Asked::Request, 400, Class::Human);
        check("somethingNew", Asked::Request, 503, Class::Transient);
        check("somethingNew", Asked::Request, 429, Class::Limited);
        check("somethingNew", Asked::Request, 418, Class::Human);
    }

    #[test]
    fn a_limit_tells_when_it_ends_in_its_header_or_its_text() {
        let limited = problem(
            "rateLimited",
            "too many: retry after 2027-01-15 09:00:00 UTC: see x",
        );
        let fault = OrderError::of_problem(&limited, Asked::Request, Some(429), None, now());
        assert_eq!(fault.retry_after, Some(Duration::from_secs(3600)));
        assert_eq!(fault.class, Class::Limited);
        let header = Some(Duration::from_secs(7));
        let fault = OrderError::of_problem(&limited, Asked::Request, Some(429), header, now());
        assert_eq!(fault.retry_after, header);
    }

    #[test]
    fn a_pause_needs_a_person() {
        let paused = problem("rateLimited", "paused: visit https://ca.test/unpause?jwt=x");
        let fault = OrderError::of_problem(&paused, Asked::Request, Some(429), None, now());
        assert_eq!(fault.class, Class::Human);
        assert!(fault.problem.contains("https://ca.test/unpause?jwt=x"));
    }

    #[test]
    fn new_terms_are_named() {
        let link = HeaderValue::from_static("<https://ca.test/terms>;rel=\"terms-of-service\"");
        let answer = Answer {
            url: String::new(),
            status: StatusCode::FORBIDDEN,
            headers: HeaderMap::from_iter([(header::LINK, link)]),
            body: Bytes::new(),
        };
        let error = instant_acme::Error::Api(problem("userActionRequired", "terms changed"));
        let fault = OrderError::of_request(&error, Some(&answer), now());
        assert!(
            fault.problem.ends_with("see https://ca.test/terms"),
            "{fault}"
        );
    }

    #[test]
    fn subproblems_name_their_names_and_the_gravest_decides() {
        let compound: Problem = serde_json::from_value(serde_json::json!({
            "type": "urn:ietf:params:acme:error:compound", "detail": "two",
            "subproblems": [
                {"type": "urn:ietf:params:acme:error:dns", "detail": "no answer",
                 "identifier": {"type": "dns", "value": "a.test"}},
                {"type": "urn:ietf:params:acme:error:caa", "detail": "forbidden",
                 "identifier": {"type": "dns", "value": "b.test"}},
            ]
        }))
        .unwrap();
        let fault = OrderError::of_problem(&compound, Asked::Request, Some(400), None, now());
        assert_eq!(fault.class, Class::Human);
        assert_eq!(
            fault.to_string(),
            "two (compound); a.test: no answer (dns); b.test: forbidden (caa)"
        );
    }
}

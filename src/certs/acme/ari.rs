//! When the CA wants a certificate renewed (RFC 9773), by a plain GET of our own: the library's loses the status.

use std::fmt;
use std::time::{Duration, SystemTime};

use instant_acme::CertificateIdentifier;
use jiff::Timestamp;
use rustls_pki_types::CertificateDer;
use serde::Deserialize;

use crate::causes::one_line;
use crate::certs::acme::answer::Answer;
use crate::certs::acme::ca::Ca;
use crate::certs::acme::fault::OrderError;
use crate::certs::acme::seams::Window;
use crate::certs::acme::wire;

/// The bounds of RFC 9773 section 4.3.2 for the time until the next look.
pub const LOOK_MIN: Duration = Duration::from_secs(60);
pub const LOOK_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// What the CA says of one certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ari {
    pub window: Window,
    /// Until the next look, within [`LOOK_MIN`] and [`LOOK_MAX`].
    pub retry_after: Duration,
    /// Where the CA explains why it moved the window.
    pub explanation: Option<String>,
}

/// Why there is no window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AriError {
    /// The CA knows no renewal windows.
    Unsupported,
    /// The certificate has no authority key id, or is none.
    NoId,
    /// The CA does not know the certificate.
    Unknown,
    /// It may go away soon: a timeout, a CA in trouble.
    Temporary {
        problem: String,
        retry_after: Option<Duration>,
    },
    /// It will stay for hours: any other refusal, or an answer that makes no sense.
    LongTerm(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Json {
    suggested_window: Suggested,
    #[serde(default, rename = "explanationURL")]
    explanation_url: Option<String>,
}

#[derive(Deserialize)]
struct Suggested {
    start: String,
    end: String,
}

/// The id that `replaces` and the renewal window go by.
///
/// # Errors
/// [`AriError::NoId`]
pub fn certificate_id(leaf_der: &[u8]) -> Result<String, AriError> {
    let leaf = CertificateDer::from(leaf_der);
    let id = CertificateIdentifier::try_from(&leaf).map_err(|_no_id| AriError::NoId)?;
    Ok(id.to_string())
}

impl Ca {
    /// Asks for the renewal window of a certificate of this CA.
    ///
    /// # Errors
    /// Says whether to ask again soon.
    pub async fn renewal_info(&self, leaf_der: &[u8]) -> Result<Ari, AriError> {
        let id = certificate_id(leaf_der)?;
        let directory = self.directory().await.map_err(unreached)?;
        let base = directory.renewal_info.as_deref();
        let base = base.ok_or(AriError::Unsupported)?.trim_end_matches('/');
        let answer = wire::fetch(self.transport.as_ref(), &format!("{base}/{id}")).await;
        let answer = answer.map_err(|error| AriError::Temporary {
            problem: one_line(&error),
            retry_after: None,
        })?;
        parse(&answer, self.clock.now())
    }
}

fn parse(answer: &Answer, now: SystemTime) -> Result<Ari, AriError> {
    let status = answer.status;
    let retry_after = answer.retry_after(now);
    if status.as_u16() == 404 {
        return Err(AriError::Unknown);
    }
    if status.is_server_error() || matches!(status.as_u16(), 408 | 429) {
        return Err(AriError::Temporary {
            problem: format!("the CA answers {status}"),
            retry_after,
        });
    }
    if !status.is_success() {
        return Err(AriError::LongTerm(format!("the CA answers {status}")));
    }
    let long = |problem: &str| AriError::LongTerm(problem.to_owned());
    let json: Json = serde_json::from_slice(&answer.body)
        .map_err(|_no_window| long("the answer is no renewal window"))?;
    let wait = retry_after.ok_or_else(|| long("the answer does not say when to ask again"))?;
    let at = |text: &str| {
        let at = text.parse::<Timestamp>().map(SystemTime::from);
        at.map_err(|_no_time| long("the window's times cannot be read"))
    };
    let window = Window {
        start: at(&json.suggested_window.start)?,
        end: at(&json.suggested_window.end)?,
    };
    if window.end <= window.start {
        return Err(long("the window ends before it starts"));
    }
    Ok(Ari {
        window,
        retry_after: wait.clamp(LOOK_MIN, LOOK_MAX),
        explanation: json.explanation_url,
    })
}

fn unreached(fault: OrderError) -> AriError {
    AriError::Temporary {
        problem: fault.problem,
        retry_after: fault.retry_after,
    }
}

impl fmt::Display for AriError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsupported => f.write_str("the CA tells no renewal windows"),
            Self::NoId => f.write_str("the certificate names no key of its issuer"),
            Self::Unknown => f.write_str("the CA does not know the certificate"),
            Self::Temporary { problem, .. } | Self::LongTerm(problem) => f.write_str(problem),
        }
    }
}

impl std::error::Error for AriError {}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, HeaderValue, StatusCode, header};

    use super::*;

    const WINDOW: &str = r#"{"suggestedWindow":{"start":"2027-01-02T04:00:00Z","end":"2027-01-03T04:00:00Z"},
        "explanationURL":"https://ca.test/why"}"#;

    fn answer(status: u16, retry_after: Option<&'static str>, body: &'static str) -> Answer {
        let mut headers = HeaderMap::new();
        if let Some(value) = retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(value));
        }
        Answer {
            url: String::new(),
            status: StatusCode::from_u16(status).unwrap(),
            headers,
            body: Bytes::from_static(body.as_bytes()),
        }
    }

    fn parsed(answer: &Answer) -> Result<Ari, AriError> {
        parse(answer, SystemTime::UNIX_EPOCH)
    }

    #[test]
    fn a_window_is_read_with_its_reason_and_a_bounded_wait() {
        let ari = parsed(&answer(200, Some("21600"), WINDOW)).unwrap();
        assert_eq!(ari.retry_after, Duration::from_secs(21_600));
        assert_eq!(ari.explanation.as_deref(), Some("https://ca.test/why"));
        let start: Timestamp = "2027-01-02T04:00:00Z".parse().unwrap();
        assert_eq!(ari.window.start, SystemTime::from(start));
        let hasty = parsed(&answer(200, Some("1"), WINDOW)).unwrap();
        assert_eq!(hasty.retry_after, LOOK_MIN);
        let lazy = parsed(&answer(200, Some("99999999"), WINDOW)).unwrap();
        assert_eq!(lazy.retry_after, LOOK_MAX);
    }

    #[test]
    fn what_passes_is_told_from_what_stays() {
        assert_eq!(parsed(&answer(404, None, "{}")), Err(AriError::Unknown));
        for status in [429, 500, 503] {
            let fault = parsed(&answer(status, Some("7"), "<html>")).unwrap_err();
            let wait = Some(Duration::from_secs(7));
            let passes =
                matches!(fault, AriError::Temporary { retry_after, .. } if retry_after == wait);
            assert!(passes, "{fault:?}");
        }
        let backward =
            r#"{"suggestedWindow":{"start":"2027-01-03T04:00:00Z","end":"2027-01-02T04:00:00Z"}}"#;
        for broken in [
            answer(403, None, "{}"),
            answer(302, None, ""),
            answer(200, None, WINDOW),
            answer(200, Some("60"), "<html>"),
            answer(200, Some("60"), "{}"),
            answer(200, Some("60"), backward),
        ] {
            let fault = parsed(&broken).unwrap_err();
            assert!(matches!(fault, AriError::LongTerm(_)), "{fault:?}");
        }
    }

    #[test]
    fn what_is_no_certificate_has_no_id() {
        assert_eq!(certificate_id(b"no certificate"), Err(AriError::NoId));
        assert_eq!(certificate_id(b""), Err(AriError::NoId));
    }
}

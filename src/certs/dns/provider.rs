//! Asking a provider's interface over HTTP to change a record.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use hickory_proto::rr::Name;
use http::StatusCode;
use http::request::Builder;
use serde_json::Value;

use super::error::DnsError;
use crate::certs::http::error::HttpError;
use crate::certs::http::{Client, bare, with_json};

/// From the connection to the last octet of the answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// How much of an answer a message shows.
const SHOWN_CHARS_MAX: usize = 300;

#[derive(Debug)]
pub(super) struct Provider(Client);

/// The whole answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
}

impl Provider {
    /// Reads the system's roots.
    pub(super) fn new() -> Self {
        Self(Client::single(PATIENCE))
    }

    /// Sends a request for the sake of `record`, with a body of JSON if there is one. What the answer says is for the caller to judge.
    pub(super) async fn ask(
        &self,
        url: &str,
        record: &Name,
        request: Builder,
        body: Option<&Value>,
    ) -> Result<Answer, DnsError> {
        let answer = self.answer(request.uri(url), body).await;
        answer.map_err(|error| DnsError::Http {
            url: url.to_owned(),
            record: record.to_ascii(),
            error: Box::new(error),
        })
    }

    async fn answer(&self, request: Builder, body: Option<&Value>) -> Result<Answer, HttpError> {
        let request = match body {
            Some(body) => with_json(request, body.to_string()),
            None => bare(request),
        };
        let (head, body) = self.0.send(request?).await?.into_parts();
        Ok(Answer {
            status: head.status,
            body,
        })
    }
}

impl fmt::Display for Answer {
    /// The status and the beginning of the text, in one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = String::from_utf8_lossy(&self.body);
        let words: Vec<&str> = text.split_whitespace().collect();
        let shown: String = words.join(" ").chars().take(SHOWN_CHARS_MAX).collect();
        write!(f, "{} {}", self.status.as_u16(), shown.escape_debug())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_shown_in_one_line() {
        let answer = Answer {
            status: StatusCode::BAD_GATEWAY,
            body: format!("<p>\n\t\x1b[2J{}", "x".repeat(999)).into(),
        };
        let shown = answer.to_string();
        assert!(shown.starts_with("502 <p> \\u{1b}[2Jxxx"), "{shown}");
        assert!(shown.len() < 2 * SHOWN_CHARS_MAX);
    }
}

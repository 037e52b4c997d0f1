//! Tells an event to a URL: the JSON by POST, tried again where that may help.

use std::fmt;
use std::time::Duration;

use http::{Method, Request, StatusCode, Uri};

use super::outbox::Letter;
use crate::certs::http::error::HttpError;
use crate::certs::http::{Client, with_json};

/// From the connection's begin to the answer's head, for each try.
pub const TRY_TIMEOUT: Duration = Duration::from_secs(10);
/// How long is waited before the second try and the third.
pub const DELAYS: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(10)];

/// A URL and a client for it. Shows neither: such URLs carry tokens.
#[derive(Clone)]
pub struct Webhook {
    url: Uri,
    client: Client,
    delays: [Duration; 2],
}

/// Why a URL did not take an event.
#[derive(Debug)]
pub enum WebhookError {
    Unanswered(HttpError),
    /// Anything but success; redirects are not followed.
    Refused(StatusCode),
}

/// The webhook is no URL.
#[derive(Debug)]
pub struct BadUrl(http::uri::InvalidUri);

impl Webhook {
    /// A client that trusts the system's roots, which are read now.
    ///
    /// # Errors
    /// When this is no URL.
    pub fn new(url: &str) -> Result<Self, BadUrl> {
        Ok(Self {
            url: url.parse().map_err(BadUrl)?,
            client: Client::single(TRY_TIMEOUT),
            delays: DELAYS,
        })
    }

    /// Posts the event; again where another try may help.
    ///
    /// # Errors
    /// What the last try came to.
    pub async fn tell(&self, letter: &Letter) -> Result<(), WebhookError> {
        for delay in self.delays {
            match self.post(letter).await {
                Err(error) if error.may_pass() => tokio::time::sleep(delay).await,
                Err(error) => return Err(error),
                Ok(()) => return Ok(()),
            }
        }
        self.post(letter).await
    }

    async fn post(&self, letter: &Letter) -> Result<(), WebhookError> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(self.url.clone());
        let asked = async {
            let request = with_json(request, letter.json.clone())?;
            self.client.status(request).await
        };
        let status = asked.await.map_err(WebhookError::Unanswered)?;
        if status.is_success() {
            Ok(())
        } else {
            Err(WebhookError::Refused(status))
        }
    }
}

impl WebhookError {
    fn may_pass(&self) -> bool {
        match self {
            Self::Unanswered(HttpError::Unwritable(_)) => false,
            Self::Unanswered(
                HttpError::Unreachable { .. }
                | HttpError::Broken { .. }
                | HttpError::TimedOut { .. }
                | HttpError::TooLong { .. },
            ) => true,
            Self::Refused(status) => {
                status.is_server_error()
                    || *status == StatusCode::TOO_MANY_REQUESTS
                    || *status == StatusCode::REQUEST_TIMEOUT
            }
        }
    }
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook").finish_non_exhaustive()
    }
}

impl fmt::Display for BadUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the webhook is no URL")
    }
}

impl std::error::Error for BadUrl {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

impl fmt::Display for WebhookError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unanswered(_) => f.write_str("the webhook gave no answer"),
            Self::Refused(status) => write!(f, "the webhook answered {status}"),
        }
    }
}

impl std::error::Error for WebhookError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unanswered(error) => Some(error),
            Self::Refused(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::causes::one_line;

    /// Answers one connection after another, each with the next of `answers`, or breaks it off at an empty one; returns what was asked.
    async fn serve(listener: TcpListener, answers: Vec<&'static str>) -> Vec<String> {
        let mut asked = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"}") {
                let read = stream.read_buf(&mut request).await.unwrap();
                assert_ne!(read, 0);
            }
            asked.push(String::from_utf8(request).unwrap());
            if !answer.is_empty() {
                let text = format!("HTTP/1.1 {answer}\r\ncontent-length: 0\r\n\r\n");
                stream.write_all(text.as_bytes()).await.unwrap();
            }
        }
        asked
    }

    async fn told(answers: Vec<&'static str>) -> (Result<(), WebhookError>, Vec<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut webhook = Webhook::new(&format!("http://127.0.0.1:{port}/hook?a=b")).unwrap();
        webhook.delays = [Duration::ZERO; 2];
        let letter = Letter {
            name: "quota.low",
            json: r#"{"event":"quota.low"}"#.into(),
        };
        tokio::join!(webhook.tell(&letter), serve(listener, answers))
    }

    #[tokio::test]
    async fn the_event_is_posted_as_json() {
        let (told, asked) = told(vec!["204 No Content"]).await;
        told.unwrap();
        let request = asked[0].to_ascii_lowercase();
        assert!(
            request.starts_with("post /hook?a=b http/1.1\r\n"),
            "{request}"
        );
        assert!(request.contains("\r\ncontent-type: application/json\r\n"));
        assert!(request.ends_with("\r\n\r\n{\"event\":\"quota.low\"}"));
    }

    #[tokio::test]
    async fn what_may_pass_is_tried_three_times() {
        let (first, asked) = told(vec!["503 Busy", "", "200 OK"]).await;
        first.unwrap();
        assert_eq!(asked.len(), 3);
        let (last, _) = told(vec!["500 No", "429 Slow", "502 Bad"]).await;
        let error = last.unwrap_err();
        assert_eq!(error.to_string(), "the webhook answered 502 Bad Gateway");
    }

    #[tokio::test]
    async fn what_cannot_pass_is_tried_once() {
        for answer in ["404 Not Found", "301 Moved", "400 Bad"] {
            let (told, _) = told(vec![answer]).await;
            assert!(matches!(told, Err(WebhookError::Refused(_))), "{told:?}");
        }
    }

    #[tokio::test]
    async fn nobody_there_is_an_error() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let mut webhook = Webhook::new(&format!("http://127.0.0.1:{port}/secret")).unwrap();
        webhook.delays = [Duration::ZERO; 2];
        assert!(!format!("{webhook:?}").contains("secret"));
        let letter = Letter {
            name: "quota.low",
            json: "{}".into(),
        };
        let error = webhook.tell(&letter).await.unwrap_err();
        assert!(matches!(error, WebhookError::Unanswered(_)), "{error:?}");
        assert!(!one_line(&error).contains("secret"), "{error:?}");
    }
}

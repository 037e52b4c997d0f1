//! Tells an event to a URL: the JSON by POST, tried again where that may help.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{Method, Request, StatusCode, Uri};
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};

use super::outbox::Letter;

/// From the connection's begin to the answer's head, for each try.
pub const TRY_TIMEOUT: Duration = Duration::from_secs(10);
/// How long is waited before the second try and the third.
pub const DELAYS: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(10)];

const AGENT: &str = concat!("onedoor/", env!("CARGO_PKG_VERSION"));

/// A URL and a client for it. Shows neither: such URLs carry tokens.
#[derive(Clone)]
pub struct Webhook {
    url: Uri,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    delays: [Duration; 2],
}

/// Why a URL did not take an event.
#[derive(Debug)]
pub enum WebhookError {
    /// Nothing was answered in time.
    TimedOut,
    /// No connection, or one that broke.
    Broken(hyper_util::client::legacy::Error),
    /// Anything but success; redirects are not followed.
    Refused(StatusCode),
    /// The URL cannot be asked for.
    BadRequest(http::Error),
}

impl Webhook {
    /// A client that trusts the system's roots, which are read now.
    ///
    /// # Errors
    /// When this is no URL, or TLS cannot be set up.
    pub fn new(url: &str) -> Result<Self, NoWebhook> {
        let url: Uri = url.parse().map_err(NoWebhook::BadUrl)?;
        let mut roots = RootCertStore::empty();
        // What cannot be read is not trusted; a server that needs it is told of when it is met.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(NoWebhook::Tls)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(config)
            .https_or_http()
            .enable_http1()
            .build();
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .build(connector);
        Ok(Self {
            url,
            client,
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
            .uri(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, AGENT)
            .body(Full::new(Bytes::copy_from_slice(letter.json.as_bytes())))
            .map_err(WebhookError::BadRequest)?;
        let answer = tokio::time::timeout(TRY_TIMEOUT, self.client.request(request))
            .await
            .map_err(|_elapsed| WebhookError::TimedOut)?
            .map_err(WebhookError::Broken)?;
        if answer.status().is_success() {
            Ok(())
        } else {
            Err(WebhookError::Refused(answer.status()))
        }
    }
}

impl WebhookError {
    fn may_pass(&self) -> bool {
        match self {
            Self::TimedOut | Self::Broken(_) => true,
            Self::Refused(status) => {
                status.is_server_error()
                    || *status == StatusCode::TOO_MANY_REQUESTS
                    || *status == StatusCode::REQUEST_TIMEOUT
            }
            Self::BadRequest(_) => false,
        }
    }
}

/// Why there is no client.
#[derive(Debug)]
pub enum NoWebhook {
    BadUrl(http::uri::InvalidUri),
    Tls(rustls::Error),
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook").finish_non_exhaustive()
    }
}

impl fmt::Display for NoWebhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadUrl(_) => f.write_str("the webhook is no URL"),
            Self::Tls(_) => f.write_str("TLS cannot be set up for the webhook"),
        }
    }
}

impl std::error::Error for NoWebhook {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::BadUrl(error) => Some(error),
            Self::Tls(error) => Some(error),
        }
    }
}

impl fmt::Display for WebhookError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut => f.write_str("the webhook did not answer in time"),
            Self::Broken(_) => f.write_str("the webhook could not be reached"),
            Self::Refused(status) => write!(f, "the webhook answered {status}"),
            Self::BadRequest(_) => f.write_str("the webhook cannot be asked for"),
        }
    }
}

impl std::error::Error for WebhookError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Broken(error) => Some(error),
            Self::BadRequest(error) => Some(error),
            Self::TimedOut | Self::Refused(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

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
        assert!(request.contains(&format!("\r\nuser-agent: {AGENT}\r\n")));
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
        assert!(matches!(error, WebhookError::Broken(_)), "{error:?}");
    }
}

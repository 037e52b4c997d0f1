//! A small HTTP client for the interfaces of providers: one request, one short answer, no redirects, nothing kept open.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::request::Builder;
use http::{HeaderValue, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use tokio::time::timeout;

const CONNECT_PATIENCE: Duration = Duration::from_secs(10);
/// From the connection to the last octet of the answer.
const PATIENCE: Duration = Duration::from_secs(30);
const ANSWER_BYTES_MAX: usize = 1 << 20;
const AGENT: &str = concat!("onedoor/", env!("CARGO_PKG_VERSION"));
/// How much of an answer a message shows.
const SHOWN_CHARS_MAX: usize = 300;

/// Trusts the system's roots.
#[derive(Debug)]
pub(in crate::certs) struct Client(legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

/// The whole answer.
#[derive(Debug)]
pub(in crate::certs) struct Answer {
    pub(in crate::certs) status: StatusCode,
    pub(super) body: Bytes,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum HttpError {
    TimedOut(Duration),
    /// The address or a header cannot be written.
    Unwritable(http::Error),
    Unreachable(legacy::Error),
    /// Too long, or cut off.
    Unreadable(Box<dyn std::error::Error + Send + Sync>),
}

impl Client {
    pub(in crate::certs) fn new() -> Self {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let tls = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("aws-lc-rs has all versions of TLS that rustls has")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(CONNECT_PATIENCE));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        Self(
            legacy::Client::builder(TokioExecutor::new())
                .pool_max_idle_per_host(0)
                .build(connector),
        )
    }

    /// Sends a request, with a body of JSON if there is one, and reads the answer to its end.
    pub(in crate::certs) async fn send(
        &self,
        request: Builder,
        body: Option<&Value>,
    ) -> Result<Answer, HttpError> {
        let mut request = request.header(USER_AGENT, AGENT);
        if body.is_some() {
            request = request.header(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let octets = body.map(Value::to_string).unwrap_or_default();
        let request = request
            .body(Full::from(octets))
            .map_err(HttpError::Unwritable)?;
        let exchange = async {
            let (head, body) = self
                .0
                .request(request)
                .await
                .map_err(HttpError::Unreachable)?
                .into_parts();
            let whole = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
            Ok(Answer {
                status: head.status,
                body: whole.map_err(HttpError::Unreadable)?.to_bytes(),
            })
        };
        timeout(PATIENCE, exchange)
            .await
            .map_err(|_elapsed| HttpError::TimedOut(PATIENCE))?
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

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut(patience) => write!(f, "no answer within {} s", patience.as_secs()),
            Self::Unwritable(error) => write!(f, "that is no address or no header: {error}"),
            Self::Unreachable(error) => {
                write!(f, "{error}")?;
                let mut cause = std::error::Error::source(error);
                while let Some(error) = cause {
                    write!(f, ": {error}")?;
                    cause = error.source();
                }
                Ok(())
            }
            Self::Unreadable(error) => write!(f, "its answer cannot be read: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::Request;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    async fn answered(length: usize) -> Result<Answer, HttpError> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let asked = stream.read(&mut [0; 4096]).await.unwrap();
            assert_ne!(asked, 0);
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
            stream.write_all(head.as_bytes()).await.unwrap();
            // The client may hang up before the end.
            let _cut = stream.write_all(&vec![b' '; length]).await;
        };
        let client = Client::new();
        let request = Request::get(format!("http://{address}/"));
        let (answer, ()) = tokio::join!(client.send(request, None), serve);
        answer
    }

    #[tokio::test]
    async fn answers_are_read_up_to_their_limit() {
        let longest = answered(ANSWER_BYTES_MAX).await.unwrap();
        assert_eq!(longest.body.len(), ANSWER_BYTES_MAX);
        let longer = answered(ANSWER_BYTES_MAX + 1).await;
        assert!(
            matches!(longer, Err(HttpError::Unreadable(_))),
            "{longer:?}"
        );
    }

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

//! Replies of our own: short, the same everywhere, with a stable code for machines and words for whoever sits at the machine itself.

use std::borrow::Cow;

use bytes::Bytes;
use http::header::{
    ACCEPT, ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, Version};

use super::accept::prefers_json;
use super::context::{Held, Table};

/// An answer that no upstream gave.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: StatusCode,
    /// Stable, lower case, with hyphens: `unknown-host`, `upstream-refused`.
    pub code: &'static str,
    /// What happened and what to do, in a sentence.
    pub words: Words,
    pub connection: Connection,
    /// Seconds after which it is worth asking again, if that is known.
    pub retry_after: Option<u32>,
}

/// A reply's sentence.
#[derive(Debug, Clone)]
pub enum Words {
    Written(Cow<'static, str>),
    /// Written from the table, for those alone who are told.
    Of(Held<Table>, fn(&Table) -> String),
}

/// What becomes of the client's connection after a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connection {
    Keep,
    /// Framing is in doubt, or the request's body is not wanted.
    Close,
}

/// Who reads a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// A loopback peer: told everything.
    Local,
    /// Told the code, not how this machine is set up.
    Remote,
}

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// R9110 15.5.6 wants a list; what an upstream allows is not known here.
const ALLOWED: HeaderValue =
    HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");

impl Reply {
    /// A reply after which the connection may go on.
    #[must_use]
    pub fn new(status: StatusCode, code: &'static str, words: impl Into<Words>) -> Self {
        Self {
            status,
            code,
            words: words.into(),
            connection: Connection::Keep,
            retry_after: None,
        }
    }

    /// The same reply, after which the connection ends.
    #[must_use]
    pub fn closing(self) -> Self {
        Self {
            connection: Connection::Close,
            ..self
        }
    }

    /// The same reply, which says when to ask again.
    #[must_use]
    pub fn retried_after(self, seconds: u32) -> Self {
        Self {
            retry_after: Some(seconds),
            ..self
        }
    }

    /// The whole response, in the form that the request's `Accept` prefers. `version` is the request's.
    #[must_use]
    pub fn into_response(
        self,
        version: Version,
        request: &HeaderMap,
        request_id: &HeaderValue,
        audience: Audience,
    ) -> Response<Bytes> {
        let words = match audience {
            Audience::Local => Some(self.words.written()),
            Audience::Remote => None,
        };
        let words = words.as_deref();
        let (content_type, body) = if prefers_json(&request.get_all(ACCEPT)) {
            ("application/json", self.json(request_id, words))
        } else {
            ("text/plain; charset=utf-8", self.text(request_id, words))
        };
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(X_REQUEST_ID, request_id.clone());
        if self.status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(ALLOW, ALLOWED);
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.connection == Connection::Close && version < Version::HTTP_2 {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    fn text(&self, request_id: &HeaderValue, words: Option<&str>) -> String {
        let mut text = format!("{}: {}\n", self.status, self.code);
        if let Some(words) = words {
            text.push_str(words);
            text.push('\n');
        }
        text.push_str("request ");
        text.push_str(request_id.to_str().unwrap_or_default());
        text.push('\n');
        text
    }

    fn json(&self, request_id: &HeaderValue, words: Option<&str>) -> String {
        let mut object = serde_json::json!({
            "status": self.status.as_u16(),
            "error": self.code,
            "request_id": request_id.to_str().unwrap_or_default(),
        });
        if let Some(words) = words {
            object["message"] = words.into();
        }
        format!("{object}\n")
    }
}

impl Words {
    fn written(&self) -> Cow<'_, str> {
        match self {
            Self::Written(words) => Cow::Borrowed(words),
            Self::Of(table, write) => Cow::Owned(write(table)),
        }
    }
}

impl<W: Into<Cow<'static, str>>> From<W> for Words {
    fn from(words: W) -> Self {
        Self::Written(words.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::testing::table;

    fn reply() -> Reply {
        Reply::new(
            StatusCode::BAD_GATEWAY,
            "upstream-refused",
            "nobody listens on \"localhost:3001\"",
        )
    }

    fn response(reply: Reply, accept: &'static str, audience: Audience) -> Response<Bytes> {
        let mut request = HeaderMap::new();
        request.insert(ACCEPT, HeaderValue::from_static(accept));
        let request_id = HeaderValue::from_static("0198");
        reply.into_response(Version::HTTP_11, &request, &request_id, audience)
    }

    #[test]
    fn strangers_get_the_code_alone() {
        let response = response(reply(), "*/*", Audience::Remote);
        assert_eq!(
            response.body(),
            "502 Bad Gateway: upstream-refused\nrequest 0198\n"
        );
        assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
        assert_eq!(response.headers()[X_CONTENT_TYPE_OPTIONS], "nosniff");
        assert_eq!(response.headers()[X_REQUEST_ID], "0198");
        assert!(!response.headers().contains_key(CONNECTION));
    }

    #[test]
    fn the_machines_own_user_gets_the_words() {
        let response = response(reply(), "text/html", Audience::Local);
        let expected = "502 Bad Gateway: upstream-refused\n\
                        nobody listens on \"localhost:3001\"\nrequest 0198\n";
        assert_eq!(response.body(), expected);
    }

    #[test]
    fn nothing_is_written_for_those_who_are_not_told() {
        let of = |write| Words::Of(Held::new(table()), write);
        let words = of(|table| table.routes.revision.to_string());
        let lost = Reply::new(StatusCode::NOT_FOUND, "unknown-host", words);
        let told = response(lost.clone(), "*/*", Audience::Local);
        assert_eq!(
            told.body(),
            "404 Not Found: unknown-host\n7\nrequest 0198\n"
        );
        let unwritable = Reply {
            words: of(|_table| unreachable!("nobody asked")),
            ..lost
        };
        let told = response(unwritable, "*/*", Audience::Remote);
        assert_eq!(told.body(), "404 Not Found: unknown-host\nrequest 0198\n");
    }

    #[test]
    fn programs_get_json() {
        let response = response(reply(), "application/json", Audience::Local);
        let body: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
        assert_eq!(body["status"], 502);
        assert_eq!(body["error"], "upstream-refused");
        assert_eq!(body["request_id"], "0198");
        assert_eq!(body["message"], "nobody listens on \"localhost:3001\"");
        assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
    }

    #[test]
    fn close_is_said_in_http1_only() {
        let request_id = HeaderValue::from_static("0198");
        let says_close = |version| {
            reply()
                .closing()
                .into_response(version, &HeaderMap::new(), &request_id, Audience::Remote)
                .headers()
                .contains_key(CONNECTION)
        };
        assert!(says_close(Version::HTTP_10));
        assert!(says_close(Version::HTTP_11));
        assert!(!says_close(Version::HTTP_2));
    }

    #[test]
    fn a_refused_method_comes_with_a_list() {
        let refused = Reply::new(StatusCode::METHOD_NOT_ALLOWED, "connect", "");
        let response = response(refused, "*/*", Audience::Remote);
        assert_eq!(response.headers()[ALLOW], ALLOWED);
    }
}

//! Replies of our own: short, the same everywhere, with a stable code for machines and words for whoever sits at the machine itself.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{
    ACCEPT, ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, RETRY_AFTER,
    WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, Version};

use super::accept::{Form, preferred};
use super::context::{Held, Table};
use super::pages::{self, Told, WAIT_SECONDS};
use super::visit::Visit;
use crate::config::pages::{ErrorPage, page_for};

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
    /// `WWW-Authenticate`: what the client has to bring.
    pub challenge: Option<Box<HeaderValue>>,
    /// The server of this machine that is not there yet, for browsers that can wait for it.
    pub awaited: Option<Box<str>>,
    /// The site's own pages.
    pub pages: Option<Arc<[ErrorPage]>>,
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

impl Audience {
    /// Who sits at the other end of a connection, as long as nobody says that it asks for somebody else.
    #[must_use]
    pub fn of(visit: &Visit) -> Self {
        if visit.is_local() {
            Self::Local
        } else {
            Self::Remote
        }
    }
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
            challenge: None,
            awaited: None,
            pages: None,
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
        mut self,
        version: Version,
        request: &HeaderMap,
        request_id: &HeaderValue,
        audience: Audience,
    ) -> Response<Bytes> {
        let form = preferred(&request.get_all(ACCEPT));
        if audience == Audience::Remote || form != Form::Html {
            self.awaited = None;
        }
        let words = match audience {
            Audience::Local => Some(self.words.written()),
            Audience::Remote => None,
        };
        let told = Told {
            status: self.status,
            code: self.code,
            request_id: request_id.to_str().unwrap_or_default(),
            words: words.as_deref(),
        };
        let (content_type, body, is_ours) = match form {
            Form::Json => ("application/json", self.json(told).into(), false),
            Form::Text => ("text/plain; charset=utf-8", self.text(told).into(), false),
            Form::Html => {
                let (body, is_ours) = html(told, self.pages.as_deref(), &mut self.awaited);
                ("text/html; charset=utf-8", body, is_ours)
            }
        };
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(X_REQUEST_ID, request_id.clone());
        if self.status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(ALLOW, ALLOWED);
        }
        if let Some(challenge) = self.challenge {
            headers.insert(WWW_AUTHENTICATE, *challenge);
        }
        if is_ours {
            headers.insert(CONTENT_SECURITY_POLICY, pages::POLICY);
        }
        let waits = self.awaited.is_some().then_some(WAIT_SECONDS);
        if let Some(seconds) = self.retry_after.or(waits) {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.connection == Connection::Close && version < Version::HTTP_2 {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    fn text(&self, told: Told<'_>) -> String {
        let mut text = format!("{}: {}\n", self.status, self.code);
        if let Some(words) = told.words {
            text.push_str(words);
            text.push('\n');
        }
        text.push_str("request ");
        text.push_str(told.request_id);
        text.push('\n');
        text
    }

    fn json(&self, told: Told<'_>) -> String {
        let mut object = serde_json::json!({
            "status": self.status.as_u16(),
            "error": self.code,
            "request_id": told.request_id,
        });
        if let Some(words) = told.words {
            object["message"] = words.into();
        }
        format!("{object}\n")
    }
}

/// The site's own page, which does not wait, else ours; and whether it is ours.
fn html(
    told: Told<'_>,
    pages: Option<&[ErrorPage]>,
    awaited: &mut Option<Box<str>>,
) -> (Bytes, bool) {
    let own = pages.and_then(|pages| page_for(pages, told.status));
    if let Some(own) = own.filter(|own| !own.pieces.is_empty()) {
        *awaited = None;
        return (pages::own(own, told), false);
    }
    let body = match awaited {
        Some(awaited) => pages::waiting(awaited, told),
        None => pages::built_in(told),
    };
    (body, true)
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
    fn browsers_get_a_page_and_only_the_machines_own_user_its_words() {
        for (audience, is_told) in [(Audience::Local, true), (Audience::Remote, false)] {
            let response = response(reply(), "text/html,*/*;q=0.8", audience);
            let page = std::str::from_utf8(response.body()).unwrap();
            assert_eq!(response.headers()[CONTENT_TYPE], "text/html; charset=utf-8");
            assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
            assert_eq!(response.headers()[CONTENT_SECURITY_POLICY], pages::POLICY);
            assert!(page.contains("upstream-refused · request 0198"), "{page}");
            assert_eq!(
                page.contains("nobody listens on &quot;localhost:3001"),
                is_told
            );
        }
    }

    #[test]
    fn a_browser_of_this_machine_waits_for_what_is_not_there_yet() {
        let awaiting = || Reply {
            awaited: Some("localhost:3001".into()),
            ..reply()
        };
        let page = |accept, audience| response(awaiting(), accept, audience);
        let waits = page("text/html", Audience::Local);
        assert_eq!(waits.headers()[RETRY_AFTER], "1");
        let text = std::str::from_utf8(waits.body()).unwrap();
        assert!(text.contains("http-equiv=\"refresh\""), "{text}");
        assert!(
            text.contains("Nothing listens on localhost:3001 yet"),
            "{text}"
        );
        for (accept, audience) in [
            ("text/html", Audience::Remote),
            ("*/*", Audience::Local),
            ("application/json", Audience::Local),
        ] {
            let gone = page(accept, audience);
            assert!(!gone.headers().contains_key(RETRY_AFTER), "{accept}");
            assert!(!gone.body().windows(7).any(|part| part == b"refresh"));
        }
    }

    #[test]
    fn the_sites_own_page_is_shown_to_browsers_alone() {
        let piece = crate::config::pages::PagePiece::Text(Bytes::from_static(b"sorry"));
        let page = ErrorPage {
            of: crate::config::pages::Statuses::Class(5),
            page: Arc::new(crate::config::pages::Page {
                pieces: Box::new([piece]),
            }),
        };
        let own = || Reply {
            pages: Some(Arc::new([page.clone()])),
            awaited: Some("localhost:3001".into()),
            ..reply()
        };
        let shown = response(own(), "text/html", Audience::Local);
        assert_eq!(shown.body(), "sorry");
        assert!(!shown.headers().contains_key(CONTENT_SECURITY_POLICY));
        assert!(!shown.headers().contains_key(RETRY_AFTER));
        let json = response(own(), "application/json", Audience::Local);
        assert!(serde_json::from_slice::<serde_json::Value>(json.body()).is_ok());
        let other = Reply {
            status: StatusCode::NOT_FOUND,
            ..own()
        };
        assert_ne!(
            response(other, "text/html", Audience::Local).body(),
            "sorry"
        );
    }

    #[test]
    fn the_machines_own_user_gets_the_words() {
        let response = response(reply(), "*/*", Audience::Local);
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

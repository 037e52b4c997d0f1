//! What browsers get instead of an answer: a site's own pages, ours, and one that waits for a server of this machine.

mod markup;

use bytes::{BufMut as _, Bytes, BytesMut};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

use crate::config::pages::{Page, PagePiece};
use markup::{Escaped, document};

/// Our own pages have a style, no script, and nothing from elsewhere. The hash is that of the style (CSP 3, section 2.3.1).
pub(super) const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'sha256-obHBGvRwZPUffvjTnnOTUZHXREOaadkTgozC++PPZA4='; base-uri 'none'; form-action 'none'",
);
/// After which time the waiting page asks again.
pub(super) const WAIT_SECONDS: u32 = 1;

const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");

/// What a page tells of a reply.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told<'a> {
    pub(super) status: StatusCode,
    pub(super) code: &'a str,
    pub(super) request_id: &'a str,
    /// For those alone who may know how this machine is set up.
    pub(super) words: Option<&'a str>,
}

/// A site's own page.
pub(super) fn own(page: &Page, told: Told<'_>) -> Bytes {
    let mut body = BytesMut::with_capacity(length(page));
    for piece in &page.pieces {
        match piece {
            PagePiece::Text(text) => body.put_slice(text),
            PagePiece::Status => body.put_slice(told.status.as_str().as_bytes()),
            PagePiece::Reason => put(&mut body, reason(told.status)),
            PagePiece::Code => put(&mut body, told.code),
            PagePiece::RequestId => put(&mut body, told.request_id),
        }
    }
    body.freeze()
}

/// The page of sites that have none of their own.
pub(super) fn built_in(told: Told<'_>) -> Bytes {
    let (status, title) = (told.status, reason(told.status));
    let words = told.words.filter(|words| !words.is_empty());
    let words = words.map_or_else(String::new, |words| {
        format!("<p class=\"words\">{}</p>\n", Escaped(words))
    });
    let main = format!(
        "<p class=\"status\">{}</p>\n<h1>{}</h1>\n<p>{}</p>\n{words}{}",
        status.as_str(),
        Escaped(title),
        Escaped(sentence(status)),
        footer(told),
    );
    document(&format!("{} {title}", status.as_str()), "", &main).into()
}

/// The page that asks again by itself until `awaited` answers.
pub(super) fn waiting(awaited: &str, told: Told<'_>) -> Bytes {
    let title = format!("Waiting for {awaited}");
    let again = format!("<meta http-equiv=\"refresh\" content=\"{WAIT_SECONDS}\">\n");
    let main = format!(
        "<p class=\"status\"><span class=\"dot\"></span>{}</p>\n\
         <h1>Nothing listens on {} yet</h1>\n\
         <p>Start it, and this page goes on by itself.</p>\n{}",
        Escaped(&title),
        Escaped(awaited),
        footer(told),
    );
    document(&title, &again, &main).into()
}

/// Whether a browser asks for a page to show, so that it could wait for it.
pub(super) fn is_navigation(head: &Parts) -> bool {
    head.method == Method::GET && navigates(&head.headers)
}

fn navigates(fields: &HeaderMap) -> bool {
    fields
        .get(SEC_FETCH_MODE)
        .is_none_or(|mode| mode == "navigate")
}

fn footer(told: Told<'_>) -> String {
    format!(
        "<footer>{} · request {}</footer>",
        Escaped(told.code),
        Escaped(told.request_id)
    )
}

fn length(page: &Page) -> usize {
    const PLACEHOLDER: usize = 40;
    let lengths = page.pieces.iter().map(|piece| match piece {
        PagePiece::Text(text) => text.len(),
        PagePiece::Status | PagePiece::Reason | PagePiece::Code | PagePiece::RequestId => {
            PLACEHOLDER
        }
    });
    lengths.sum()
}

fn put(body: &mut BytesMut, text: &str) {
    body.put_slice(Escaped(text).to_string().as_bytes());
}

fn reason(status: StatusCode) -> &'static str {
    status.canonical_reason().unwrap_or("Error")
}

/// What a status means to somebody who wanted to see a page.
fn sentence(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED => "You need a name and a password to see this page.",
        StatusCode::FORBIDDEN => "This page is not for you.",
        StatusCode::NOT_FOUND | StatusCode::MISDIRECTED_REQUEST => {
            "There is nothing at this address."
        }
        StatusCode::PAYLOAD_TOO_LARGE => "What was sent is larger than this site takes.",
        StatusCode::TOO_MANY_REQUESTS => {
            "There were too many requests. Please wait a moment, then try again."
        }
        StatusCode::GATEWAY_TIMEOUT => {
            "The site takes too long to answer. Please try again in a moment."
        }
        status if status.is_server_error() => {
            "The site does not answer right now. Please try again in a moment."
        }
        _ => "The request could not be understood.",
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;
    use http::Request;

    use super::*;

    fn told(words: Option<&'static str>) -> Told<'static> {
        Told {
            status: StatusCode::BAD_GATEWAY,
            code: "upstream-refused",
            request_id: "<0198>",
            words,
        }
    }

    fn text(body: &Bytes) -> &str {
        std::str::from_utf8(body).unwrap()
    }

    #[test]
    fn what_comes_from_outside_is_escaped() {
        let body = built_in(told(Some("<script>alert(\"&'\")</script>")));
        let page = text(&body);
        assert!(
            page.contains("&lt;script&gt;alert(&quot;&amp;&#39;&quot;)&lt;/script&gt;"),
            "{page}"
        );
        assert!(page.contains("request &lt;0198&gt;"), "{page}");
        assert!(!page.contains("<script"), "{page}");
        let body = waiting("unix:/<b>.sock", told(None));
        assert!(text(&body).contains("unix:/&lt;b&gt;.sock"));
        assert!(!text(&body).contains("<b>"));
    }

    #[test]
    fn strangers_find_no_words_in_our_page() {
        let page = built_in(told(None));
        assert!(!text(&page).contains("class=\"words\""));
        assert!(text(&page).contains("<title>502 Bad Gateway</title>"));
    }

    #[test]
    fn a_page_of_the_site_has_its_placeholders_filled() {
        let pieces = [
            PagePiece::Text(Bytes::from_static(b"<b>")),
            PagePiece::Status,
            PagePiece::Reason,
            PagePiece::Code,
            PagePiece::RequestId,
            PagePiece::Text(Bytes::from_static(b"</b>")),
        ];
        let page = Page {
            pieces: pieces.into(),
        };
        let body = own(&page, told(None));
        assert_eq!(
            text(&body),
            "<b>502Bad Gatewayupstream-refused&lt;0198&gt;</b>"
        );
    }

    #[test]
    fn the_policy_allows_exactly_the_style() {
        let digest =
            aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, markup::STYLE.as_bytes());
        let hash = format!("'sha256-{}'", BASE64_STANDARD.encode(digest));
        let policy = POLICY.to_str().unwrap().to_owned();
        assert!(policy.contains(&hash), "{policy} wants {hash}");
        let page = built_in(told(None));
        assert!(text(&page).contains(&format!("<style>{}</style>", markup::STYLE)));
    }

    #[test]
    fn who_fetches_does_not_navigate() {
        let asked = |method: Method, mode: Option<&str>| {
            let mut request = Request::builder().method(method);
            if let Some(mode) = mode {
                request = request.header(SEC_FETCH_MODE, mode);
            }
            is_navigation(&request.body(()).unwrap().into_parts().0)
        };
        assert!(asked(Method::GET, None) && asked(Method::GET, Some("navigate")));
        assert!(!asked(Method::GET, Some("cors")) && !asked(Method::POST, Some("navigate")));
    }
}

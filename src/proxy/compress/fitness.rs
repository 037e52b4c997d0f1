//! Whether an answer may be encoded, and what its head says when it is.

use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE,
    ETAG, VARY,
};
use http::response::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::media;

/// Content that is known to be smaller is left as it is: it would fit one packet anyway.
const LENGTH_MIN: u64 = 1024;

/// Digests of the octets before they were encoded: those of the content and of the representation count its codings in (RFC 9530
/// sections 2 and 3), and so did their elders.
const DIGESTS: [HeaderName; 4] = [
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("content-md5"),
];

/// Whether a client that takes a coding may get an answer in it; `length` is that of its content, if known. A 304 may stand for such
/// an answer even without a type.
pub(super) fn may_be_encoded(head: &Parts, length: Option<u64>) -> bool {
    let Parts {
        status, headers, ..
    } = head;
    let is_news = *status == StatusCode::NOT_MODIFIED;
    has_whole_content(*status)
        && has_kind(headers, is_news)
        && (is_news || length.is_none_or(|length| length >= LENGTH_MIN))
        && is_plain(headers)
        && !headers.contains_key(CONTENT_RANGE)
        && !has_directive(headers, "no-transform")
}

/// Caches must know that the answer depends on `Accept-Encoding`, whichever this one is.
pub(super) fn add_vary(headers: &mut HeaderMap) {
    let says = |name: &str| {
        let lines = headers.get_all(VARY).iter();
        let mut names = lines.flat_map(|line| line.as_bytes().split(|octet| *octet == b','));
        names.any(|known| known.trim_ascii().eq_ignore_ascii_case(name.as_bytes()))
    };
    if says("*") || says("accept-encoding") {
        return;
    }
    let own = HeaderValue::from_static("Accept-Encoding");
    match headers.get_mut(VARY) {
        Some(first) if !first.is_empty() => {
            let merged = [first.as_bytes(), b", Accept-Encoding"].concat();
            *first = HeaderValue::from_bytes(&merged).unwrap_or(own);
        }
        _ => {
            headers.insert(VARY, own);
        }
    }
}

/// The head of an answer whose content is encoded, or would be if it had any.
pub(super) fn encoded(head: &mut Parts, coding: &'static str) {
    let headers = &mut head.headers;
    if head.status != StatusCode::NOT_MODIFIED {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding));
    }
    for gone in [CONTENT_LENGTH, ACCEPT_RANGES] {
        headers.remove(gone);
    }
    without_digests(headers);
    weaken(headers);
}

/// Removes what encoding made untrue, from trailers too.
pub(super) fn without_digests(fields: &mut HeaderMap) {
    for digest in &DIGESTS {
        fields.remove(digest);
    }
}

/// Whether a status comes with all of a representation, or stands for it.
fn has_whole_content(status: StatusCode) -> bool {
    !status.is_informational()
        && !matches!(
            status,
            StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::PARTIAL_CONTENT
        )
}

fn has_kind(headers: &HeaderMap, is_news: bool) -> bool {
    match headers.get(CONTENT_TYPE) {
        Some(kind) => media::is_compressible(kind.as_bytes()),
        None => is_news,
    }
}

fn is_plain(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(CONTENT_ENCODING).iter();
    codings.all(|coding| coding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

fn has_directive(headers: &HeaderMap, name: &str) -> bool {
    let lines = headers.get_all(CACHE_CONTROL).iter();
    let mut directives = lines.flat_map(|line| line.as_bytes().split(|octet| *octet == b','));
    directives.any(|directive| directive.trim_ascii().eq_ignore_ascii_case(name.as_bytes()))
}

/// A strong tag names octets, and they are others now. What is no tag at all goes.
fn weaken(headers: &mut HeaderMap) {
    let Some(tag) = headers.get_mut(ETAG) else {
        return;
    };
    if tag.as_bytes().starts_with(b"W/") {
        return;
    }
    let weak = tag.as_bytes().starts_with(b"\"").then(|| {
        let weak = [b"W/", tag.as_bytes()].concat();
        HeaderValue::from_bytes(&weak)
    });
    match weak {
        Some(Ok(weak)) => *tag = weak,
        Some(Err(_)) | None => {
            headers.remove(ETAG);
        }
    }
}

#[cfg(test)]
mod tests {
    use http::Response;

    use super::*;
    use crate::proxy::testing::{fields_of, lines_of};

    fn head(status: u16, fields: &[&str]) -> Parts {
        let (mut head, ()) = Response::new(()).into_parts();
        head.status = StatusCode::from_u16(status).unwrap();
        head.headers = fields_of(fields);
        head
    }

    #[track_caller]
    fn check(status: u16, length: Option<u64>, fields: &[&str], expected: bool) {
        let fit = may_be_encoded(&head(status, fields), length);
        assert_eq!(fit, expected, "{status} {length:?} {fields:?}");
    }

    const TEXT: &str = "content-type: text/html; charset=utf-8";

    #[test]
    fn whole_text_of_some_length_may_be_encoded() {
        check(200, None, &[TEXT], true);
        check(200, Some(1024), &[TEXT], true);
        check(404, Some(5000), &[TEXT], true);
        check(200, None, &[TEXT, "content-encoding: Identity"], true);
        check(200, None, &[TEXT, "cache-control: no-transforms"], true);
    }

    #[test]
    fn all_else_may_not() {
        check(200, Some(1023), &[TEXT], false);
        check(200, Some(0), &[TEXT], false);
        check(200, None, &[], false);
        check(200, None, &["content-type: image/png"], false);
        check(200, None, &["content-type: application/grpc+json"], false);
        check(200, None, &[TEXT, "content-encoding: br"], false);
        check(200, None, &[TEXT, "content-encoding: identity, br"], false);
        check(200, None, &[TEXT, "content-range: bytes 0-1/2"], false);
        let quiet = "cache-control: public, No-Transform ,max-age=1";
        check(200, None, &[TEXT, quiet], false);
        for status in [101, 103, 204, 205, 206] {
            check(status, None, &[TEXT], false);
        }
    }

    #[test]
    fn a_304_stands_for_the_answer_it_saves() {
        check(304, None, &[], true);
        check(304, Some(0), &[TEXT], true);
        check(304, None, &["content-type: image/png"], false);
        let mut saved = head(304, &["etag: \"a\"", "content-length: 9"]);
        encoded(&mut saved, "gzip");
        assert_eq!(lines_of(&saved.headers), ["etag: W/\"a\""]);
    }

    #[track_caller]
    fn vary(before: &[&str], after: &[&str]) {
        let mut headers = fields_of(before);
        add_vary(&mut headers);
        assert_eq!(lines_of(&headers), after, "{before:?}");
    }

    #[test]
    fn vary_is_merged_and_not_doubled() {
        vary(&[], &["vary: Accept-Encoding"]);
        vary(&["vary: "], &["vary: Accept-Encoding"]);
        vary(&["vary: Origin"], &["vary: Origin, Accept-Encoding"]);
        vary(
            &["vary: Origin", "vary: Cookie"],
            &["vary: Origin, Accept-Encoding", "vary: Cookie"],
        );
        for as_it_is in [
            &["vary: *"][..],
            &["vary: accept-encoding"],
            &["vary: Origin, Accept-Encoding"],
            &["vary: Origin", "vary: Cookie,Accept-encoding"],
        ] {
            vary(as_it_is, as_it_is);
        }
    }

    #[test]
    fn what_encoding_makes_untrue_goes() {
        let mut answer = head(
            200,
            &[
                TEXT,
                "content-length: 5000",
                "accept-ranges: bytes",
                "content-digest: sha-256=:x:",
                "repr-digest: sha-256=:x:",
                "digest: sha-256=x",
                "content-md5: x",
                "etag: \"a\"",
                "last-modified: x",
            ],
        );
        encoded(&mut answer, "br");
        let expected = [
            TEXT,
            "etag: W/\"a\"",
            "last-modified: x",
            "content-encoding: br",
        ];
        let mut lines = lines_of(&answer.headers);
        lines.sort();
        let mut expected = expected.map(str::to_owned);
        expected.sort();
        assert_eq!(lines, expected);
    }

    #[test]
    fn tags_become_weak() {
        for (before, after) in [
            ("etag: \"a\"", Some("etag: W/\"a\"")),
            ("etag: W/\"a\"", Some("etag: W/\"a\"")),
            ("etag: a", None),
        ] {
            let mut headers = fields_of(&[before]);
            weaken(&mut headers);
            assert_eq!(lines_of(&headers).first().map(String::as_str), after);
        }
    }
}

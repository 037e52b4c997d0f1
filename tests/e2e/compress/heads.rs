//! Which answers are encoded, and what their heads say.

use super::{answer, compressing, text};
use crate::support::backend::Backend;
use crate::support::client::curl;
use crate::support::door::Door;
use crate::support::wire::{Answer, Wire};

const TEXT: &str = "Content-Type: text/plain";
const GZIP: &str = "Accept-Encoding: gzip\r\n";

/// An upstream whose answers have the fields that the request's path lists, behind slashes.
fn by_path() -> (Backend, Door) {
    let page = text(2_000);
    let backend = Backend::http(move |request| {
        let path = request.line().split(' ').nth(1).unwrap_or_default();
        let fields = path.replace("%20", " ").replace("%22", "\"");
        let fields: Vec<&str> = fields.split('|').skip(1).collect();
        answer(&fields, &page)
    });
    let door = compressing(&backend);
    (backend, door)
}

fn ask(door: &Door, fields: &[&str], more: &str) -> Answer {
    let path: String = fields.iter().map(|field| format!("|{field}")).collect();
    let path = path.replace(' ', "%20").replace('"', "%22");
    let request = format!("GET /{path} HTTP/1.1\r\nHost: b.test\r\n{more}\r\n");
    Wire::plain(door).ask(request)
}

#[test]
fn tags_become_weak_and_what_is_untrue_goes() {
    let (_backend, door) = by_path();
    let fields = [
        TEXT,
        "ETag: \"one\"",
        "Accept-Ranges: bytes",
        "Content-Digest: sha-256=:x:",
        "Repr-Digest: sha-256=:x:",
        "Content-MD5: x",
        "Vary: Origin",
    ];
    let coded = ask(&door, &fields, GZIP);
    assert_eq!(coded.field("content-encoding"), Some("gzip"));
    assert_eq!(coded.field("etag"), Some("W/\"one\""));
    assert_eq!(coded.all("vary"), ["Origin, Accept-Encoding"]);
    assert_eq!(coded.field("transfer-encoding"), Some("chunked"));
    for gone in [
        "content-length",
        "accept-ranges",
        "content-digest",
        "repr-digest",
        "content-md5",
    ] {
        assert_eq!(coded.field(gone), None, "{gone}");
    }
    let plain = ask(&door, &fields, "");
    assert_eq!(plain.field("content-encoding"), None);
    assert_eq!(plain.field("etag"), Some("\"one\""));
    assert_eq!(plain.all("vary"), ["Origin, Accept-Encoding"]);
    assert_eq!(plain.field("accept-ranges"), Some("bytes"));
    assert!(plain.field("content-length").is_some());
}

#[test]
fn what_must_not_be_encoded_stays_as_it_is() {
    let (_backend, door) = by_path();
    for fields in [
        &["Content-Type: image/png"][..],
        &["Content-Type: application/grpc+json"],
        &["Server: says nothing of its type"],
        &[TEXT, "Content-Encoding: deflate"],
        &[TEXT, "Cache-Control: private, no-transform"],
    ] {
        let answer = ask(&door, fields, GZIP);
        assert_eq!(answer.text(), text(2_000), "{fields:?}");
        assert_eq!(answer.field("vary"), None, "{fields:?}");
    }
}

#[test]
fn small_and_partial_answers_stay_as_they_are() {
    let backend = Backend::http(|request| {
        let body = text(2_000);
        if request.field("range").is_some() {
            let part = &body[..1500];
            let head = "HTTP/1.1 206 Partial Content\r\nContent-Type: text/plain\r\n\
                        Content-Range: bytes 0-1499/9999\r\nContent-Length: 1500\r\n\r\n";
            return format!("{head}{part}").into_bytes();
        }
        answer(&[TEXT], &body[..1023])
    });
    let door = compressing(&backend);
    let small = ask(&door, &[], GZIP);
    assert_eq!(small.field("content-encoding"), None);
    assert_eq!(small.body.len(), 1023);
    let part = ask(&door, &[], &format!("{GZIP}Range: bytes=0-1499\r\n"));
    assert_eq!((part.status(), part.body.len()), (206, 1500));
    assert_eq!(part.field("content-encoding"), None);
    assert_eq!(backend.seen()[1].field("range"), Some("bytes=0-1499"));
}

#[test]
fn head_says_what_get_would_say() {
    let backend = Backend::http(|_request| {
        b"HTTP/1.1 200 OK\r\nContent-Type: text/css\r\nContent-Length: 5000\r\nETag: \"x\"\r\n\r\n"
            .to_vec()
    });
    let door = compressing(&backend);
    let mut wire = Wire::tls(&door, "a.test");
    let request = format!("HEAD / HTTP/1.1\r\nHost: a.test\r\n{GZIP}\r\n");
    for _ in 0..2 {
        wire.send(&request);
        let head = wire.head().unwrap();
        assert_eq!(head.field("content-encoding"), Some("gzip"));
        assert_eq!(head.field("vary"), Some("Accept-Encoding"));
        assert_eq!(head.field("etag"), Some("W/\"x\""));
        assert_eq!(head.field("content-length"), None);
        assert_eq!(head.field("transfer-encoding"), None);
    }
    let options = ["--head", "--http2", "-H", "Accept-Encoding: br"];
    let (code, head) = curl(&door, "a.test", "/", &options);
    assert_eq!(code, 0, "{head}");
    assert!(head.contains("content-encoding: br\r\n"), "{head}");
    assert!(!head.contains("content-length"), "{head}");
}

#[test]
fn a_weak_tag_that_comes_back_is_compared_by_the_upstream() {
    let backend = Backend::http(|request| match request.field("if-none-match") {
        // A weak comparison, as RFC 9110 section 13.1.2 wants it.
        Some(tags) if tags.contains("\"one\"") => {
            b"HTTP/1.1 304 Not Modified\r\nETag: \"one\"\r\n\r\n".to_vec()
        }
        _ => answer(&[TEXT, "ETag: \"one\""], &text(2_000)),
    });
    let door = compressing(&backend);
    let first = ask(&door, &[], GZIP);
    let tag = first.field("etag").unwrap().to_owned();
    let again = ask(&door, &[], &format!("{GZIP}If-None-Match: {tag}\r\n"));
    assert_eq!(again.status(), 304);
    assert_eq!(again.field("etag"), Some(tag.as_str()));
    assert_eq!(again.field("vary"), Some("Accept-Encoding"));
    assert_eq!(again.field("content-encoding"), None);
    assert_eq!(backend.seen()[1].field("if-none-match"), Some("W/\"one\""));
}

#[test]
fn clients_that_know_no_chunks_get_a_length() {
    let (_backend, door) = by_path();
    let path = format!("/|{}", TEXT.replace(' ', "%20"));
    let request = format!("GET {path} HTTP/1.0\r\nHost: b.test\r\n{GZIP}\r\n");
    let answer = Wire::plain(&door).ask(request);
    assert_eq!(answer.field("content-encoding"), None);
    assert_eq!(answer.field("vary"), Some("Accept-Encoding"));
    assert_eq!(answer.text(), text(2_000));
}

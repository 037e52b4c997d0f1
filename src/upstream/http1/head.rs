//! Heads on the wire: a request's written, an answer's read (RFC 9112 sections 3 to 5).

use std::fmt;
use std::mem::MaybeUninit;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::CONNECTION;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Version, request, response,
};

use crate::framing::Framing;

/// Octets of an answer's head.
pub(super) const HEAD_OCTETS_MAX: usize = 64 << 10;
/// Fields of an answer's head.
const FIELDS_MAX: usize = 256;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");

/// Why an answer is no HTTP/1.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BadHead {
    Status,
    Fields,
    TooLarge,
    /// One interim answer after the other, and never a final one.
    Interim,
}

/// How an answer's body ends (RFC 9112 section 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ends {
    AtOnce,
    After(u64),
    WithLastChunk,
    WithConnection,
}

/// Writes a request's head.
pub(super) fn write(out: &mut Vec<u8>, head: &request::Parts) {
    out.extend_from_slice(head.method.as_str().as_bytes());
    out.push(b' ');
    let target = head
        .uri
        .path_and_query()
        .map_or("/", |target| target.as_str());
    out.extend_from_slice(target.as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\n");
    write_fields(out, &head.headers);
}

/// Writes fields, and the empty line behind them.
pub(super) fn write_fields(out: &mut Vec<u8>, fields: &HeaderMap) {
    for (name, value) in fields {
        out.extend_from_slice(name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

/// Takes an answer's head out of `input` once it is whole.
pub(super) fn read(input: &mut BytesMut) -> Result<Option<response::Parts>, BadHead> {
    let Some(outline) = outline(input)? else {
        return Ok(None);
    };
    let octets = input.split_to(outline.length).freeze();
    let (mut head, ()) = Response::new(()).into_parts();
    head.status = StatusCode::from_u16(outline.status).map_err(|_number| BadHead::Status)?;
    head.version = outline.version;
    head.headers = HeaderMap::with_capacity(outline.fields.len());
    for field in &outline.fields {
        let (name, value) = field.of(&octets)?;
        head.headers.append(name, value);
    }
    Ok(Some(head))
}

/// Where the parts of a head lie.
struct Outline {
    status: u16,
    version: Version,
    fields: Vec<Field>,
    length: usize,
}

struct Field {
    name: (usize, usize),
    value: (usize, usize),
}

fn outline(input: &[u8]) -> Result<Option<Outline>, BadHead> {
    let mut space = [const { MaybeUninit::uninit() }; FIELDS_MAX];
    let mut answer = httparse::Response::new(&mut []);
    let parsed = httparse::ParserConfig::default().parse_response_with_uninit_headers(
        &mut answer,
        input,
        &mut space,
    );
    let length = match parsed {
        Ok(httparse::Status::Complete(length)) if length <= HEAD_OCTETS_MAX => length,
        Ok(httparse::Status::Partial) if input.len() <= HEAD_OCTETS_MAX => return Ok(None),
        Ok(_) | Err(httparse::Error::TooManyHeaders) => return Err(BadHead::TooLarge),
        Err(httparse::Error::HeaderName | httparse::Error::HeaderValue) => {
            return Err(BadHead::Fields);
        }
        Err(_) => return Err(BadHead::Status),
    };
    let place = |text: &[u8]| {
        let start = text.as_ptr().addr() - input.as_ptr().addr();
        (start, start + text.len())
    };
    let fields = answer.headers.iter().map(|field| Field {
        name: place(field.name.as_bytes()),
        value: place(field.value),
    });
    Ok(Some(Outline {
        status: answer.code.ok_or(BadHead::Status)?,
        version: match answer.version {
            Some(0) => Version::HTTP_10,
            _ => Version::HTTP_11,
        },
        fields: fields.collect(),
        length,
    }))
}

impl Field {
    fn of(&self, octets: &Bytes) -> Result<(HeaderName, HeaderValue), BadHead> {
        let name = HeaderName::from_bytes(&octets[self.name.0..self.name.1]);
        let value = HeaderValue::from_maybe_shared(octets.slice(self.value.0..self.value.1));
        Ok((
            name.map_err(|_invalid| BadHead::Fields)?,
            value.map_err(|_invalid| BadHead::Fields)?,
        ))
    }
}

/// How the body of an answer to `method` ends. What cannot be said with certainty ends with the connection; such an answer is
/// refused where heads are judged, and its connection never used again.
pub(super) fn ends(head: &response::Parts, method: &Method) -> Ends {
    let has_none = *method == Method::HEAD
        || head.status.is_informational()
        || head.status == StatusCode::NO_CONTENT
        || head.status == StatusCode::NOT_MODIFIED;
    if has_none {
        return Ends::AtOnce;
    }
    match Framing::of(&head.headers) {
        Ok(Framing::Length(0)) => Ends::AtOnce,
        Ok(Framing::Length(length)) => Ends::After(length),
        Ok(Framing::Open) if head.version == Version::HTTP_11 => Ends::WithLastChunk,
        Ok(Framing::Open | Framing::Empty) | Err(_) => Ends::WithConnection,
    }
}

/// Whether the upstream keeps the connection after this answer (RFC 9112 section 9.3).
pub(super) fn keeps_connection(head: &response::Parts) -> bool {
    let says = |option: &[u8]| {
        head.headers
            .get_all(CONNECTION)
            .iter()
            .flat_map(|line| line.as_bytes().split(|octet| *octet == b','))
            .any(|said| said.trim_ascii().eq_ignore_ascii_case(option))
    };
    match head.version {
        Version::HTTP_11 => !says(b"close"),
        _ => says(b"keep-alive") && !says(b"close"),
    }
}

/// How long the upstream keeps the connection when nothing comes, if it says so: `Keep-Alive: timeout=5`, as Node.js and Apache do.
pub(super) fn kept_for(head: &response::Parts) -> Option<Duration> {
    // It stands beside a Connection field, which most answers do not have.
    head.headers.get(CONNECTION)?;
    let said = head.headers.get(KEEP_ALIVE)?.to_str().ok()?;
    let timeout = said.split(',').find_map(|parameter| {
        let (name, value) = parameter.trim().split_once('=')?;
        name.eq_ignore_ascii_case("timeout").then_some(value)
    })?;
    timeout.parse().ok().map(Duration::from_secs)
}

impl fmt::Display for BadHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Status => "the status line is not valid",
            Self::Fields => "a header field is not valid",
            Self::TooLarge => "the head is too large or has too many fields",
            Self::Interim => "too many interim answers",
        })
    }
}

impl std::error::Error for BadHead {}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: &str) -> Result<Option<response::Parts>, BadHead> {
        read(&mut BytesMut::from(text))
    }

    #[test]
    fn a_head_is_taken_when_it_is_whole_and_not_before() {
        let text = "HTTP/1.1 207 Multi Status\r\nX-A: 1\r\nset-cookie: a\r\nSet-Cookie: b\r\nempty:\r\n\r\n";
        for end in 0..text.len() {
            assert!(matches!(answer(&text[..end]), Ok(None)), "{end}");
        }
        let mut input = BytesMut::from(format!("{text}body").as_str());
        let head = read(&mut input).unwrap().unwrap();
        assert_eq!(input, "body");
        assert_eq!(
            (head.status.as_u16(), head.version),
            (207, Version::HTTP_11)
        );
        let fields: Vec<_> = head
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
            .collect();
        assert_eq!(
            fields,
            [
                ("x-a", "1"),
                ("set-cookie", "a"),
                ("set-cookie", "b"),
                ("empty", "")
            ]
        );
    }

    #[test]
    fn what_is_no_head_is_refused() {
        for status in [
            "",
            "ICY 200 OK",
            "HTTP/2 200 OK",
            "HTTP/1.1 20",
            "HTTP/1.1 2000 OK",
            "HTTP/1.1 099 x",
            "HTTP/1.1 -20 x",
            "HTTP/1.1200 OK",
        ] {
            let seen = answer(&format!("{status}\r\nx: y\r\n\r\n"))
                .map(|head| head.map(|head| head.status));
            assert_eq!(seen, Err(BadHead::Status), "{status}");
        }
        for field in [
            "x : y",
            " x: y",
            "x",
            ": y",
            "x: y\r\n z",
            "x: \u{0}",
            "x: a\rb",
        ] {
            let seen = answer(&format!("HTTP/1.1 200 OK\r\na: b\r\n{field}\r\n\r\n"))
                .map(|head| head.map(|head| head.status));
            assert_eq!(seen, Err(BadHead::Fields), "{field:?}");
        }
    }

    #[test]
    fn heads_have_limits() {
        let endless = format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(HEAD_OCTETS_MAX));
        assert_eq!(answer(&endless).err(), Some(BadHead::TooLarge));
        assert_eq!(
            answer(&format!("{endless}\r\n\r\n")).err(),
            Some(BadHead::TooLarge)
        );
        let many = "x: y\r\n".repeat(FIELDS_MAX + 1);
        assert_eq!(
            answer(&format!("HTTP/1.1 200 OK\r\n{many}\r\n")).err(),
            Some(BadHead::TooLarge)
        );
    }

    #[test]
    fn the_end_of_a_body_follows_from_status_method_and_fields() {
        let check = |method: Method, status: &str, fields: &str, expected: Ends| {
            let head = answer(&format!("HTTP/{status} x\r\n{fields}\r\n"))
                .unwrap()
                .unwrap();
            assert_eq!(
                ends(&head, &method),
                expected,
                "{method} {status} {fields:?}"
            );
        };
        let (length, chunked) = ("content-length: 5\r\n", "transfer-encoding: chunked\r\n");
        check(Method::GET, "1.1 200", length, Ends::After(5));
        check(Method::GET, "1.1 200", chunked, Ends::WithLastChunk);
        check(Method::GET, "1.1 200", "", Ends::WithConnection);
        check(Method::GET, "1.0 200", "", Ends::WithConnection);
        check(Method::GET, "1.0 200", chunked, Ends::WithConnection);
        check(
            Method::GET,
            "1.1 200",
            &format!("{length}{chunked}"),
            Ends::WithConnection,
        );
        check(
            Method::GET,
            "1.1 200",
            "content-length: 0\r\n",
            Ends::AtOnce,
        );
        check(Method::HEAD, "1.1 200", length, Ends::AtOnce);
        for status in ["1.1 103", "1.1 204", "1.1 304"] {
            check(Method::GET, status, length, Ends::AtOnce);
        }
    }

    #[test]
    fn a_connection_is_kept_unless_one_says_otherwise() {
        let keeps = |start: &str| {
            keeps_connection(&answer(&format!("HTTP/{start}\r\n\r\n")).unwrap().unwrap())
        };
        assert!(keeps("1.1 200 OK"));
        assert!(keeps("1.1 200 OK\r\nconnection: x-closed"));
        assert!(!keeps("1.1 200 OK\r\nconnection: x, Close"));
        assert!(!keeps("1.0 200 OK"));
        assert!(keeps("1.0 200 OK\r\nconnection: Keep-Alive"));
    }

    #[test]
    fn an_upstream_says_how_long_it_keeps_a_connection() {
        let kept = |fields: &str| {
            kept_for(
                &answer(&format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n"))
                    .unwrap()
                    .unwrap(),
            )
        };
        let with = |value: &str| kept(&format!("connection: keep-alive\r\nkeep-alive: {value}"));
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(with("timeout=5"), seconds(5));
        assert_eq!(with("max=100, Timeout=15"), seconds(15));
        assert_eq!(with("timeout=x"), None);
        assert_eq!(with("max=100"), None);
        assert_eq!(kept("x: y"), None);
    }
}

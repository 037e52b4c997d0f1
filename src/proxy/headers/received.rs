//! The judgement of a request head as the library read it: what it lets through and we do not, found in one pass.

use http::request::Parts;
use http::uri;
use http::{HeaderName, HeaderValue, Method, Version};

use super::authority::Authority;
use super::connection::{self, Trailers};
use super::facts::Scheme;
use super::field::{Kind, Kinds, classify};
use super::refusal::Refusal;
use super::upgrade::Upgrade;
use super::{hops, target};
use crate::config::Limits;
use crate::framing::{Framing, FramingFault};

/// What a head that may go on was found to say. The head itself stays with the caller.
#[derive(Debug, Clone)]
pub struct Received {
    /// Whom the request is for; none only in HTTP/1.0.
    pub authority: Option<Authority>,
    pub protocol: Protocol,
    pub method: Method,
    pub framing: Framing,
    /// The protocol switch that was asked for, if it is one we carry.
    pub upgrade: Option<Upgrade>,
    /// Whether the client takes trailers (`TE: trailers`).
    pub trailers: Trailers,
    pub(super) kinds: Kinds,
    /// What `Connection` names besides the fields that end here anyway.
    pub(super) listed: Vec<HeaderName>,
}

/// The version a request was received in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    Http10,
    Http11,
    Http2,
}

/// Whether an HTTP/2 stream went on after its head; in HTTP/1 the head itself says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    Follows,
    Absent,
}

/// Above this many fields a map could fail to grow, whatever the configuration allows.
pub(super) const FIELDS_MAX: usize = 16_000;

/// Octets around a field in HTTP/1.1 that are neither its name nor its value.
const FIELD_OVERHEAD: usize = 4;

impl Received {
    /// Judges a head as hyper's server gives it.
    ///
    /// # Errors
    /// Says which rule the head breaks; nothing of it may be sent on.
    pub fn judge(
        parts: &Parts,
        body: Body,
        scheme: Scheme,
        limits: &Limits,
    ) -> Result<Self, Refusal> {
        let protocol = Protocol::of(parts.version)?;
        let kinds = survey(parts, limits)?;
        let upgrade = target::switch(parts)?;
        let authority = target::authority(parts, protocol, scheme)?;
        let framing = request_framing(parts, kinds, protocol, body)?;
        let connection = connection::options(&parts.headers, kinds)?;
        if kinds.contains(Kind::Via) {
            hops::refuse_loop(&parts.headers)?;
        }
        if kinds.contains(Kind::MaxForwards) {
            hops::refuse_last_hop(&parts.method, &parts.headers)?;
        }
        let upgrade = match protocol {
            Protocol::Http11 if connection.names_upgrade => Upgrade::asked(&parts.headers),
            Protocol::Http2 => {
                connection::refuse_in_http2(&parts.headers, kinds)?;
                upgrade
            }
            Protocol::Http10 | Protocol::Http11 => None,
        };
        Ok(Self {
            authority,
            protocol,
            method: parts.method.clone(),
            framing,
            upgrade,
            trailers: connection::trailers(&parts.headers, kinds),
            kinds,
            listed: connection.listed,
        })
    }
}

impl Received {
    /// Whether somebody says on whose behalf the request is made.
    #[must_use]
    pub(in crate::proxy) fn is_forwarded(&self) -> bool {
        self.kinds.contains(Kind::Forwarding)
    }
}

impl Protocol {
    fn of(version: Version) -> Result<Self, Refusal> {
        match version {
            Version::HTTP_10 => Ok(Self::Http10),
            Version::HTTP_11 => Ok(Self::Http11),
            Version::HTTP_2 => Ok(Self::Http2),
            _ => Err(Refusal::UnknownVersion),
        }
    }
}

/// The one pass over all fields.
fn survey(parts: &Parts, limits: &Limits) -> Result<Kinds, Refusal> {
    let target = target_bytes(&parts.uri);
    if target > octets(limits.uri_bytes) {
        return Err(Refusal::TargetTooLong);
    }
    if parts.headers.len() > limits.headers.min(FIELDS_MAX) {
        return Err(Refusal::TooManyFields);
    }
    let mut size = parts.method.as_str().len() + target;
    let mut kinds = Kinds::default();
    for (name, value) in &parts.headers {
        size += name.as_str().len() + value.len() + FIELD_OVERHEAD;
        if is_padded(value) {
            return Err(Refusal::PaddedValue);
        }
        kinds.insert(classify(name));
    }
    if size > octets(limits.header_bytes) {
        return Err(Refusal::HeadTooLarge);
    }
    Ok(kinds)
}

fn octets(limit: u64) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}

fn target_bytes(uri: &uri::Uri) -> usize {
    let path = uri.path_and_query().map_or(0, |path| path.as_str().len());
    let authority = uri
        .authority()
        .map_or(0, |authority| authority.as_str().len());
    path + authority
}

/// HTTP/2 lets such values pass; on HTTP/1.1 they would mean something else (R9113 8.2.1).
pub(super) fn is_padded(value: &HeaderValue) -> bool {
    let is_space = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    let bytes = value.as_bytes();
    is_space(bytes.first()) || is_space(bytes.last())
}

fn request_framing(
    parts: &Parts,
    kinds: Kinds,
    protocol: Protocol,
    body: Body,
) -> Result<Framing, Refusal> {
    let framing = kinds.framing(&parts.headers).map_err(|fault| match fault {
        FramingFault::BadLength => Refusal::BadContentLength,
        FramingFault::BadCoding => Refusal::BadTransferEncoding,
        FramingFault::UnknownCoding => Refusal::UnknownTransferCoding,
        FramingFault::Both => Refusal::TwoFramings,
    })?;
    match (protocol, framing, body) {
        (Protocol::Http10, Framing::Open, _) => Err(Refusal::BadTransferEncoding),
        (Protocol::Http2, Framing::Open, _) => Err(Refusal::ConnectionField),
        (Protocol::Http2, Framing::Empty, Body::Follows) => Ok(Framing::Open),
        (_, framing, _) => Ok(framing),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::testing::{judge, request};

    fn refusal(line: &str, fields: &[&str]) -> Option<Refusal> {
        judge(&request(line, fields)).err()
    }

    #[test]
    fn http2_has_no_connection_fields() {
        let line = "GET https://a.test/ 2";
        for field in [
            "connection: close",
            "keep-alive: 1",
            "proxy-connection: close",
            "transfer-encoding: chunked",
            "upgrade: websocket",
            "te: gzip",
            "te: trailers, gzip",
        ] {
            assert_eq!(
                refusal(line, &[field]),
                Some(Refusal::ConnectionField),
                "{field}"
            );
        }
        assert_eq!(refusal(line, &["te: trailers"]), None);
        assert_eq!(refusal(line, &["x:  y"]), Some(Refusal::PaddedValue));
        assert_eq!(refusal(line, &["x: y\t"]), Some(Refusal::PaddedValue));
    }

    #[test]
    fn framing_faults_have_their_statuses() {
        let with = |line, field| judge(&request(line, &["host: a.test", field])).err();
        let status = |line, field| with(line, field).map(|refusal| refusal.status().as_u16());
        assert_eq!(status("POST / 1.1", "transfer-encoding: chunked"), None);
        assert_eq!(
            status("POST / 1.1", "transfer-encoding: gzip, chunked"),
            Some(501)
        );
        assert_eq!(
            status("POST / 1.1", "transfer-encoding: ,chunked"),
            Some(400)
        );
        assert_eq!(
            status("POST / 1.0", "transfer-encoding: chunked"),
            Some(400)
        );
        assert_eq!(status("POST / 1.1", "content-length: +1"), Some(400));
        assert_eq!(
            status("POST / 1.1", "connection: content-length"),
            Some(400)
        );
        let both = [
            "host: a.test",
            "content-length: 1",
            "transfer-encoding: chunked",
        ];
        assert_eq!(
            judge(&request("POST / 1.1", &both)).err(),
            Some(Refusal::TwoFramings)
        );
    }

    #[test]
    fn limits_have_their_statuses() {
        let status = |parts: &Parts, limits| {
            let judged = Received::judge(parts, Body::Absent, Scheme::Http, &limits);
            judged.err().map(|refusal| refusal.status().as_u16())
        };
        let parts = request("GET /0123456789 1.1", &["host: a.test", "x: y"]);
        let limits = Limits::default();
        assert_eq!(status(&parts, limits), None);
        assert_eq!(
            status(
                &parts,
                Limits {
                    uri_bytes: 10,
                    ..limits
                }
            ),
            Some(414)
        );
        assert_eq!(
            status(
                &parts,
                Limits {
                    headers: 1,
                    ..limits
                }
            ),
            Some(431)
        );
        assert_eq!(
            status(
                &parts,
                Limits {
                    header_bytes: 30,
                    ..limits
                }
            ),
            Some(431)
        );
    }

    #[test]
    fn a_switch_is_asked_for_in_http11_with_connection_only() {
        let asks = |version: &str, connection| {
            let fields = ["host: a.test", "upgrade: websocket", connection];
            let parts = request(&format!("GET / {version}"), &fields);
            judge(&parts).unwrap().upgrade.is_some()
        };
        assert!(asks("1.1", "connection: keep-alive, Upgrade"));
        assert!(!asks("1.1", "connection: keep-alive"));
        assert!(!asks("1.0", "connection: upgrade"));
    }

    #[test]
    fn an_http2_body_without_a_length_is_open() {
        let parts = request("GET https://a.test/ 2", &[]);
        let framing = |body| {
            let judged = Received::judge(&parts, body, Scheme::Https, &Limits::default());
            judged.unwrap().framing
        };
        assert_eq!(framing(Body::Follows), Framing::Open);
        assert_eq!(framing(Body::Absent), Framing::Empty);
    }
}

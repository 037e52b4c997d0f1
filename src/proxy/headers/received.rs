//! The judgement of a request head as the library read it: what it lets through and we do not, found in one pass.

use http::header::HOST;
use http::request::Parts;
use http::uri;
use http::{HeaderName, HeaderValue, Method, Version};
use hyper::ext;

use super::authority::Authority;
use super::connection::{self, Trailers};
use super::facts::Scheme;
use super::field::{Kind, Kinds, classify};
use super::framing::{Framing, FramingFault, framing};
use super::hops;
use super::refusal::Refusal;
use super::upgrade::Upgrade;
use crate::config::Limits;

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
        let upgrade = target(parts)?;
        let authority = authority(parts, protocol, scheme)?;
        let framing = request_framing(parts, protocol, body)?;
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

/// The target's form must go with the method (R9112 3.2); an extended `CONNECT` is told here.
fn target(parts: &Parts) -> Result<Option<Upgrade>, Refusal> {
    let mut upgrade = None;
    if parts.method == Method::CONNECT {
        let protocol = parts.extensions.get::<ext::Protocol>();
        upgrade = Some(Upgrade::Connect(protocol.ok_or(Refusal::Connect)?.clone()));
    }
    if let Some(scheme) = parts.uri.scheme()
        && *scheme != uri::Scheme::HTTP
        && *scheme != uri::Scheme::HTTPS
    {
        return Err(Refusal::BadTarget);
    }
    let is_absolute = parts.uri.scheme().is_some();
    match parts.uri.path_and_query().map(uri::PathAndQuery::as_str) {
        Some("*") if parts.method == Method::OPTIONS => Ok(upgrade),
        Some(path) if path.starts_with('/') => Ok(upgrade),
        Some(path) if is_absolute && path.starts_with('?') => Ok(upgrade),
        _ => Err(Refusal::BadTarget),
    }
}

/// The one authority of the request. A target that has one wins over `Host` in HTTP/1.1 (R9112 3.2.2) and must not differ in HTTP/2.
fn authority(
    parts: &Parts,
    protocol: Protocol,
    scheme: Scheme,
) -> Result<Option<Authority>, Refusal> {
    let mut hosts = parts.headers.get_all(HOST).iter();
    let host = hosts.next().map(Authority::parse).transpose()?;
    if hosts.next().is_some() {
        return Err(Refusal::RepeatedHost);
    }
    let target = parts.uri.authority().map(of_target).transpose()?;
    match (protocol, target, host) {
        (Protocol::Http10, None, None) => Ok(None),
        (Protocol::Http11, _, None) | (Protocol::Http2, None, None) => Err(Refusal::MissingHost),
        (Protocol::Http2, Some(target), Some(host)) if !target.is_same_place(&host, scheme) => {
            Err(Refusal::AuthorityMismatch)
        }
        (_, Some(target), _) => Ok(Some(target)),
        (_, None, host) => Ok(host),
    }
}

fn of_target(authority: &uri::Authority) -> Result<Authority, Refusal> {
    let field = HeaderValue::from_str(authority.as_str()).map_err(|_not_ascii| Refusal::BadHost)?;
    Authority::parse(&field)
}

fn request_framing(parts: &Parts, protocol: Protocol, body: Body) -> Result<Framing, Refusal> {
    let framing = framing(&parts.headers).map_err(|fault| match fault {
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

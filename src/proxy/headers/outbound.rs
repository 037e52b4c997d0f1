//! The way up: what a judged head loses, what is added to it, and its form for the protocol that the upstream speaks.

use http::header::{CONNECTION, HOST, TE, TRANSFER_ENCODING, UPGRADE, VIA};
use http::request::Parts;
use http::uri::{self, PathAndQuery, Uri};
use http::{HeaderMap, HeaderName, HeaderValue, Version, header};

use super::connection::Trailers;
use super::edit::{Fate, ROOM, drop_where, joined, rebuild};
use super::facts::{Facts, Scheme};
use super::field::{Kind, Kinds, classify};
use super::framing::Framing;
use super::received::{Protocol, Received};
use super::refusal::Refusal;
use super::upgrade::Upgrade;
use super::{hops, rules};
use crate::config::site::{HostField, Rule};
use crate::proxy::path;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const X_FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Edits a judged head for the upstream: hop-by-hop fields go, ours come, the user's rules follow, the target becomes origin-form.
/// What remains is the same for every attempt; [`to_http1`] or [`to_http2`] finishes it for one.
///
/// # Errors
/// When the path cannot be stripped or rewritten safely.
pub fn outbound(
    parts: &mut Parts,
    received: &Received,
    rule: &Rule,
    facts: &Facts<'_>,
) -> Result<(), Refusal> {
    let prefix = retarget(parts, rule)?;
    strip(&mut parts.headers, received);
    let headers = &mut parts.headers;
    headers.append(X_FORWARDED_FOR, facts.client_ip.clone());
    headers.append(X_FORWARDED_PROTO, facts.scheme.field());
    if let Some(authority) = &received.authority {
        headers.append(X_FORWARDED_HOST, authority.field().clone());
    }
    headers.append(X_FORWARDED_PORT, facts.port.clone());
    if let Some(prefix) = prefix {
        headers.append(X_FORWARDED_PREFIX, prefix);
    }
    headers.append(X_REQUEST_ID, facts.request_id.clone());
    headers.append(VIA, hops::via(received.protocol));
    if received.kinds.contains(Kind::MaxForwards) {
        hops::count_hop(&parts.method, headers);
    }
    rules::apply(headers, &rule.request_headers, facts);
    Ok(())
}

/// Gives an edited head the form of HTTP/1.1. `target` is the upstream's own authority.
///
/// # Errors
/// When the client asked for an extended `CONNECT`.
pub fn to_http1(
    parts: &mut Parts,
    received: &Received,
    host: &HostField,
    target: &HeaderValue,
) -> Result<(), Refusal> {
    parts.version = Version::HTTP_11;
    let headers = &mut parts.headers;
    match host {
        HostField::Preserve if received.authority.is_some() => {}
        HostField::Preserve | HostField::Upstream => drop(headers.insert(HOST, target.clone())),
        HostField::Literal(literal) => drop(headers.insert(HOST, literal.clone())),
    }
    // The client library frames some methods as empty unless it is told.
    if received.framing == Framing::Open {
        headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    match &received.upgrade {
        None => Ok(()),
        Some(Upgrade::Field(protocols)) => {
            headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
            headers.insert(UPGRADE, protocols.clone());
            Ok(())
        }
        Some(Upgrade::Connect(_)) => Err(Refusal::UpgradeNotCarried),
    }
}

/// Gives an edited head the form of HTTP/2: the authority moves into the target, `TE: trailers` stays.
///
/// # Errors
/// When the client asked for a switch of protocols by `Upgrade`, or the host is no authority.
pub fn to_http2(
    parts: &mut Parts,
    received: &Received,
    host: &HostField,
    target: &HeaderValue,
    scheme: Scheme,
) -> Result<(), Refusal> {
    if matches!(received.upgrade, Some(Upgrade::Field(_))) {
        return Err(Refusal::UpgradeNotCarried);
    }
    parts.version = Version::HTTP_2;
    let authority = match (host, &received.authority) {
        (HostField::Preserve, Some(authority)) => authority.field(),
        (HostField::Preserve, None) | (HostField::Upstream, _) => target,
        (HostField::Literal(literal), _) => literal,
    };
    let mut target = uri::Parts::default();
    target.scheme = Some(scheme.uri());
    target.authority =
        Some(uri::Authority::try_from(authority.as_bytes()).map_err(|_invalid| Refusal::BadHost)?);
    target.path_and_query = parts.uri.path_and_query().cloned();
    parts.uri = Uri::from_parts(target).map_err(|_invalid| Refusal::BadTarget)?;
    drop_where(&mut parts.headers, |name| *name == HOST);
    if received.trailers == Trailers::Welcome || is_grpc(&parts.headers) {
        parts
            .headers
            .insert(TE, HeaderValue::from_static("trailers"));
    }
    Ok(())
}

/// Strips, rewrites, and drops scheme and authority from the target. Returns the prefix that was stripped.
fn retarget(parts: &mut Parts, rule: &Rule) -> Result<Option<HeaderValue>, Refusal> {
    let is_origin_form = parts.uri.authority().is_none();
    if is_origin_form && rule.strip_prefix.is_none() && rule.rewrites.is_empty() {
        return Ok(None);
    }
    let slash = PathAndQuery::from_static("/");
    let sent = parts.uri.path_and_query().unwrap_or(&slash);
    let (path, prefix) = path::retarget(sent, rule.strip_prefix.as_deref(), &rule.rewrites)?;
    parts.uri = Uri::from(path);
    let value = prefix.and_then(|prefix| HeaderValue::from_bytes(prefix.as_bytes()).ok());
    Ok(value)
}

const REMOVED: Kinds = Kinds::of(&[
    Kind::Te,
    Kind::Upgrade,
    Kind::Connection,
    Kind::TransferEncoding,
    Kind::HopByHop,
    Kind::Forwarding,
    Kind::Lookalike,
]);

/// Removes what ends here, makes cookies and lengths one line each, and sets `Host`.
fn strip(headers: &mut HeaderMap, received: &Received) {
    let repeats = headers.len() != headers.keys_len();
    let is_odd = match received.protocol {
        Protocol::Http10 => received.kinds.contains(Kind::Expect),
        Protocol::Http11 => false,
        Protocol::Http2 => repeats && received.kinds.contains(Kind::Cookie),
    };
    let is_repeated_length = repeats && received.kinds.contains(Kind::ContentLength);
    if received.kinds.intersects(REMOVED) || is_odd || is_repeated_length {
        let mut cookies = match received.protocol {
            Protocol::Http2 if is_odd => joined(headers, &header::COOKIE, b"; "),
            Protocol::Http10 | Protocol::Http11 | Protocol::Http2 => None,
        };
        let crumbs = cookies.is_some();
        let mut lengths = 0;
        rebuild(headers, |name, _| match classify(name) {
            Kind::Cookie if crumbs => cookies.take().map_or(Fate::Go, Fate::Become),
            Kind::ContentLength => {
                lengths += 1;
                if lengths == 1 { Fate::Stay } else { Fate::Go }
            }
            Kind::Expect if received.protocol == Protocol::Http10 => Fate::Go,
            Kind::Plain | Kind::Via | Kind::Cookie | Kind::Expect | Kind::MaxForwards
                if received.listed.contains(name) =>
            {
                Fate::Go
            }
            Kind::Plain
            | Kind::Host
            | Kind::Via
            | Kind::Cookie
            | Kind::Expect
            | Kind::MaxForwards => Fate::Stay,
            Kind::Te
            | Kind::Upgrade
            | Kind::Connection
            | Kind::TransferEncoding
            | Kind::HopByHop
            | Kind::Forwarding
            | Kind::Lookalike => Fate::Go,
        });
    } else {
        headers.reserve(ROOM);
    }
    if let Some(authority) = &received.authority {
        headers.insert(HOST, authority.field().clone());
    }
}

fn is_grpc(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

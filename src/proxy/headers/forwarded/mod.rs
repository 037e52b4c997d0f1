//! What proxies in front of us say of a request: whom it comes from and which URL was asked for. Believed of trusted ones alone.

mod chain;
mod element;
mod passed;
#[cfg(test)]
mod tests;
mod url;

use std::net::IpAddr;

use bytes::{BufMut, Bytes, BytesMut};
use http::header::FORWARDED;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::authority::Authority;
use super::facts::Scheme;
use crate::config::network::Networks;
use chain::Origin;
use passed::{Passed, known};
use url::Url;

pub(super) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub(super) const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
pub(super) const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
pub(super) const X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
pub(super) const X_FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");
pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// How a request reached us, as we see it ourselves.
#[derive(Debug, Clone, Copy)]
pub struct Hop<'a> {
    pub peer: IpAddr,
    /// The same as a field value.
    pub text: &'a HeaderValue,
    pub scheme: Scheme,
    pub port: &'a HeaderValue,
    pub authority: Option<&'a Authority>,
}

/// What a trusted peer says of a request's way to us, made whole with what we see ourselves where it says nothing, or nothing that
/// can be relied on.
#[derive(Debug, Clone)]
pub struct Forwarded {
    /// The right-most address that is not trusted. Where the addresses end in something else, the last trusted one.
    pub client: IpAddr,
    /// The same as a field value.
    pub text: HeaderValue,
    /// How the client reached the first of the proxies.
    pub scheme: Scheme,
    pub port: HeaderValue,
    /// Whom the client asked for.
    pub authority: Option<Authority>,
    pub request_id: Option<HeaderValue>,
    origin: Origin,
    /// `X-Forwarded-For` with the peer in it.
    addresses: HeaderValue,
    /// `X-Forwarded-Proto`: more than a scheme for some.
    proto: HeaderValue,
    /// `Forwarded` with our hop in it.
    hops: Option<HeaderValue>,
    prefix: Option<HeaderValue>,
    has_real_ip: bool,
}

const REQUEST_ID_BYTES_MAX: usize = 128;
const PREFIX_BYTES_MAX: usize = 1024;

/// Whether somebody other than the peer seems to have sent a request, whatever the peer's word is worth.
#[must_use]
pub fn is_passed_on(headers: &HeaderMap) -> bool {
    headers.contains_key(X_FORWARDED_FOR) || headers.contains_key(FORWARDED)
}

impl Forwarded {
    /// Reads the head that a trusted peer sent.
    ///
    /// `X-Forwarded-For` says who the client is. `Forwarded` does where the other did not come; where both came and it names somebody
    /// else, a proxy has let it pass unread, and it is worth nothing.
    #[must_use]
    pub fn read(headers: &HeaderMap, hop: Hop<'_>, trusted: &Networks) -> Self {
        let passed = Passed::read(headers);
        let elements = &passed.elements;
        let nodes = elements.iter().map(|element| element.client);
        // What could not be read behind the elements ends the walk as an entry that is none.
        let nodes = nodes.chain(passed.is_cut.then_some(None));
        let by_element = Origin::find(hop.peer, nodes, trusted);
        let has_addresses = headers.contains_key(X_FORWARDED_FOR);
        let origin = if has_addresses {
            Origin::find(hop.peer, chain::entries(headers, &X_FORWARDED_FOR), trusted)
        } else {
            by_element
        };
        let client = origin.address();
        let agrees = by_element == origin;
        let first = elements
            .iter()
            .find(|element| agrees && element.client == Some(client));
        let word = Url::read(headers, first);
        let authority = word.authority.as_ref().or(hop.authority).cloned();
        let scheme = word.scheme.unwrap_or(hop.scheme);
        let text = field(client.to_string());
        Self {
            port: word.port(authority.as_ref(), hop.port),
            proto: word.proto.unwrap_or_else(|| scheme.field()),
            scheme,
            authority,
            request_id: only(headers, &X_REQUEST_ID)
                .filter(|id| is_request_id(id.as_bytes()))
                .cloned(),
            addresses: if has_addresses {
                joined(headers.get_all(X_FORWARDED_FOR), hop.text)
            } else {
                known(elements, origin, hop)
            },
            hops: agrees.then(|| passed.with(hop)).flatten(),
            prefix: only(headers, &X_FORWARDED_PREFIX)
                .filter(|prefix| is_prefix(prefix.as_bytes()))
                .cloned(),
            has_real_ip: headers.contains_key(X_REAL_IP),
            client,
            text,
            origin,
        }
    }

    /// Whether the client is known to sit on this machine, given that the peer does.
    #[must_use]
    pub fn is_local(&self) -> bool {
        matches!(self.origin, Origin::Named(client) if client.is_loopback())
    }

    /// Whether a field of the family passes as it is: what is not remade here, in its one true spelling.
    pub(super) fn keeps(name: &HeaderName) -> bool {
        let remade = [
            X_FORWARDED_FOR,
            X_FORWARDED_PROTO,
            X_FORWARDED_HOST,
            X_FORWARDED_PORT,
            X_FORWARDED_PREFIX,
        ];
        let text = name.as_str();
        text.starts_with("x-forwarded-") && !text.contains('_') && !remade.contains(name)
    }

    /// Adds the fields that say who asked for what. `prefix` is what was stripped here.
    pub(super) fn tell(&self, headers: &mut HeaderMap, prefix: Option<HeaderValue>) {
        headers.append(X_FORWARDED_FOR, self.addresses.clone());
        headers.append(X_FORWARDED_PROTO, self.proto.clone());
        if let Some(authority) = &self.authority {
            headers.append(X_FORWARDED_HOST, authority.field().clone());
        }
        headers.append(X_FORWARDED_PORT, self.port.clone());
        if let Some(prefix) = self.under(prefix) {
            headers.append(X_FORWARDED_PREFIX, prefix);
        }
        if let Some(hops) = &self.hops {
            headers.append(FORWARDED, hops.clone());
        }
        if self.has_real_ip {
            headers.append(X_REAL_IP, self.text.clone());
        }
    }

    /// What was stripped on the whole way: first there, then here.
    fn under(&self, prefix: Option<HeaderValue>) -> Option<HeaderValue> {
        let (Some(outer), Some(inner)) = (&self.prefix, &prefix) else {
            return self.prefix.clone().or(prefix);
        };
        let outer = outer.as_bytes();
        let outer = outer.strip_suffix(b"/").unwrap_or(outer);
        HeaderValue::from_bytes(&[outer, inner.as_bytes()].concat()).ok()
    }
}

/// The value of a field that came once.
fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h HeaderValue> {
    let mut lines = headers.get_all(name).iter();
    let first = lines.next()?;
    lines.next().is_none().then_some(first)
}

fn is_request_id(id: &[u8]) -> bool {
    let is_fine = |octet: &u8| octet.is_ascii_alphanumeric() || b"-_.:;=+/@~".contains(octet);
    (1..=REQUEST_ID_BYTES_MAX).contains(&id.len()) && id.iter().all(is_fine)
}

fn is_prefix(prefix: &[u8]) -> bool {
    let is_fine = |octet: &u8| octet.is_ascii_graphic() && !b"\"'<>\\,?#".contains(octet);
    let is_path = prefix.first() == Some(&b'/') && prefix.get(1) != Some(&b'/');
    is_path && prefix.len() <= PREFIX_BYTES_MAX && prefix.iter().all(is_fine)
}

/// All lines in one, and the peer.
fn joined(lines: http::header::GetAll<'_, HeaderValue>, peer: &HeaderValue) -> HeaderValue {
    let mut text = BytesMut::new();
    for line in lines.iter().filter(|line| !line.is_empty()) {
        text.put_slice(line.as_bytes());
        text.put_slice(b", ");
    }
    text.put_slice(peer.as_bytes());
    HeaderValue::from_maybe_shared(Bytes::from(text)).unwrap_or_else(|_unprintable| peer.clone())
}

fn field(text: String) -> HeaderValue {
    HeaderValue::try_from(text).unwrap_or_else(|_unprintable| HeaderValue::from_static("unknown"))
}

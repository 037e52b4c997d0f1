//! The URL that the client followed, as proxies say it.

use http::{HeaderMap, HeaderValue};

use super::element::Element;
use super::{X_FORWARDED_HOST, X_FORWARDED_PORT, X_FORWARDED_PROTO, only};
use crate::proxy::headers::{Authority, Scheme};

/// As far as the peer says it.
#[derive(Debug, Default)]
pub(super) struct Url {
    pub(super) scheme: Option<Scheme>,
    pub(super) proto: Option<HeaderValue>,
    pub(super) authority: Option<Authority>,
    said: Option<HeaderValue>,
}

impl Url {
    pub(super) fn read(headers: &HeaderMap, element: Option<&Element<'_>>) -> Self {
        let proto = only(headers, &X_FORWARDED_PROTO).and_then(|field| proto(field.to_str().ok()?));
        let proto = proto.or_else(|| proto_of(element));
        let authority =
            only(headers, &X_FORWARDED_HOST).and_then(|field| Authority::parse(field).ok());
        let of_element = || {
            let host = element?.host.as_deref()?;
            Authority::parse(&HeaderValue::from_str(host).ok()?).ok()
        };
        Self {
            scheme: proto.map(|(scheme, _)| scheme),
            proto: proto.map(|(_, name)| HeaderValue::from_static(name)),
            authority: authority.or_else(of_element),
            said: only(headers, &X_FORWARDED_PORT)
                .filter(|port| is_port(port.as_bytes()))
                .cloned(),
        }
    }

    /// Whoever says how the client came but not at which port means the one in the URL; our own is not it.
    pub(super) fn port(&self, authority: Option<&Authority>, own: &HeaderValue) -> HeaderValue {
        match (&self.said, self.scheme) {
            (Some(said), _) => said.clone(),
            (None, None) => own.clone(),
            (None, Some(scheme)) => {
                let named = authority.and_then(Authority::port);
                HeaderValue::from(named.unwrap_or_else(|| scheme.default_port()))
            }
        }
    }
}

fn proto_of(element: Option<&Element<'_>>) -> Option<(Scheme, &'static str)> {
    proto(element?.proto.as_deref()?)
}

/// Some proxies tell WebSockets apart.
fn proto(text: &str) -> Option<(Scheme, &'static str)> {
    let known = [
        ("https", Scheme::Https),
        ("http", Scheme::Http),
        ("wss", Scheme::Https),
        ("ws", Scheme::Http),
    ];
    let fits = known
        .into_iter()
        .find(|(name, _)| text.eq_ignore_ascii_case(name));
    fits.map(|(name, scheme)| (scheme, name))
}

fn is_port(port: &[u8]) -> bool {
    let number = std::str::from_utf8(port)
        .ok()
        .and_then(|text| text.parse::<u16>().ok());
    port.first() != Some(&b'+') && number.is_some_and(|port| port > 0)
}

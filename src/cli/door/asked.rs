//! The host that a person types: a name, a pattern, with a port or as a URL.

use std::fmt;

use crate::hostname::{HostPattern, InvalidHostName};

/// A name in its normal form, and its port if one was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) name: HostPattern,
    pub(super) port: Option<u16>,
}

impl Asked {
    /// Accepts `HOST`, `HOST:PORT` and URLs, of which scheme and path are left out.
    pub(super) fn parse(text: &str) -> Result<Self, InvalidHostName> {
        let text = match text.split_once("://") {
            Some((_scheme, rest)) => rest.split('/').next().unwrap_or_default(),
            None => text,
        };
        Self::parse_authority(text)
    }

    /// Accepts `HOST` and `HOST:PORT`, as in `[sites]`.
    pub(super) fn parse_authority(text: &str) -> Result<Self, InvalidHostName> {
        if let Ok(name) = HostPattern::parse(text) {
            return Ok(Self { name, port: None });
        }
        let (host, port) = text.rsplit_once(':').unwrap_or((text, ""));
        let is_number = port.bytes().all(|octet| octet.is_ascii_digit());
        match port.parse().ok().filter(|port| is_number && *port != 0) {
            Some(port) => HostPattern::parse(host).map(|name| Self {
                name,
                port: Some(port),
            }),
            None => HostPattern::parse(text).map(|name| Self { name, port: None }),
        }
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name.to_string();
        match self.port {
            None => f.write_str(&name),
            Some(port) if name.contains(':') => write!(f, "[{name}]:{port}"),
            Some(port) => write!(f, "{name}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_type_is_one_name() {
        #[track_caller]
        fn check(text: &str, expected: &str) {
            assert_eq!(Asked::parse(text).unwrap().to_string(), expected, "{text}");
        }
        check("Shop.Localhost.", "shop.localhost");
        check("shop.localhost:8443", "shop.localhost:8443");
        check("https://shop.localhost/cart?x", "shop.localhost");
        check("https://shop.localhost:8443/", "shop.localhost:8443");
        check("*.dev.test", "*.dev.test");
        check("::1", "::1");
        check("[::1]:8443", "[::1]:8443");
        check("*", "*");
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for text in ["", "a b", "a..b", "a:0", "a:x", "a:99999", "https:///x"] {
            assert!(Asked::parse(text).is_err(), "{text}");
        }
        assert!(Asked::parse_authority("https://a.test").is_err());
    }
}

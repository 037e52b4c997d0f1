//! Whom a request is for: the host it names, ready to be compared, beside the text as it was sent.

use std::net::Ipv6Addr;

use http::HeaderValue;

use super::facts::Scheme;
use super::refusal::Refusal;
use crate::hostname::{self, HostName};

/// A valid host and an optional port, without user information.
#[derive(Debug, Clone)]
pub struct Authority {
    field: HeaderValue,
    host: Host,
    port: Option<u16>,
}

/// Where the comparable host is: in the field itself nearly always, so that nothing is allocated.
#[derive(Debug, Clone)]
enum Host {
    Leading { length: usize },
    Normalised(HostName),
}

impl Authority {
    /// Accepts `host`, `host:`, `host:port` with a DNS name or an IP literal (IPv6 in brackets).
    ///
    /// # Errors
    /// [`Refusal::UserInfo`] for an `@`, [`Refusal::MissingHost`] for nothing, else [`Refusal::BadHost`].
    pub fn parse(field: &HeaderValue) -> Result<Self, Refusal> {
        let text = field.to_str().map_err(|_not_ascii| Refusal::BadHost)?;
        if text.is_empty() {
            return Err(Refusal::MissingHost);
        }
        if text.contains('@') {
            return Err(Refusal::UserInfo);
        }
        let (host, port) = split_port(text)?;
        Ok(Self {
            field: field.clone(),
            host: comparable(host)?,
            port,
        })
    }

    /// The host as sites are named: lower-case A-labels without a trailing dot, or an address without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        match &self.host {
            Host::Leading { length } => self
                .field
                .to_str()
                .ok()
                .and_then(|text| text.get(..*length))
                .unwrap_or_default(),
            Host::Normalised(name) => name.as_str(),
        }
    }

    /// The port, if the client named one.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// The text as it was sent, for `Host` and `X-Forwarded-Host`.
    #[must_use]
    pub fn field(&self) -> &HeaderValue {
        &self.field
    }

    /// Whether both name the same place when default ports are filled in.
    pub(super) fn is_same_place(&self, other: &Self, scheme: Scheme) -> bool {
        let port = |authority: &Self| authority.port.unwrap_or_else(|| scheme.default_port());
        self.host() == other.host() && port(self) == port(other)
    }
}

fn split_port(text: &str) -> Result<(&str, Option<u16>), Refusal> {
    let host_end = if text.starts_with('[') {
        text.find(']').ok_or(Refusal::BadHost)? + 1
    } else {
        text.find(':').unwrap_or(text.len())
    };
    let (host, rest) = text.split_at(host_end);
    if rest.is_empty() || rest == ":" {
        return Ok((host, None));
    }
    let digits = rest.strip_prefix(':').ok_or(Refusal::BadHost)?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Refusal::BadHost);
    }
    let port = digits.parse().map_err(|_too_large| Refusal::BadHost)?;
    Ok((host, Some(port)))
}

fn comparable(host: &str) -> Result<Host, Refusal> {
    let name = host.strip_suffix('.').unwrap_or(host);
    if is_canonical(name.as_bytes()) {
        return Ok(Host::Leading { length: name.len() });
    }
    if let Some(inner) = host.strip_prefix('[') {
        let address = inner
            .strip_suffix(']')
            .and_then(|literal| literal.parse::<Ipv6Addr>().ok())
            .ok_or(Refusal::BadHost)?;
        return Ok(Host::Normalised(HostName::from_ip(address.into())));
    }
    HostName::parse(host)
        .map(Host::Normalised)
        .map_err(|_invalid| Refusal::BadHost)
}

/// Whether the name is exactly what [`HostName`] would make of it, without asking it; `false` leaves the answer to it.
fn is_canonical(name: &[u8]) -> bool {
    if name.len() > hostname::NAME_BYTES_MAX {
        return false;
    }
    let mut label = 0;
    let mut previous = b'.';
    for &byte in name {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'_' => label += 1,
            // A second hyphen may be punycode.
            b'-' if previous != b'.' && previous != b'-' => label += 1,
            b'.' if previous != b'.' && previous != b'-' => label = 0,
            _ => return false,
        }
        if label > LABEL_BYTES_SURE {
            return false;
        }
        previous = byte;
    }
    previous != b'.' && previous != b'-'
}

/// Labels up to this length need no second opinion.
const LABEL_BYTES_SURE: usize = 63;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<(&str, Option<u16>), Refusal>) {
        let field = HeaderValue::from_bytes(text.as_bytes()).unwrap();
        let parsed = Authority::parse(&field);
        let seen = parsed
            .as_ref()
            .map(|authority| (authority.host(), authority.port()))
            .map_err(|refusal| *refusal);
        assert_eq!(seen, expected, "{text}");
    }

    #[test]
    fn hosts_are_compared_in_one_spelling() {
        check("a.example", Ok(("a.example", None)));
        check("A.Example:8443", Ok(("a.example", Some(8443))));
        check("a.example.", Ok(("a.example", None)));
        check("a.example.:443", Ok(("a.example", Some(443))));
        check("a.example:", Ok(("a.example", None)));
        check("my_app.test", Ok(("my_app.test", None)));
        check("a-b.c-d.test", Ok(("a-b.c-d.test", None)));
        check("xn--bcher-kva.test", Ok(("xn--bcher-kva.test", None)));
        check("127.0.0.1:80", Ok(("127.0.0.1", Some(80))));
        check("[::1]:80", Ok(("::1", Some(80))));
        check("[0:0::1]", Ok(("::1", None)));
    }

    #[test]
    fn what_is_no_host_is_refused() {
        check("", Err(Refusal::MissingHost));
        check("user@a.example", Err(Refusal::UserInfo));
        for text in [
            "a b",
            "a/b",
            "a..b",
            ".",
            ".a",
            "-a",
            "a-",
            "a:b",
            "a:99999",
            "a:+1",
            "a:1:2",
            "::1",
            "::1:80",
            "[::1",
            "[::1]80",
            "[127.0.0.1]",
            "[::1%25eth0]",
            "a%20b",
            "*.test",
            "ä.test",
            "a,b",
            "a?b",
            "xn--\u{7f}",
        ] {
            if let Ok(field) = HeaderValue::from_bytes(text.as_bytes()) {
                assert_eq!(
                    Authority::parse(&field).err(),
                    Some(Refusal::BadHost),
                    "{text}"
                );
            }
        }
        let long = format!("{}.test", "a".repeat(64));
        check(&long, Err(Refusal::BadHost));
    }

    #[test]
    fn a_default_port_names_the_same_place() {
        let authority = |text| Authority::parse(&HeaderValue::from_static(text)).unwrap();
        let same = |left, right| authority(left).is_same_place(&authority(right), Scheme::Https);
        assert!(same("a.test", "A.test:443"));
        assert!(!same("a.test", "a.test:80"));
        assert!(!same("a.test", "b.test"));
    }

    proptest::proptest! {
        #[test]
        fn the_short_way_agrees_with_the_long_one(name in "[a-z0-9._-]{0,12}") {
            if is_canonical(name.as_bytes()) {
                let parsed = HostName::parse(&name);
                proptest::prop_assert_eq!(parsed.as_ref().map(HostName::as_str), Ok(name.as_str()));
            }
        }
    }
}

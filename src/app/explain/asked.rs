//! A URL that somebody asks about, as a client would take it apart.

use std::fmt;

use http::HeaderValue;
use http::uri::PathAndQuery;

use crate::hostname::HostName;
use crate::proxy::headers::Scheme;
use crate::routing::Kind;

/// An `http` or `https` URL.
#[derive(Debug)]
pub(super) struct AskedUrl {
    pub(super) scheme: Scheme,
    pub(super) host: HostName,
    pub(super) port: u16,
    /// What goes into the request line.
    pub(super) target: PathAndQuery,
}

impl AskedUrl {
    /// Reads a URL as a person types it.
    ///
    /// # Errors
    /// Says what is wrong and how to mend it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let shown = text.escape_debug();
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(format!("`{shown}` has no scheme: write `https://{shown}`"));
        };
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "https" => Scheme::Https,
            "http" => Scheme::Http,
            "wss" => {
                return Err(
                    "a WebSocket begins as a request: write `https://` for `wss://`".into(),
                );
            }
            "ws" => {
                return Err("a WebSocket begins as a request: write `http://` for `ws://`".into());
            }
            _other => {
                return Err(format!(
                    "`{shown}` is neither `https://` nor `http://`: write one of them"
                ));
            }
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(
                "a user and a password are no part of the way: leave out what is before `@`".into(),
            );
        }
        let (host, port) = split_port(authority);
        let host = HostName::parse(host).map_err(|error| {
            let host = host.escape_debug();
            format!("`{host}` is no host: {error}; write a URL as `https://a.example/path`")
        })?;
        let port = match port {
            None | Some("") => scheme.default_port(),
            Some(port) => port.parse().ok().filter(|port| *port > 0).ok_or_else(|| {
                let port = port.escape_debug();
                format!(
                    "`{port}` is no port: write a number from 1 to 65535 after the `:`, or nothing"
                )
            })?,
        };
        Ok(Self {
            scheme,
            host,
            port,
            target: read_target(target)?,
        })
    }

    /// What is spoken on the socket that a client of this URL expects.
    pub(super) fn kind(&self) -> Kind {
        match self.scheme {
            Scheme::Https => Kind::Tls,
            Scheme::Http => Kind::Plain,
        }
    }

    /// The name in the client's hello, which is never an address.
    pub(super) fn server_name(&self) -> Option<&HostName> {
        self.host.ip().is_none().then_some(&self.host)
    }

    /// The client's `Host` field.
    pub(super) fn host_field(&self) -> HeaderValue {
        HeaderValue::try_from(self.authority())
            .unwrap_or_else(|_unprintable| HeaderValue::from_static("localhost"))
    }

    pub(super) fn has_default_port(&self) -> bool {
        self.port == self.scheme.default_port()
    }

    fn authority(&self) -> String {
        let host = self.host.as_str();
        let (open, close) = if host.contains(':') {
            ("[", "]")
        } else {
            ("", "")
        };
        if self.has_default_port() {
            format!("{open}{host}{close}")
        } else {
            format!("{open}{host}{close}:{}", self.port)
        }
    }
}

impl fmt::Display for AskedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, authority) = (self.scheme.as_str(), self.authority());
        write!(f, "{scheme}://{authority}{}", self.target)
    }
}

fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        Some(_) | None => (authority, None),
    }
}

fn read_target(text: &str) -> Result<PathAndQuery, String> {
    let rooted = if text.starts_with('/') {
        text.to_owned()
    } else {
        format!("/{text}")
    };
    PathAndQuery::try_from(rooted).map_err(|_invalid| {
        let text = text.escape_debug();
        format!("`{text}` has a character that no URL has: write it as `%` and two hexadecimal digits, a space as `%20`")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let url = AskedUrl::parse(text);
        assert_eq!(url.map(|url| url.to_string()), Ok(expected.to_owned()));
    }

    #[track_caller]
    fn refused(text: &str, mended: &str) {
        let error = AskedUrl::parse(text).unwrap_err();
        assert!(error.contains(mended), "{text}: {error}");
    }

    #[test]
    fn a_url_is_read_as_a_client_reads_it() {
        check("HTTPS://A.Test:443", "https://a.test/");
        check("http://a.test.:8080/x?y#z", "http://a.test:8080/x?y");
        check("https://bücher.test?q", "https://xn--bcher-kva.test/?q");
        check("https://[::1]:8443/", "https://[::1]:8443/");
        check("https://[::1]", "https://[::1]/");
        check("http://127.0.0.1:/a", "http://127.0.0.1/a");
    }

    #[test]
    fn a_url_that_is_none_is_told_how_to_become_one() {
        refused("a.test/x", "write `https://a.test/x`");
        refused("ftp://a.test", "write one of them");
        refused("wss://a.test", "write `https://`");
        refused("https://u:secret@a.test", "leave out");
        refused("https://", "write a URL as");
        refused("https://*.test", "write a URL as");
        refused("https://a.test:99999", "from 1 to 65535");
        refused("https://a.test:0", "from 1 to 65535");
        refused("https://a.test/a b", "%20");
        refused("https://a.test/\x1b", "%20");
        assert!(!AskedUrl::parse("\x1b[31m").unwrap_err().contains('\x1b'));
        assert!(
            !AskedUrl::parse("https://u:secret@a")
                .unwrap_err()
                .contains("secret")
        );
    }
}

//! The text of a target: `"3000"`, `"host:port"`, `"https://host"`, `"unix:/path"`.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;

use super::problem::{At, Problem};
use super::target::Address;
use crate::hostname::HostName;

/// What targets look like, for messages.
pub(super) const EXAMPLES: &str = r#"targets look like "3000", "localhost:3000", "host:port", "http://host:port", "https://host", "h2c://host:port" or "unix:/path""#;

/// What the bytes sent to a target are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Carries {
    /// Requests: every scheme is allowed.
    Http,
    /// A tunnel's bytes: a plain address.
    Bytes,
}

/// What a target says it speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spoken {
    Http,
    H2c,
    Https,
}

/// Why a text is no target.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum InvalidTarget {
    Empty,
    HasPath(String),
    HasUserinfo,
    UnknownScheme(String),
    SchemeInTunnel,
    MissingPort,
    BadPort,
    BadHost(String),
}

/// Reads a target; a socket's path starts at `folder`.
pub(super) fn parse(
    text: &str,
    folder: &Path,
    carries: Carries,
) -> Result<(Spoken, Address), InvalidTarget> {
    if let Some(path) = text.strip_prefix("unix:") {
        let path = path.strip_prefix("//").unwrap_or(path);
        if path.is_empty() || path.contains('\0') {
            return Err(InvalidTarget::Empty);
        }
        return Ok((Spoken::Http, Address::Unix(folder.join(path))));
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        return Ok((Spoken::Http, address(text, None)?));
    };
    if carries == Carries::Bytes {
        return Err(InvalidTarget::SchemeInTunnel);
    }
    match scheme.to_ascii_lowercase().as_str() {
        "http" => Ok((Spoken::Http, address(rest, Some(80))?)),
        "h2c" => Ok((Spoken::H2c, address(rest, Some(80))?)),
        "https" => Ok((Spoken::Https, address(rest, Some(443))?)),
        other => Err(InvalidTarget::UnknownScheme(other.to_owned())),
    }
}

fn address(text: &str, default_port: Option<u16>) -> Result<Address, InvalidTarget> {
    if let Some(path) = text.find(['/', '?', '#']) {
        return Err(InvalidTarget::HasPath(text[path..].to_owned()));
    }
    if text.contains('@') {
        return Err(InvalidTarget::HasUserinfo);
    }
    if text.is_empty() {
        return Err(InvalidTarget::Empty);
    }
    if default_port.is_none() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        let port = port(text)?;
        return Ok(Address::Loopback { port });
    }
    let (host, port) = host_and_port(text, default_port)?;
    if host.eq_ignore_ascii_case("localhost") {
        return Ok(Address::Loopback { port });
    }
    let name = HostName::parse(host).map_err(|why| InvalidTarget::BadHost(why.to_string()))?;
    Ok(match name.ip() {
        Some(ip) => Address::Ip(SocketAddr::new(ip, port)),
        None => Address::Name {
            host: name.as_str().into(),
            port,
        },
    })
}

fn host_and_port(text: &str, default_port: Option<u16>) -> Result<(&str, u16), InvalidTarget> {
    let bracket_end = text.starts_with('[').then(|| text.find(']')).flatten();
    let colon = match bracket_end {
        Some(end) => text[end..].find(':').map(|offset| end + offset),
        None => text.rfind(':'),
    };
    let Some(colon) = colon else {
        let port = default_port.ok_or(InvalidTarget::MissingPort)?;
        return Ok((text, port));
    };
    let host = &text[..colon];
    if bracket_end.is_none() && host.contains(':') {
        return Err(InvalidTarget::BadHost(
            "an IPv6 address stands in brackets: [::1]:3000".to_owned(),
        ));
    }
    Ok((host, port(&text[colon + 1..])?))
}

fn port(text: &str) -> Result<u16, InvalidTarget> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(InvalidTarget::BadPort);
    }
    match text.parse() {
        Ok(0) | Err(_) => Err(InvalidTarget::BadPort),
        Ok(port) => Ok(port),
    }
}

impl InvalidTarget {
    pub(super) fn problem(self, text: &str, at: At) -> Problem {
        let problem = if matches!(self, Self::HasPath(_)) {
            Problem::error("target-path", "a target has no path")
        } else {
            Problem::error("bad-target", format!("`{text}` is no target"))
        };
        let help = match &self {
            Self::HasPath(path) => {
                let bare = text.strip_suffix(path.as_str()).unwrap_or(text);
                format!(
                    "write \"{bare}\"; `strip_prefix` and `rewrite` change the path that is sent, `paths` chooses by the path that was asked for"
                )
            }
            Self::MissingPort => format!("write \"{text}:3000\", or \"http://{text}\" for port 80"),
            Self::UnknownScheme(scheme) if scheme == "ws" || scheme == "wss" => {
                "WebSockets go through `http://` and `https://` targets".to_owned()
            }
            Self::UnknownScheme(scheme) if scheme == "tcp" => {
                "bytes are forwarded with `tcp = \"host:port\"` or `passthrough = \"host:port\"`"
                    .to_owned()
            }
            Self::Empty
            | Self::HasUserinfo
            | Self::UnknownScheme(_)
            | Self::BadPort
            | Self::BadHost(_) => EXAMPLES.to_owned(),
            Self::SchemeInTunnel => {
                "write it as \"host:port\": the bytes are not looked at".to_owned()
            }
        };
        problem.at(at, self.to_string()).help(help)
    }
}

impl fmt::Display for InvalidTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("nothing to connect to"),
            Self::HasPath(path) => write!(f, "`{path}` is not part of an address"),
            Self::HasUserinfo => f.write_str("a target has no user and password"),
            Self::UnknownScheme(scheme) => write!(f, "`{scheme}` is not spoken here"),
            Self::SchemeInTunnel => f.write_str("a tunnel's target has no scheme"),
            Self::MissingPort => f.write_str("the port is missing"),
            Self::BadPort => f.write_str("a port is a number from 1 to 65535"),
            Self::BadHost(why) => f.write_str(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let written = match parse(text, Path::new("/etc"), Carries::Http) {
            Ok((spoken, address)) => format!("{spoken:?} {address}"),
            Err(why) => format!("{why}"),
        };
        assert_eq!(written, expected, "{text}");
    }

    #[test]
    fn targets_are_ports_hosts_urls_and_sockets() {
        check("3000", "Http localhost:3000");
        check("localhost:3000", "Http localhost:3000");
        check("http://LOCALHOST", "Http localhost:80");
        check("app:3000", "Http app:3000");
        check("10.0.0.1:80", "Http 10.0.0.1:80");
        check("[::1]:80", "Http [::1]:80");
        check("https://Example.com", "Https example.com:443");
        check("HTTPS://[::1]", "Https [::1]:443");
        check("h2c://app:50051", "H2c app:50051");
        check("unix:/run/app.sock", "Http unix:/run/app.sock");
        check("unix:app.sock", "Http unix:/etc/app.sock");
    }

    #[test]
    fn what_is_no_target_says_why() {
        check("", "nothing to connect to");
        check("http://", "nothing to connect to");
        check("app", "the port is missing");
        check("0", "a port is a number from 1 to 65535");
        check("app:", "a port is a number from 1 to 65535");
        check("app:65536", "a port is a number from 1 to 65535");
        check("app:+1", "a port is a number from 1 to 65535");
        check("ftp://app", "`ftp` is not spoken here");
        check("http://a:b@app", "a target has no user and password");
        check("http://app/x?y", "`/x?y` is not part of an address");
        check("::1:80", "an IPv6 address stands in brackets: [::1]:3000");
        check("a b:80", "' ' cannot be part of a host name");
    }
}

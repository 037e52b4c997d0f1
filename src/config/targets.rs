//! `to`, `passthrough` and `tcp`: the grammar of targets, as text and as table.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use super::keys;
use super::problem::{At, Problem};
use super::problems::Problems;
use super::reader::{Item, Table};
use super::target::{Address, Scheme, Target, UpstreamTls, Verification};
use crate::hostname::HostName;

const TARGET_FORM: &str = r#"a target such as "3000", "host:3000", "https://host" or "unix:/path""#;
const EXAMPLES: &str = r#"targets look like "3000", "localhost:3000", "host:port", "http://host:port", "https://host", "h2c://host:port" or "unix:/path""#;
const PORT_MAX: u64 = 65_535;

/// What the bytes sent to a target are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Carries {
    /// Requests: every scheme is allowed.
    Http,
    /// A tunnel's bytes: a plain address.
    Bytes,
}

/// Equal targets are one, so that 100,000 sites with one upstream keep it once.
#[derive(Debug, Default)]
pub(super) struct Targets {
    /// Each with the first place that names it.
    shared: HashMap<Arc<Target>, At, foldhash::fast::RandomState>,
    plain_tls: Arc<UpstreamTls>,
}

impl Targets {
    /// Reads one target or a list of them; none if any of them is bad.
    pub(super) fn read(
        &mut self,
        item: &Item<'_>,
        carries: Carries,
        problems: &mut Problems,
    ) -> Option<Box<[Arc<Target>]>> {
        let items = item.one_or_more();
        if items.is_empty() {
            let message = format!("`{}` lists no target", item.key);
            problems.error("empty-list", message, item.at(), "empty", EXAMPLES);
            return None;
        }
        let targets: Vec<_> = items
            .iter()
            .map(|item| self.one(item, carries, problems))
            .collect();
        targets.into_iter().collect()
    }

    /// Reads the text of a target that stands at `at`.
    pub(super) fn text(
        &mut self,
        text: &str,
        at: At,
        folder: &Path,
        carries: Carries,
        problems: &mut Problems,
    ) -> Option<Arc<Target>> {
        match parse(text, folder, carries) {
            Ok((spoken, address)) => {
                let scheme = self.scheme(spoken);
                Some(self.share(Target { scheme, address }, at))
            }
            Err(why) => {
                problems.push(why.problem(text, at));
                None
            }
        }
    }

    fn one(
        &mut self,
        item: &Item<'_>,
        carries: Carries,
        problems: &mut Problems,
    ) -> Option<Arc<Target>> {
        if item.value().is_integer() {
            let port = item.integer(&(1..=PORT_MAX), problems)?;
            let address = Address::Loopback {
                port: u16::try_from(port).ok()?,
            };
            let scheme = Scheme::Http;
            return Some(self.share(Target { scheme, address }, item.at()));
        }
        if let Some(table) = item.as_table() {
            return self.table(&table, carries, problems);
        }
        let text = item.text(TARGET_FORM, problems)?;
        self.text(text, item.at(), &item.origin.folder, carries, problems)
    }

    fn table(
        &mut self,
        table: &Table<'_>,
        carries: Carries,
        problems: &mut Problems,
    ) -> Option<Arc<Target>> {
        table.check_keys(&keys::TARGET, problems);
        let Some(url) = table.get("url") else {
            problems.push(
                Problem::error("missing-key", "a target table needs `url`")
                    .at(table.at, "`url` is missing")
                    .help("{ url = \"https://host\", … }"),
            );
            return None;
        };
        let tls = upstream_tls(table, problems);
        let plain = self.one(&url, carries, problems)?;
        if !matches!(plain.scheme, Scheme::Https(_)) {
            refuse_tls_keys(table, problems);
            return Some(plain);
        }
        let scheme = Scheme::Https(Arc::new(tls?));
        let address = plain.address.clone();
        Some(self.share(Target { scheme, address }, url.at()))
    }

    fn scheme(&self, spoken: Spoken) -> Scheme {
        match spoken {
            Spoken::Http => Scheme::Http,
            Spoken::H2c => Scheme::H2c,
            Spoken::Https => Scheme::Https(Arc::clone(&self.plain_tls)),
        }
    }

    /// Every target and the first place that names it, in the order of these places.
    pub(super) fn in_order(&self) -> Vec<(Arc<Target>, At)> {
        let mut targets: Vec<_> = self
            .shared
            .iter()
            .map(|(target, at)| (Arc::clone(target), *at))
            .collect();
        targets.sort_by_key(|(_, at)| *at);
        targets
    }

    fn share(&mut self, target: Target, at: At) -> Arc<Target> {
        if let Some((shared, _)) = self.shared.get_key_value(&target) {
            return Arc::clone(shared);
        }
        let shared = Arc::new(target);
        self.shared.insert(Arc::clone(&shared), at);
        shared
    }
}

const TLS_KEYS: &[&str] = &["ca", "insecure", "sni", "cert", "key"];

fn refuse_tls_keys(table: &Table<'_>, problems: &mut Problems) {
    for key in TLS_KEYS {
        if let Some(item) = table.get(key) {
            problems.push(
                Problem::error(
                    "conflicting-keys",
                    format!("`{key}` is for `https://` targets"),
                )
                .at(item.key_at, "there is no TLS to this target"),
            );
        }
    }
}

fn upstream_tls(table: &Table<'_>, problems: &mut Problems) -> Option<UpstreamTls> {
    let mut path = |key: &str| table.get(key).map(|item| item.path(problems));
    let (ca, cert, key) = (path("ca"), path("cert"), path("key"));
    let insecure = table.get("insecure").map(|item| item.flag(problems));
    let sni = table.get("sni").map(|item| sni(&item, problems));
    let identity = match (cert, key) {
        (None, None) => None,
        (Some(cert), Some(key)) => Some((cert?.value, key?.value)),
        (Some(_), None) => return missing_half(table, "cert", "key", problems),
        (None, Some(_)) => return missing_half(table, "key", "cert", problems),
    };
    let ca = match ca {
        Some(ca) => Some(ca?.value),
        None => None,
    };
    let sni = match sni {
        Some(sni) => Some(sni?),
        None => None,
    };
    let verification = match insecure {
        Some(insecure) if insecure? => Verification::Skipped,
        Some(_) | None => Verification::Required,
    };
    Some(UpstreamTls {
        ca,
        verification,
        sni,
        identity,
    })
}

fn missing_half(
    table: &Table<'_>,
    there: &str,
    missing: &str,
    problems: &mut Problems,
) -> Option<UpstreamTls> {
    let item = table.get(there)?;
    problems.push(
        Problem::error(
            "incomplete-pair",
            format!("`{there}` needs `{missing}` beside it"),
        )
        .at(item.key_at, format!("`{missing}` is missing")),
    );
    None
}

fn sni(item: &Item<'_>, problems: &mut Problems) -> Option<Box<str>> {
    let text = item.text("a host name", problems)?;
    match HostName::parse(text) {
        Ok(name) if name.ip().is_none() => Some(name.as_str().into()),
        Ok(_) => {
            let message = "an address cannot be sent as SNI";
            problems.push(Problem::error("bad-host", message).at(item.at(), "not a name"));
            None
        }
        Err(why) => {
            let message = format!("`{text}` is no host name");
            problems.push(Problem::error("bad-host", message).at(item.at(), why.to_string()));
            None
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spoken {
    Http,
    H2c,
    Https,
}

/// Why a text is no target.
#[derive(Debug, PartialEq, Eq)]
enum InvalidTarget {
    Empty,
    HasPath(String),
    HasUserinfo,
    UnknownScheme(String),
    SchemeInTunnel,
    MissingPort,
    BadPort,
    BadHost(String),
}

fn parse(text: &str, folder: &Path, carries: Carries) -> Result<(Spoken, Address), InvalidTarget> {
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
    fn problem(self, text: &str, at: At) -> Problem {
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

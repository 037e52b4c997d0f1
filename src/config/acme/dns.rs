//! `acme.dns`: who publishes the records that prove a name.

use std::net::{IpAddr, SocketAddr};

use crate::config::command::Command;
use crate::config::keys::{self, Keys};
use crate::config::problem::Problem;
use crate::config::problems::Problems;
use crate::config::read::Files;
use crate::config::reader::{Item, Table};
use crate::config::secret::{Secret, SecretBytes};
use crate::config::url::{self, Plain};
use crate::hostname::HostName;

/// Who publishes, and whom we ask whether it is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dns {
    pub publisher: Publisher,
    /// None: the system's.
    pub resolver: Option<SocketAddr>,
}

/// Who publishes a record for us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Publisher {
    /// A name server that takes signed updates (RFC 2136, RFC 8945).
    Rfc2136 {
        server: Server,
        /// None: it is found out by asking.
        zone: Option<HostName>,
        key: Box<str>,
        algorithm: TsigAlgorithm,
        /// Decoded.
        secret: SecretBytes,
    },
    AcmeDns {
        url: Box<str>,
        user: Box<str>,
        password: Secret,
        subdomain: Box<str>,
    },
    Cloudflare {
        token: Secret,
        /// A zone's name, or its identifier; none: it is found out by asking.
        zone: Option<Box<str>>,
    },
    /// Called with `present` or `cleanup`, the name, and the value.
    Exec(Command),
}

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    pub host: HostName,
    pub port: u16,
}

/// How updates are signed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TsigAlgorithm {
    #[default]
    HmacSha256,
    HmacSha384,
    HmacSha512,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Rfc2136,
    AcmeDns,
    Cloudflare,
    Exec,
}

const KINDS: &[(&str, Kind)] = &[
    ("rfc2136", Kind::Rfc2136),
    ("acme-dns", Kind::AcmeDns),
    ("cloudflare", Kind::Cloudflare),
    ("exec", Kind::Exec),
];
const ALGORITHMS: &[(&str, TsigAlgorithm)] = &[
    ("hmac-sha256", TsigAlgorithm::HmacSha256),
    ("hmac-sha384", TsigAlgorithm::HmacSha384),
    ("hmac-sha512", TsigAlgorithm::HmacSha512),
];
const DNS_PORT: u16 = 53;

impl Dns {
    pub(super) fn read(
        item: &Item<'_>,
        files: &mut dyn Files,
        problems: &mut Problems,
    ) -> Option<Self> {
        if item.as_table().is_none() {
            problems.hide(item.at());
        }
        let table = item.table(
            "a table: { type = \"rfc2136\", … }, or another type",
            problems,
        )?;
        let kind = match table.get("type") {
            Some(kind) => kind.choice(KINDS, problems),
            None => {
                require(&table, &["type"], problems);
                None
            }
        };
        let Some(kind) = kind else {
            hide_all(&table, problems);
            return None;
        };
        hide_strangers(&table, keys_of(kind), problems);
        table.check_keys(keys_of(kind), problems);
        require(&table, needed(kind), problems);
        let resolver = table.get("resolver").map(|item| resolver(&item, problems));
        let publisher = match kind {
            Kind::Rfc2136 => rfc2136(&table, files, problems),
            Kind::AcmeDns => acme_dns(&table, files, problems),
            Kind::Cloudflare => cloudflare(&table, files, problems),
            Kind::Exec => table
                .get("command")
                .and_then(|item| Command::read(&item, problems))
                .map(Publisher::Exec),
        };
        let resolver = match resolver {
            Some(resolver) => Some(resolver?),
            None => None,
        };
        Some(Self {
            publisher: publisher?,
            resolver,
        })
    }
}

fn keys_of(kind: Kind) -> &'static Keys {
    match kind {
        Kind::Rfc2136 => &keys::RFC2136,
        Kind::AcmeDns => &keys::ACME_DNS,
        Kind::Cloudflare => &keys::CLOUDFLARE,
        Kind::Exec => &keys::EXEC,
    }
}

fn needed(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Rfc2136 => &["server", "key", "secret"],
        Kind::AcmeDns => &["url", "user", "password", "subdomain"],
        Kind::Cloudflare => &["token"],
        Kind::Exec => &["command"],
    }
}

fn rfc2136(table: &Table<'_>, files: &mut dyn Files, problems: &mut Problems) -> Option<Publisher> {
    let server = table.get("server").and_then(|item| server(&item, problems));
    let zone = table.get("zone").map(|item| host(&item, problems));
    let key = table.get("key").and_then(|item| word(&item, problems));
    let algorithm = match table.get("algorithm") {
        Some(item) => item.choice(ALGORITHMS, problems),
        None => Some(TsigAlgorithm::default()),
    };
    let secret = table.get("secret").and_then(|item| {
        let secret = Secret::read(&item, files, problems)?;
        secret.decoded(&item, problems)
    });
    let zone = match zone {
        Some(zone) => Some(zone?),
        None => None,
    };
    Some(Publisher::Rfc2136 {
        server: server?,
        zone,
        key: key?,
        algorithm: algorithm?,
        secret: secret?,
    })
}

fn acme_dns(
    table: &Table<'_>,
    files: &mut dyn Files,
    problems: &mut Problems,
) -> Option<Publisher> {
    let url = table
        .get("url")
        .and_then(|item| url::read(&item, Plain::Anywhere, problems));
    let user = table.get("user").and_then(|item| word(&item, problems));
    let password = table
        .get("password")
        .and_then(|item| Secret::read(&item, files, problems));
    let subdomain = table
        .get("subdomain")
        .and_then(|item| word(&item, problems));
    Some(Publisher::AcmeDns {
        url: url?,
        user: user?,
        password: password?,
        subdomain: subdomain?,
    })
}

fn cloudflare(
    table: &Table<'_>,
    files: &mut dyn Files,
    problems: &mut Problems,
) -> Option<Publisher> {
    let token = table
        .get("token")
        .and_then(|item| Secret::read(&item, files, problems));
    let zone = match table.get("zone") {
        Some(item) => Some(word(&item, problems)?),
        None => None,
    };
    Some(Publisher::Cloudflare {
        token: token?,
        zone,
    })
}

/// Reports the keys that cannot be left out and are.
pub(super) fn require(table: &Table<'_>, keys: &[&str], problems: &mut Problems) {
    let missing: Vec<&str> = keys.iter().filter(|key| !table.has(key)).copied().collect();
    if missing.is_empty() {
        return;
    }
    let listed = keys::listed(&missing);
    let verb = if missing.len() == 1 { "is" } else { "are" };
    problems.push(
        Problem::error("missing-key", format!("{listed} {verb} missing"))
            .at(table.at, format!("this needs {listed}")),
    );
}

/// A text that is not empty and has no space in it.
pub(super) fn word(item: &Item<'_>, problems: &mut Problems) -> Option<Box<str>> {
    let text = item.text("a string", problems)?;
    if text.is_empty() || text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        let message = format!("`{}` takes one word", item.key);
        problems.push(Problem::error("bad-word", message).at(item.at(), "this is none"));
        return None;
    }
    Some(text.into())
}

/// What is not known may be a secret under a misspelt name.
pub(super) fn hide_strangers(table: &Table<'_>, keys: &Keys, problems: &mut Problems) {
    for item in table.in_order() {
        if !keys.known.contains(&item.key) {
            problems.hide(item.at());
        }
    }
}

fn hide_all(table: &Table<'_>, problems: &mut Problems) {
    for item in table.in_order() {
        if item.key != "type" {
            problems.hide(item.at());
        }
    }
}

fn server(item: &Item<'_>, problems: &mut Problems) -> Option<Server> {
    let text = item.text("\"host\" or \"host:port\"", problems)?;
    let found = host_and_port(text).and_then(|(host, port)| {
        let host = HostName::parse(host).ok()?;
        Some(Server { host, port })
    });
    if found.is_none() {
        problems.push(not_a_server(item));
    }
    found
}

fn resolver(item: &Item<'_>, problems: &mut Problems) -> Option<SocketAddr> {
    let text = item.text("\"address\" or \"address:port\"", problems)?;
    let found = host_and_port(text).and_then(|(host, port)| {
        let address: IpAddr = host.parse().ok()?;
        Some(SocketAddr::new(address, port))
    });
    if found.is_none() {
        problems.push(not_a_server(item).help("a resolver is named by its address"));
    }
    found
}

fn not_a_server(item: &Item<'_>) -> Problem {
    let message = format!("`{}` takes a server", item.key);
    Problem::error("bad-server", message)
        .at(item.at(), "this is none")
        .help("for example \"192.0.2.53\" or \"192.0.2.53:53\", \"[2001:db8::53]:53\"")
}

fn host_and_port(text: &str) -> Option<(&str, u16)> {
    if text.parse::<IpAddr>().is_ok() {
        return Some((text, DNS_PORT));
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
        Some(_) | None => (text, DNS_PORT),
    };
    let bare = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(host);
    let is_bracketed = bare.len() != host.len();
    let fits = port != 0 && (is_bracketed || !bare.contains(':'));
    fits.then_some((bare, port))
}

fn host(item: &Item<'_>, problems: &mut Problems) -> Option<HostName> {
    let text = item.text("a zone's name", problems)?;
    let found = HostName::parse(text)
        .ok()
        .filter(|name| name.ip().is_none());
    if found.is_none() {
        let message = format!("`{text}` is no zone's name");
        problems.push(Problem::error("bad-host", message).at(item.at(), "not a name"));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_have_a_port_or_get_one() {
        assert_eq!(host_and_port("ns.test"), Some(("ns.test", 53)));
        assert_eq!(host_and_port("ns.test:5353"), Some(("ns.test", 5353)));
        assert_eq!(host_and_port("192.0.2.1:54"), Some(("192.0.2.1", 54)));
        assert_eq!(host_and_port("2001:db8::53"), Some(("2001:db8::53", 53)));
        assert_eq!(host_and_port("[2001:db8::53]"), Some(("2001:db8::53", 53)));
        assert_eq!(
            host_and_port("[2001:db8::53]:54"),
            Some(("2001:db8::53", 54))
        );
        for bad in ["ns:0", "ns:x", "ns:65536", "a:b:53"] {
            assert_eq!(host_and_port(bad), None, "{bad}");
        }
    }
}

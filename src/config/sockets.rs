//! `listen` and `http`: which sockets a file asks for, and that none is asked for twice in two ways.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::listen::{Listen, ListenHost};
use super::problem::{At, Problem};
use super::problems::Problems;
use super::reader::Item;

const LISTEN_FORM: &str = r#"a port, "address:port" or "localhost:port""#;
const PORT_MAX: u64 = 65_535;

/// A list of sockets and where each of them is asked for; nowhere for a default.
#[derive(Debug, Clone)]
pub(super) struct Sockets {
    pub(super) list: Arc<[Listen]>,
    pub(super) at: Arc<[Option<At>]>,
}

impl Sockets {
    /// A bare port that nobody wrote down.
    pub(super) fn of_port(port: u16) -> Self {
        Self::one(any(port), None)
    }

    /// What a port in a site's key stands for: the entries of this list with that port, or every address if it has none.
    pub(super) fn at_port(&self, port: u16, key_at: At) -> Self {
        let of_port = self.list.iter().filter(|listen| listen.port == port);
        let list: Arc<[Listen]> = of_port.copied().collect();
        if list.is_empty() {
            return Self::one(any(port), Some(key_at));
        }
        Self {
            at: list.iter().map(|_listen| Some(key_at)).collect(),
            list,
        }
    }

    /// Entries that nobody wrote down.
    pub(super) fn of(list: &[Listen]) -> Self {
        Self {
            at: list.iter().map(|_listen| None).collect(),
            list: list.into(),
        }
    }

    fn one(listen: Listen, at: Option<At>) -> Self {
        Self {
            list: Arc::new([listen]),
            at: Arc::new([at]),
        }
    }

    pub(super) fn none() -> Self {
        Self {
            list: Arc::new([]),
            at: Arc::new([]),
        }
    }

    /// Reads a list, or one entry of it.
    pub(super) fn read(item: &Item<'_>, problems: &mut Problems) -> Option<Self> {
        let items = item.one_or_more();
        if items.is_empty() {
            let help = match item.key {
                "http" => "`http = false` opens no plain socket",
                _ => "leave the key out for the default",
            };
            let message = format!("`{}` lists no socket", item.key);
            problems.error("empty-list", message, item.at(), "empty", help);
            return None;
        }
        let mut seen: Vec<(Listen, At)> = Vec::with_capacity(items.len());
        let mut good = true;
        for item in items {
            let Some(listen) = entry(&item, problems) else {
                good = false;
                continue;
            };
            match seen
                .iter()
                .find(|(other, _)| *other == listen && listen.port != 0)
            {
                Some((_, first)) => problems.push(
                    Problem::error("duplicate-listen", format!("`{listen}` is listed twice"))
                        .at(item.at(), "again here")
                        .also(*first, "first here"),
                ),
                None => seen.push((listen, item.at())),
            }
        }
        good.then(|| Self {
            list: seen.iter().map(|(listen, _)| *listen).collect(),
            at: seen.iter().map(|(_, at)| Some(*at)).collect(),
        })
    }
}

/// Every address at this port.
fn any(port: u16) -> Listen {
    Listen {
        host: ListenHost::Any,
        port,
    }
}

fn entry(item: &Item<'_>, problems: &mut Problems) -> Option<Listen> {
    if item.value().is_integer() {
        let port = item.integer(&(0..=PORT_MAX), problems)?;
        return u16::try_from(port).ok().map(any);
    }
    let text = item.text(LISTEN_FORM, problems)?;
    let listen = parse(text);
    if listen.is_none() {
        problems.error(
            "bad-listen",
            format!("`{}` takes {LISTEN_FORM}", item.key),
            item.at(),
            "this is none of them",
            r#"for example 8443, "127.0.0.1:8443", "[::1]:8443" or "localhost:8443""#,
        );
    }
    listen
}

fn parse(text: &str) -> Option<Listen> {
    let (host, port) = text.rsplit_once(':').unwrap_or(("", text));
    let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let port = port.parse().ok().filter(|_| digits)?;
    let host = match host {
        "" | "*" => ListenHost::Any,
        "localhost" => ListenHost::Loopback,
        _ => ListenHost::Address(address(host)?),
    };
    Some(Listen { host, port })
}

fn address(host: &str) -> Option<IpAddr> {
    match host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        Some(inside) => inside.parse().ok().map(IpAddr::V6),
        None => host.parse().ok().map(IpAddr::V4),
    }
}

/// What is spoken on a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    Tls,
    Plain,
}

/// Every socket asked for so far, so that none is TLS and plain at once.
#[derive(Debug, Default)]
pub(super) struct Doors {
    by_port: HashMap<u16, Vec<Taken>, foldhash::fast::RandomState>,
    /// The ports taken since the last [`Doors::keep`], in order.
    recent: Vec<u16>,
}

#[derive(Debug, Clone, Copy)]
struct Taken {
    listen: Listen,
    of: Use,
    at: Option<At>,
}

impl Doors {
    /// Notes what a site, or the plain list, asks for.
    pub(super) fn take(&mut self, sockets: &Sockets, of: Use, problems: &mut Problems) {
        for (listen, at) in sockets.list.iter().zip(sockets.at.iter()) {
            let new = Taken {
                listen: *listen,
                of,
                at: *at,
            };
            if listen.port != 0 {
                self.take_one(new, problems);
            }
        }
    }

    /// Every socket taken, in the order of their ports.
    pub(super) fn listens(&self) -> Vec<Listen> {
        let mut listens: Vec<Listen> = self
            .by_port
            .values()
            .flatten()
            .map(|taken| taken.listen)
            .collect();
        listens.sort_by_key(|listen| (listen.port, *listen));
        listens
    }

    /// What was taken since the last time stays.
    pub(super) fn keep(&mut self) {
        self.recent.clear();
    }

    /// What was taken since the last [`Doors::keep`] is given back.
    pub(super) fn give_back(&mut self) {
        for port in self.recent.drain(..) {
            if let Some(taken) = self.by_port.get_mut(&port) {
                taken.pop();
            }
        }
    }

    fn take_one(&mut self, new: Taken, problems: &mut Problems) {
        let at_port = self.by_port.entry(new.listen.port).or_default();
        if at_port
            .iter()
            .any(|taken| taken.listen == new.listen && taken.of == new.of)
        {
            return;
        }
        let other = at_port
            .iter()
            .find(|taken| taken.of != new.of && overlap(taken.listen.host, new.listen.host));
        if let Some(other) = other {
            problems.push(conflict(new, *other));
            return;
        }
        at_port.push(new);
        self.recent.push(new.listen.port);
    }
}

fn conflict(new: Taken, other: Taken) -> Problem {
    let said = |of: Use| match of {
        Use::Tls => "TLS is spoken here",
        Use::Plain => "plain HTTP is spoken here",
    };
    let port = new.listen.port;
    let message = format!("port {port} cannot speak both TLS and plain HTTP");
    let problem = Problem::error("port-conflict", message);
    match (new.at, other.at) {
        (Some(at), Some(also)) => problem.at(at, said(new.of)).also(also, said(other.of)),
        (Some(at), None) => problem.at(at, said(new.of)),
        (None, Some(at)) => problem.at(at, said(other.of)),
        (None, None) => problem,
    }
    .help(format!(
        "give one of them another port; plain HTTP is on port 80 unless `http` says otherwise (`http = false`, or a port other than {port})"
    ))
}

fn overlap(one: ListenHost, other: ListenHost) -> bool {
    match (one, other) {
        (ListenHost::Any, _) | (_, ListenHost::Any) => true,
        (ListenHost::Loopback, ListenHost::Loopback) => true,
        (ListenHost::Loopback, ListenHost::Address(ip))
        | (ListenHost::Address(ip), ListenHost::Loopback) => {
            ip.is_loopback() || ip.is_unspecified()
        }
        (ListenHost::Address(one), ListenHost::Address(other)) => {
            one == other
                || one.is_ipv4() == other.is_ipv4()
                    && (one.is_unspecified() || other.is_unspecified())
        }
    }
}

/// Whether a connection to `ip` at `port` from this machine would arrive at `listen`.
pub(super) fn reaches(listen: Listen, ip: IpAddr, port: u16) -> bool {
    listen.port == port && port != 0 && overlap(listen.host, ListenHost::Address(ip))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        let parsed = parse(text).map(|listen| listen.to_string());
        assert_eq!(parsed.as_deref(), expected, "{text}");
    }

    #[test]
    fn sockets_are_ports_addresses_and_localhost() {
        check("443", Some("443"));
        check(":443", Some("443"));
        check("*:443", Some("443"));
        check("localhost:0", Some("localhost:0"));
        check("127.0.0.1:443", Some("127.0.0.1:443"));
        check("[::1]:443", Some("[::1]:443"));
    }

    #[test]
    fn anything_else_is_no_socket() {
        for text in [
            "",
            ":",
            "65536",
            "+80",
            "::1:443",
            "example.com:443",
            "[127.0.0.1]:80",
            "a",
        ] {
            check(text, None);
        }
    }
}

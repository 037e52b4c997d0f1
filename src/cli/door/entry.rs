//! Which site of a door a person means, and where it is reached.

use super::asked::Asked;
use crate::app::banner::counted;
use crate::config::suggest::nearest;
use crate::control::health::Kind as Spoken;
use crate::control::status::{SiteStatus, Status};
use crate::hostname::HostPattern;

use super::failure::Failure;

/// Names that are told when none is near.
const NAMES_TOLD_MAX: usize = 5;

/// A site that serves a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    pub(super) site: &'a SiteStatus,
    /// Where a client reaches the name; a pattern is nowhere.
    reached: Option<Reached>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Reached {
    spoken: Spoken,
    port: u16,
}

/// The site for a name: the one that has it, else the one whose pattern stands for it; TLS before plain text.
pub(super) fn find<'a>(status: &'a Status, asked: &Asked) -> Result<Entry<'a>, Failure> {
    let found = status.sites.iter().filter_map(|site| {
        let nearness = nearness(site, &asked.name)?;
        let reached = reached(site, asked.port, status);
        if asked.port.is_some() && reached.is_none() {
            return None;
        }
        let is_plain = reached.is_none_or(|reached| reached.spoken == Spoken::Plain);
        Some(((nearness, is_plain), Entry { site, reached }))
    });
    let found = found.min_by_key(|(rank, _entry)| *rank);
    found
        .map(|(_rank, entry)| entry)
        .ok_or_else(|| missing(status, asked))
}

impl Entry<'_> {
    /// The URL of a name of the site.
    pub(super) fn url(&self, asked: &Asked) -> Result<String, Failure> {
        let (HostPattern::Exact(name), Some(reached)) = (&asked.name, self.reached) else {
            let sentence = format!("`{asked}` stands for many names and has no URL of its own");
            let way = "  try:  a name that it stands for, as in `onedoor get one.example.test`\n";
            return Err(Failure::new("no-url", &sentence, way));
        };
        let host = match name.as_str() {
            address if address.contains(':') => format!("[{address}]"),
            name => name.to_owned(),
        };
        let (scheme, usual) = match reached.spoken {
            Spoken::Tls => ("https", 443),
            Spoken::Plain => ("http", 80),
        };
        Ok(match reached.port {
            port if port == usual => format!("{scheme}://{host}"),
            port => format!("{scheme}://{host}:{port}"),
        })
    }

    /// The port of the site's first target.
    pub(super) fn target_port(&self) -> Result<u16, Failure> {
        port_of_target(&self.site.target).ok_or_else(|| {
            let sentence = format!("`{}` has no port", self.site.target);
            Failure::new("no-port", &sentence, "")
        })
    }
}

/// How well a site's names fit: smaller is nearer.
fn nearness(site: &SiteStatus, asked: &HostPattern) -> Option<u8> {
    let patterns = site.names.iter();
    patterns
        .filter_map(|name| {
            let pattern = HostPattern::parse(name).ok()?;
            if pattern == *asked {
                return Some(0);
            }
            let HostPattern::Exact(asked) = asked else {
                return None;
            };
            let nearness = match pattern {
                HostPattern::Exact(_) => return None,
                HostPattern::Wildcard(_) => 1,
                HostPattern::CatchAll => 2,
            };
            pattern.matches(asked).then_some(nearness)
        })
        .min()
}

/// The listener that is meant, or the site's first.
fn reached(site: &SiteStatus, wanted: Option<u16>, status: &Status) -> Option<Reached> {
    let mut ports = site.listen.iter().filter_map(|listen| port_behind(listen));
    let port = ports.find(|port| wanted.is_none_or(|wanted| wanted == *port))?;
    let mut listeners = status.health.listeners.iter();
    let listener = listeners.find(|listener| listener.address.port() == port);
    let spoken = listener.map_or(Spoken::Tls, |listener| listener.kind);
    Some(Reached { spoken, port })
}

/// The port of `443`, `127.0.0.1:443` or `[::1]:443`.
fn port_behind(listen: &str) -> Option<u16> {
    let port = listen.rsplit_once(':').map_or(listen, |(_host, port)| port);
    port.parse().ok()
}

/// The port of the first target of a list such as `localhost:3000, /api → localhost:4000`.
fn port_of_target(target: &str) -> Option<u16> {
    let first = target.split([',', ' ']).next()?;
    let (usual, rest) = match first.split_once("://") {
        Some(("https", rest)) => (Some(443), rest),
        Some((_http, rest)) => (Some(80), rest),
        None => (None, first),
    };
    if rest.starts_with("unix:") || rest.starts_with('/') {
        return None;
    }
    let behind = rest.rsplit_once(':').map(|(_host, port)| port);
    match behind.map(str::parse) {
        Some(Ok(port)) => Some(port),
        Some(Err(_)) | None => usual,
    }
}

fn missing(status: &Status, asked: &Asked) -> Failure {
    let names = || {
        let all = status.sites.iter().flat_map(|site| &site.names);
        all.map(String::as_str)
    };
    let sentence = format!("nobody serves `{asked}` here");
    let mut more = match nearest(&asked.name.to_string(), names()) {
        Some(near) if near == asked.name.to_string() => {
            format!("  note: `{near}` is served on another port\n")
        }
        Some(near) => format!("  did you mean `{near}`?\n"),
        None => {
            let told: Vec<&str> = names().take(NAMES_TOLD_MAX).collect();
            match (told.len(), names().count()) {
                (0, _) => "  note: no site is served yet\n".to_owned(),
                (told_number, all) if told_number == all => {
                    format!("  note: served are {}\n", told.join(", "))
                }
                (_, all) => {
                    let names = counted(all, "name");
                    format!("  note: served are {names}, as {}\n", told.join(", "))
                }
            }
        }
    };
    more.push_str("  try:  onedoor ls     shows what is served, and by whom\n");
    Failure::new("unknown-name", &sentence, &more)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::door::samples::door;

    #[track_caller]
    fn url(asked: &str) -> String {
        let asked = Asked::parse(asked).unwrap();
        let door = door();
        let url = find(&door, &asked).and_then(|entry| entry.url(&asked));
        url.unwrap_or_else(|failure| failure.text)
    }

    #[test]
    fn a_name_leads_to_its_url() {
        assert_eq!(url("WWW.a.localhost"), "https://www.a.localhost");
        assert_eq!(url("https://shop.localhost/x"), "https://shop.localhost");
        assert_eq!(url("x.dev.localhost"), "https://x.dev.localhost:8443");
        assert_eq!(url("x.dev.localhost:8443"), "https://x.dev.localhost:8443");
        let text = url("*.dev.localhost");
        assert!(
            text.starts_with("error[no-url]: `*.dev.localhost` "),
            "{text}"
        );
    }

    #[test]
    fn an_unknown_name_finds_its_neighbour() {
        #[track_caller]
        fn check(asked: &str, line: &str) {
            let text = url(asked);
            let first = format!("error[unknown-name]: nobody serves `{asked}` here");
            assert_eq!(text.lines().next(), Some(&*first));
            assert_eq!(text.lines().nth(1), Some(line), "{text}");
        }
        check("shpo.localhost", "  did you mean `shop.localhost`?");
        check(
            "shop.localhost:9443",
            "  note: `shop.localhost` is served on another port",
        );
        check(
            "intranet.example.com",
            "  note: served are a.localhost, www.a.localhost, shop.localhost, *.dev.localhost, c.localhost",
        );
    }

    #[test]
    fn the_port_of_a_target_is_found_where_there_is_one() {
        #[track_caller]
        fn check(target: &str, expected: Option<u16>) {
            assert_eq!(port_of_target(target), expected, "{target}");
        }
        check("localhost:3000", Some(3000));
        check("localhost:3000, /api → localhost:4000", Some(3000));
        check("10.0.0.1:80 10.0.0.2:80", Some(80));
        check("[::1]:3000", Some(3000));
        check("https://up.test", Some(443));
        check("h2c://up.test:50051", Some(50051));
        check("unix:/run/app.sock", None);
        check("redirect to https://a.test", None);
        check("/api → localhost:4000", None);
        check("", None);
    }
}

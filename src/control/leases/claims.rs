//! What a configuration claims, with the words for what is behind each place.

use std::hash::Hasher as _;

use super::{Claim, ClaimedPath};
use crate::config::Config;
use crate::config::backends::Backends;
use crate::config::places::PathOf;
use crate::config::site::{Action, Http, Respond, Rule, Service, Tunnel};

/// Bodies up to this length are their own words.
const BODY_SHOWN_MAX: usize = 60;

/// Every place that a configuration has sites at: each name, port and path once.
#[must_use]
pub fn claims_of(config: &Config) -> Vec<Claim> {
    let mut claims = Vec::new();
    for site in &config.sites {
        let parts: Vec<(ClaimedPath, String)> = site
            .service
            .parts()
            .into_iter()
            .map(|part| (part.into(), words(&site.service, part)))
            .collect();
        for name in &site.names {
            for port in site.ports() {
                claims.extend(parts.iter().map(|(path, target)| Claim {
                    name: name.to_string(),
                    port,
                    path: path.clone(),
                    target: target.clone(),
                }));
            }
        }
    }
    claims
}

impl From<PathOf<'_>> for ClaimedPath {
    fn from(path: PathOf<'_>) -> Self {
        match path {
            PathOf::Everything => Self::Everything,
            PathOf::Prefix(path) => Self::Prefix(path.to_owned()),
            PathOf::Exact(path) => Self::Exact(path.to_owned()),
        }
    }
}

fn words(service: &Service, part: PathOf<'_>) -> String {
    match service {
        Service::Plain(http) | Service::Secure(_, http) => {
            rule(http, part).map_or_else(String::new, action)
        }
        Service::Passthrough(to) => format!("passthrough {}", tunnel(to)),
        Service::Tcp(_, to) => format!("tcp {}", tunnel(to)),
    }
}

fn rule<'a>(http: &'a Http, part: PathOf<'_>) -> Option<&'a Rule> {
    let own = http.paths.iter().find(|path| PathOf::of(path) == part);
    own.map(|path| &path.rule)
        .or(http.root.as_ref())
        .map(AsRef::as_ref)
}

fn action(rule: &Rule) -> String {
    match &rule.action {
        Action::Forward(backends) => list(backends),
        Action::Redirect(redirect) => {
            format!("redirect {} to {}", redirect.status.as_u16(), redirect.to)
        }
        Action::Respond(respond) => self::respond(respond),
    }
}

fn tunnel(tunnel: &Tunnel) -> String {
    list(&tunnel.backends)
}

fn list(backends: &Backends) -> String {
    let words: Vec<String> = backends.targets().map(ToString::to_string).collect();
    words.join(", ")
}

/// Two answers have the same words only if they are the same.
fn respond(respond: &Respond) -> String {
    let Respond {
        status,
        body,
        content_type,
    } = respond;
    let status = status.as_u16();
    if body.is_empty() {
        return format!("respond {status}");
    }
    let kind = String::from_utf8_lossy(content_type.as_bytes());
    match std::str::from_utf8(body) {
        Ok(text) if text.len() <= BODY_SHOWN_MAX => format!("respond {status} {kind} {text:?}"),
        Ok(_) | Err(_) => {
            let mut hasher = std::collections::hash_map::DefaultHasher::new();
            hasher.write(body);
            let (length, hash) = (body.len(), hasher.finish());
            format!("respond {status} {kind} of {length} octets ({hash:016x})")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::read;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let loaded = read(Path::new("/etc/proxy.toml"), text).unwrap();
        let shown: Vec<String> = claims_of(&loaded.config)
            .iter()
            .map(|claim| match claim.path {
                ClaimedPath::Everything => format!("{claim} all {}", claim.target),
                ClaimedPath::Prefix(_) | ClaimedPath::Exact(_) => {
                    format!("{claim} {}", claim.target)
                }
            })
            .collect();
        assert_eq!(shown, expected, "{text}");
    }

    #[test]
    fn a_site_claims_each_name_port_and_path() {
        check(
            r#"
            listen = [443, "localhost:443", 8443]
            [sites."A.test"]
            aliases = ["b.test"]
            to = ["3000", "https://up.test"]
            paths = { "/api/" = "unix:api.sock", "/health$" = { respond = { body = "fine" } } }
            tls = "internal"
            "#,
            &[
                "a.test:443/api unix:/etc/api.sock",
                "a.test:443/health$ respond 200 text/plain; charset=utf-8 \"fine\"",
                "a.test:443 localhost:3000, https://up.test:443",
                "a.test:8443/api unix:/etc/api.sock",
                "a.test:8443/health$ respond 200 text/plain; charset=utf-8 \"fine\"",
                "a.test:8443 localhost:3000, https://up.test:443",
                "b.test:443/api unix:/etc/api.sock",
                "b.test:443/health$ respond 200 text/plain; charset=utf-8 \"fine\"",
                "b.test:443 localhost:3000, https://up.test:443",
                "b.test:8443/api unix:/etc/api.sock",
                "b.test:8443/health$ respond 200 text/plain; charset=utf-8 \"fine\"",
                "b.test:8443 localhost:3000, https://up.test:443",
            ],
        );
    }

    #[test]
    fn sites_without_tls_claim_their_plain_ports_and_tunnels_everything() {
        check(
            r#"
            http = 8080
            [sites]
            "a.test" = { to = "3000", tls = "off" }
            "*.b.test" = { redirect = "https://c.test" }
            "c.test:9443" = { passthrough = "10.0.0.1:443" }
            "d.test" = { tcp = "10.0.0.1:5432" }
            "#,
            &[
                "a.test:8080 localhost:3000",
                "*.b.test:443 redirect 308 to https://c.test",
                "c.test:9443 all passthrough 10.0.0.1:443",
                "d.test:443 all tcp 10.0.0.1:5432",
            ],
        );
    }
}

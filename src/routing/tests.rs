//! Looking up in tables that were compiled from one or several configurations.

use std::net::Ipv4Addr;
use std::path::Path;

use super::*;
use crate::config::merge::{Part, PartLog, merge};
use crate::config::places::PathOf;
use crate::config::site::Action;
use crate::config::{Loaded, read};
use crate::hostname::HostPattern;

fn loaded(text: &str) -> Loaded {
    read(Path::new("/etc/proxy.toml"), text).unwrap()
}

/// Which service answers for a name at a port on the loopback address: what it speaks, and where each rule leads.
fn served(config: &Config, name: &str, port: u16, kind: Kind) -> String {
    let routes = Routes::compile(config, 1, Loopback::Direct, &|port| port);
    let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let spec = SocketSpec {
        address: SocketAddr::new(local, port),
        kind,
    };
    let found = routes
        .socket(spec)
        .and_then(|socket| routes.find(socket, local, name))
        .and_then(|entry| routes.site(entry));
    let Some(site) = found else {
        return "nobody".to_owned();
    };
    let http = match &site.service {
        Service::Plain(http) | Service::Secure(_, http) => http,
        Service::Passthrough(to) | Service::Tcp(_, to) => {
            return to.backends.first().unwrap().to_string();
        }
    };
    let paths = http.paths.iter().map(|path| (&*path.prefix, &path.rule));
    let root = http.root.iter().map(|rule| ("/", rule));
    let rules: Vec<String> = paths
        .chain(root)
        .map(|(path, rule)| match &rule.action {
            Action::Forward(targets) => format!("{path}={}", targets.first().unwrap()),
            Action::Redirect(_) | Action::Respond(_) => path.to_owned(),
        })
        .collect();
    rules.join(" ")
}

#[test]
fn a_plain_site_stands_before_the_way_to_https_whatever_their_order() {
    for text in [
        "[sites]\n\"a.test\" = \"1\"\n\"a.test:80\" = { to = \"2\", tls = \"off\" }",
        "[sites]\n\"a.test:80\" = { to = \"2\", tls = \"off\" }\n\"a.test\" = \"1\"",
    ] {
        let config = loaded(text).config;
        assert_eq!(served(&config, "a.test", 80, Kind::Plain), "/=localhost:2");
        assert_eq!(served(&config, "a.test", 443, Kind::Tls), "/=localhost:1");
    }
}

#[test]
fn what_was_merged_is_found_by_name_and_socket() {
    let own = loaded("[sites]\n\"a.test\" = \"1\"\n\"b.test\" = \"1\"\n\"*.c.test\" = \"1\"");
    let narrow = loaded(
        "listen = \"localhost:443\"\n[sites]\n\"a.test\" = { paths = { \"/x\" = \"2\" } }\n\"b.test\" = { tcp = \"2\" }",
    );
    let wide = loaded(
        "http = 8080\n[sites]\n\"d.c.test\" = \"3\"\n\"e.test\" = { to = \"3\", tls = \"off\" }",
    );
    let part = |lease, loaded| Part {
        lease,
        loaded,
        log: PartLog::Guest,
    };
    let keep = |lease, name: &HostPattern, _port, _path: PathOf<'_>| {
        lease != 0 || name.to_string() != "b.test"
    };
    let merged = merge(&own, &[part(1, &narrow), part(2, &wide)], &keep);
    let config = &merged.loaded.config;
    for (name, port, kind, expected) in [
        ("a.test", 443, Kind::Tls, "/x=localhost:2 /=localhost:1"),
        ("b.test", 443, Kind::Tls, "localhost:2"),
        ("d.c.test", 443, Kind::Tls, "/=localhost:3"),
        ("x.c.test", 443, Kind::Tls, "/=localhost:1"),
        ("e.test", 8080, Kind::Plain, "/=localhost:3"),
        ("e.test", 80, Kind::Plain, "nobody"),
        ("e.test", 443, Kind::Tls, "nobody"),
    ] {
        assert_eq!(served(config, name, port, kind), expected, "{name}:{port}");
    }
}

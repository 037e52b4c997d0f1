use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;

use super::*;
use crate::app::local_ca::{Local, Missing};
use crate::app::prepare::{prepare, sorted};
use crate::app::start::{LOOPBACK, assemble, wall_clock};
use crate::certs::local_ca::safe::Safe;
use crate::certs::resolver::Resolver;
use crate::clock::Clock;
use crate::config::{Loaded, read};
use crate::proxy::context::Common;
use crate::routing::sockets_of;
use crate::storage::files::Storage;
use crate::storage::store::Store;

/// A configuration in service, without sockets.
struct Door {
    loaded: Arc<Loaded>,
    current: Arc<Current>,
    _storage: TempDir,
}

impl Door {
    fn new(text: &str) -> Self {
        Self::edited(text, |_loaded| {})
    }

    fn edited(text: &str, edit: impl FnOnce(&mut Loaded)) -> Self {
        let storage = tempfile::tempdir().unwrap();
        let folder = storage.path().join("storage");
        let store = Store::files(folder.clone(), Clock::system());
        let safe = Safe::new(store, "storage", Storage::at(folder));
        let local = Local::new(safe, Missing::Make);
        let resolver = Resolver::new();
        let mut loaded = read(Path::new("proxy.toml"), text).unwrap();
        edit(&mut loaded);
        let preparing = prepare(sorted(loaded), &resolver, &local, wall_clock());
        let prepared = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(preparing)
            .unwrap();
        let (loaded, current) = assemble(prepared, &resolver, 1, &|port| port, &Common::default());
        Self {
            loaded,
            current,
            _storage: storage,
        }
    }

    fn explain(&self, url: &str) -> Explanation {
        let config = &self.loaded.config;
        let listeners: Vec<(SocketAddr, Kind)> = sockets_of(config, LOOPBACK)
            .into_iter()
            .map(|spec| (spec.address, spec.kind))
            .collect();
        explain(url, &self.current, &listeners, config).unwrap()
    }

    #[track_caller]
    fn ends(&self, url: &str, expected: &str) {
        assert_eq!(self.explain(url).outcome, expected, "{url}");
    }
}

fn said(step: Option<&Step>) -> Option<(&str, &str)> {
    step.map(|step| (&*step.what, &*step.why))
}

const SITES: &str = r#"
    [sites."a.localhost"]
    to = 3000
    hsts = "365d"
    headers.request = { "X-From" = "{client_ip}", Cookie = false, "+Accept" = "x/y" }
    headers.response = { Server = false }
    [sites."a.localhost".paths]
    "/api" = { to = ["3001", "https://up.test"], strip = true, host = "upstream" }
    "/api/v2$" = { respond = { status = 204 } }
    "/old" = { redirect = "https://new.test" }
    "/re" = { to = "h2c://localhost:3002", rewrite = { from = "^/re/(.*)$", to = "/$1" } }

    [sites."*.localhost"]
    to = 4000

    [sites."raw.test"]
    passthrough = "10.0.0.7:443"

    [sites."tcp.localhost"]
    tcp = 5432
"#;

#[test]
fn a_request_is_followed_to_its_target() {
    let door = Door::new(SITES);
    let told = door.explain("https://A.localhost/x?y");
    assert_eq!(told.url, "https://a.localhost/x?y");
    assert_eq!(
        said(told.site.as_ref()),
        Some(("a.localhost", "`a.localhost` is its name"))
    );
    let certificate = ("local CA", "the name is local, and no pair names it");
    assert_eq!(said(told.certificate.as_ref()), Some(certificate));
    let rule = ("the site's own", "no entry of `paths` fits `/x`");
    assert_eq!(said(told.rule.as_ref()), Some(rule));
    let target = ("localhost:3000 /x?y", "path and query go as they came");
    assert_eq!(said(told.target.as_ref()), Some(target));
    assert_eq!(
        told.outcome,
        "`GET /x?y` goes to localhost:3000, with the host a.localhost"
    );
    assert_eq!(told.spoken, Some(Spoken::Tls));
    assert_eq!(told.lease, None);
}

#[test]
fn edits_are_those_that_requests_and_answers_get() {
    let door = Door::new(SITES);
    let told = door.explain("https://a.localhost/");
    let expected = [
        "host: a.localhost",
        "cookie is removed",
        "forwarded is removed",
        "x-real-ip is removed",
        "x-from: (the client's address)",
        "accept gets one more line: x/y",
        "x-forwarded-for: (the client's address)",
        "x-forwarded-proto: https",
        "x-forwarded-host: a.localhost",
        "x-forwarded-port: 443",
        "x-request-id: (a fresh id)",
        "via: 1.1 onedoor",
    ];
    let mut seen = told.request.clone();
    assert_eq!(seen[0], expected[0]);
    seen.sort();
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    assert_eq!(seen, expected);
    assert_eq!(told.answer.len(), 2);
    assert_eq!(told.answer[0], "server is removed");
    assert!(told.answer[1].starts_with("strict-transport-security: max-age="));
}

#[test]
fn paths_are_chosen_and_changed_as_requests_are() {
    let door = Door::new(SITES);
    let told = door.explain("https://a.localhost/api/v2/x?q");
    let rule = (
        "`/api`",
        "the longest entry of `paths` that `/api/v2/x` lies under",
    );
    assert_eq!(said(told.rule.as_ref()), Some(rule));
    let target = (
        "localhost:3001, https://up.test:443 /v2/x?q",
        "`/api` is stripped of `/api/v2/x?q`",
    );
    assert_eq!(said(told.target.as_ref()), Some(target));
    assert!(told.request.contains(&"host: localhost:3001".to_owned()));
    assert!(
        told.request
            .contains(&"x-forwarded-prefix: /api".to_owned())
    );
    let re = door.explain("https://a.localhost/re/x");
    assert_eq!(
        said(re.target.as_ref()).unwrap().0,
        "h2c://localhost:3002 /x"
    );
    assert_eq!(re.request[0], "host: a.localhost");
    let exact = "onedoor answers it with 204 and 0 octets: the rule says `respond`";
    door.ends("https://a.localhost/api/v2", exact);
    let moved = "onedoor answers it with 308 to https://new.test/old/x?y: the rule says `redirect`";
    door.ends("https://a.localhost/old/x?y", moved);
    let escaping = door.explain("https://a.localhost/api/..%2f..%2fx").outcome;
    assert!(
        escaping.starts_with("onedoor answers it with 400 (escaping-path)"),
        "{escaping}"
    );
}

#[test]
fn names_are_found_as_connections_find_them() {
    let door = Door::new(SITES);
    let wildcard = door.explain("https://b.localhost");
    let why = "`*.localhost` stands for the name, and no site has it exactly";
    assert_eq!(said(wildcard.site.as_ref()), Some(("*.localhost", why)));
    door.ends(
        "https://b.test",
        "the handshake fails with the alert `unrecognized_name`: no site on this port has the name `b.test`",
    );
    door.ends(
        "https://127.0.0.1/",
        "the handshake fails with the alert `unrecognized_name`: a client sends no name for an address, and `127.0.0.1` is no site",
    );
    door.ends("https://raw.test", "TLS itself is carried to 10.0.0.7:443");
    door.ends(
        "https://tcp.localhost",
        "what is inside TLS is carried to localhost:5432",
    );
    let catch_all =
        Door::new("[sites]\n\"a.localhost\" = 1\n\"*\" = { to = 2, tls = \"internal\" }\n");
    let site = catch_all.explain("https://b.test/").site;
    assert_eq!(
        said(site.as_ref()).unwrap().1,
        "`*` stands for every name that no other site has"
    );
    let unknown = Door::new("unknown = \"a.localhost\"\n[sites]\n\"a.localhost\" = 1\n");
    let site = unknown.explain("https://b.test/").site;
    let why = "nobody has the name, and `unknown` says that this site serves it";
    assert_eq!(said(site.as_ref()), Some(("a.localhost", why)));
}

#[test]
fn a_plain_request_is_sent_to_https_or_told_that_there_is_nothing() {
    let door = Door::new(SITES);
    door.ends(
        "http://a.localhost/x",
        "onedoor answers it with 308 to https://a.localhost/x: the site is served over TLS",
    );
    let lost = door.explain("http://b.test/").outcome;
    assert!(
        lost.starts_with("onedoor answers it with 404 (unknown-host): no site has this name"),
        "{lost}"
    );
    let plain = Door::new("[sites]\n\"a.test\" = { tls = \"off\", paths = { \"/a\" = 1 } }\n");
    let told = plain.explain("http://a.test/a/b");
    assert_eq!(
        told.outcome,
        "`GET /a/b` goes to localhost:1, with the host a.test"
    );
    assert_eq!(told.certificate, None);
    assert!(told.request.contains(&"x-forwarded-proto: http".to_owned()));
    plain.ends(
        "http://a.test/b",
        "onedoor answers it with 404 (no-route): the site has no rule for this path",
    );
}

#[test]
fn a_port_decides_what_is_served() {
    let door = Door::new(
        "http = false\n[sites]\n\"a.localhost\" = { to = 1, listen = \"localhost:8443\" }\n\"b.localhost\" = { to = 2, listen = \"192.0.2.7:9443\" }\n",
    );
    let told = door.explain("https://a.localhost:8443/");
    assert_eq!(
        said(told.listener.as_ref()),
        Some(("127.0.0.1:8443", "the URL says port 8443"))
    );
    assert_eq!(
        told.outcome,
        "`GET /` goes to localhost:1, with the host a.localhost:8443"
    );
    door.ends(
        "https://b.localhost:9443/",
        "`GET /` goes to localhost:2, with the host b.localhost:9443",
    );
    door.ends(
        "https://a.localhost/",
        "onedoor does not listen on port 443 of this host: it listens on 127.0.0.1:8443, 192.0.2.7:9443, [::1]:8443",
    );
    let spoken = door.explain("http://a.localhost:8443/").outcome;
    assert!(spoken.contains("speaks TLS"), "{spoken}");
}

#[test]
fn a_wildcard_socket_knows_the_sites_of_its_addresses() {
    let door = Door::new(
        "http = false\n[sites]\n\"a.localhost\" = { to = 1, listen = 8443 }\n\"b.localhost\" = { to = 2, listen = \"192.0.2.7:8443\" }\n",
    );
    door.ends(
        "https://b.localhost:8443/",
        "`GET /` goes to localhost:2, with the host b.localhost:8443",
    );
    door.ends(
        "https://a.localhost:8443/",
        "`GET /` goes to localhost:1, with the host a.localhost:8443",
    );
}

#[test]
fn a_guests_rule_names_its_lease() {
    let door = Door::edited("[sites]\n\"a.localhost\" = 1\n", |loaded| {
        for site in &mut loaded.config.sites {
            if let Service::Secure(_, http) = &mut site.service {
                let rule = http.root.as_mut().unwrap();
                Arc::make_mut(rule).log = AccessLogging::Guest(7);
            }
        }
    });
    assert_eq!(door.explain("https://a.localhost").lease, Some(LeaseId(7)));
    assert_eq!(door.explain("http://a.localhost").lease, Some(LeaseId(7)));
}

#[test]
fn what_stands_before_a_rule_and_how_targets_are_chosen_is_said_in_words() {
    let door = Door::new(
        r#"
        [sites."a.localhost"]
        to = ["3000", { url = "3001", weight = 2 }, { url = "3002", backup = true }]
        balance = "least_conn"
        health = { path = "/up", every = "90s" }
        retry = false
        max_conns = 7
        compress = true
        allow = ["10.0.0.0/8", "::1"]
        rate = { limit = "100/m", burst = 5, key = { header = "X-Key" } }
        auth = { forward = "http://localhost:9000/check" }
        paths = { "/x" = { to = 3003, allow = false, rate = false, auth = false, compress = false, balance = "round_robin", health = false, retry = {}, max_conns = false } }
        "#,
    );
    let told = door.explain("https://a.localhost/");
    assert_eq!(
        told.guard,
        [
            "only from 10.0.0.0/8, ::1/128, else 403",
            "100 requests in 1m for each value of x-key, 5 at once, else 429",
            "only if localhost:9000/check says so with 2xx",
        ]
    );
    assert_eq!(
        told.choice,
        [
            "whoever has the fewest requests under way, by weight",
            "backups are asked when no other target can be",
            "checked by GET /up every 90s: down after 3, up after 2",
            "never tried again",
            "at most 7 at once at each target",
        ]
    );
    assert!(
        told.answer
            .contains(&"compressed, as the client likes: zstd, br, gzip".to_owned())
    );
    assert!(
        told.outcome.contains(", one of them, with the host"),
        "{}",
        told.outcome
    );
    let plain = door.explain("https://a.localhost/x");
    assert!(plain.guard.is_empty(), "{:?}", plain.guard);
    assert_eq!(plain.choice, ["tried up to 2 times, where that is safe"]);
}

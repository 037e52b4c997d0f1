//! Merging case by case. Each part is a text; a table of leases says what is in force where a test does not.

use std::path::{Path, PathBuf};

use super::*;
use crate::config::read;
use crate::config::site::{AccessLogging, Action, Http};

fn loaded(name: &str, text: &str) -> Loaded {
    match read(&PathBuf::from(format!("/etc/{name}.toml")), text) {
        Ok(loaded) => loaded,
        Err(refused) => panic!("{refused:?}"),
    }
}

/// A whole of texts: the first is the holder's, the others those of leases 1, 2 …
fn whole(texts: &[&str], keep: &dyn Fn(u32, &HostPattern, u16, PathOf<'_>) -> bool) -> Merged {
    let all: Vec<Loaded> = (0..)
        .zip(texts)
        .map(|(n, text): (u32, _)| loaded(&n.to_string(), text))
        .collect();
    let parts: Vec<Part<'_>> = (1..)
        .zip(&all[1..])
        .map(|(lease, loaded)| Part {
            lease,
            loaded,
            log: PartLog::Guest,
        })
        .collect();
    merge(&all[0], &parts, keep)
}

fn everything(_lease: u32, _name: &HostPattern, _port: u16, _path: PathOf<'_>) -> bool {
    true
}

/// Each site in a line: its lease, names, sockets and rules.
fn shown(merged: &Merged) -> Vec<String> {
    let sites = merged.loaded.config.sites.iter().zip(&merged.origin);
    sites
        .map(|(site, lease)| {
            let names: Vec<_> = site.names.iter().map(ToString::to_string).collect();
            let listen: Vec<_> = site.listen.iter().map(ToString::to_string).collect();
            let rules = match &site.service {
                Service::Plain(http) => format!("plain{}", rules(http)),
                Service::Secure(_, http) => format!("tls{}", rules(http)),
                Service::Passthrough(to) => format!("passthrough {}", to.backends.first().unwrap()),
                Service::Tcp(_, to) => format!("tcp {}", to.backends.first().unwrap()),
            };
            format!("{lease} {} {} {rules}", names.join(","), listen.join(","))
        })
        .collect()
}

fn rules(http: &Http) -> String {
    let target = |action: &Action| match action {
        Action::Forward(targets) => targets.first().unwrap().to_string(),
        Action::Redirect(redirect) => redirect.to.to_string(),
        Action::Respond(respond) => respond.status.to_string(),
    };
    let paths = http.paths.iter();
    let mut text: String = paths
        .map(|path| format!(" {}={}", path.prefix, target(&path.rule.action)))
        .collect();
    if let Some(root) = &http.root {
        text.push_str(&format!(" {}", target(&root.action)));
    }
    text
}

#[track_caller]
fn check(
    texts: &[&str],
    keep: &dyn Fn(u32, &HostPattern, u16, PathOf<'_>) -> bool,
    expected: &[&str],
) {
    assert_eq!(shown(&whole(texts, keep)), expected, "{texts:?}");
}

#[test]
fn sites_of_all_stand_side_by_side_own_ones_first() {
    check(
        &[
            "[sites]\n\"a.test\" = \"1\"\n\"b.test\" = { passthrough = \"x:1\" }",
            "[sites]\n\"c.test\" = \"2\"\n\"*.a.test\" = \"3\"",
            "http = 8080\n[sites]\n\"d.test\" = { to = \"4\", tls = \"off\" }",
        ],
        &everything,
        &[
            "0 a.test 443 tls localhost:1",
            "0 b.test 443 passthrough x:1",
            "1 c.test 443 tls localhost:2",
            "1 *.a.test 443 tls localhost:3",
            "2 d.test 8080 plain localhost:4",
        ],
    );
}

#[test]
fn rules_of_one_name_are_put_together() {
    check(
        &[
            "[sites]\n\"a.test\" = { to = \"1\", paths = { \"/x\" = \"2\" } }",
            "[sites]\n\"a.test\" = { paths = { \"/y\" = \"3\", \"/x\" = \"2\" } }",
            "[sites]\n\"a.test\" = { paths = { \"/z\" = \"4\" }, aliases = [\"b.test\"] }",
        ],
        &everything,
        &[
            "0 a.test 443 tls /x=localhost:2 /y=localhost:3 /z=localhost:4 localhost:1",
            "2 b.test 443 tls /z=localhost:4",
        ],
    );
}

#[test]
fn what_is_displaced_is_left_out_name_by_name() {
    let keep = |lease, name: &HostPattern, port, path: PathOf<'_>| {
        lease != 0 || !(name.to_string() == "b.test" && port == 443 && path == PathOf::Prefix("/"))
    };
    let own = r#"
        listen = [443, 8443]
        [sites."a.test"]
        to = "1"
        paths = { "/x" = "2" }
        aliases = ["b.test", "c.test"]
    "#;
    let texts = [own, "[sites]\n\"b.test\" = \"9\""];
    check(
        &texts,
        &keep,
        &[
            "0 a.test,c.test 443,8443 tls /x=localhost:2 localhost:1",
            "0 b.test 443 tls /x=localhost:2 localhost:9",
            "0 b.test 8443 tls /x=localhost:2 localhost:1",
        ],
    );
    let merged = whole(&texts, &keep);
    assert_eq!(merged.overrides, [None, Some(0), None]);
}

#[test]
fn a_tunnel_stands_alone() {
    check(
        &[
            "[sites]\n\"a.test\" = { tcp = \"x:1\" }",
            "[sites]\n\"a.test\" = { paths = { \"/y\" = \"3\" } }",
        ],
        &everything,
        &["0 a.test 443 tcp x:1"],
    );
}

#[test]
fn nobody_is_reached_by_more_than_it_listens_to() {
    check(
        &[
            "listen = 443\n[sites]\n\"a.test\" = \"1\"",
            "listen = \"localhost:443\"\n[sites]\n\"a.test\" = { paths = { \"/dev\" = \"2\" } }",
        ],
        &everything,
        &[
            "0 a.test 443 tls localhost:1",
            "0 a.test localhost:443 tls /dev=localhost:2 localhost:1",
        ],
    );
    check(
        &[
            "listen = \"127.0.0.1:443\"\n[sites]\n\"a.test\" = \"1\"",
            "listen = \"localhost:443\"\n[sites]\n\"a.test\" = { paths = { \"/dev\" = \"2\" } }",
        ],
        &everything,
        &[
            "0 a.test 127.0.0.1:443 tls /dev=localhost:2 localhost:1",
            "1 a.test [::1]:443 tls /dev=localhost:2",
        ],
    );
}

#[test]
fn places_point_into_the_text_they_come_from() {
    let merged = whole(
        &[
            "[sites]\n\"a.test\" = \"1\"",
            "[sites]\n\"b.test\" = { to = \"1\", cert = \"b.pem\", key = \"b.key\" }",
        ],
        &everything,
    );
    let Loaded {
        config, sources, ..
    } = &merged.loaded;
    let site = &config.sites[1];
    assert_eq!(sources.path(site.at), Some(Path::new("/etc/1.toml")));
    let Service::Secure(tls, _) = &site.service else {
        panic!("{site:?}");
    };
    let Certificate::Pair { cert, .. } = &tls.certificate else {
        panic!("{tls:?}");
    };
    assert_eq!(sources.path(cert.at), Some(Path::new("/etc/1.toml")));
    assert_eq!(cert.value, Path::new("/etc/b.pem"));
}

#[test]
fn a_guest_has_its_own_folder_of_pairs_and_its_own_log() {
    let own = "[tls]\ncert_dir = \"own\"\n[sites]\n\"a.test\" = \"1\"";
    let guest = "[tls]\ncert_dir = \"pairs\"\n[sites]\n\"b.test\" = \"1\"\n\"c.test\" = \"1\"\n\"d.test\" = { to = \"1\", log = false }";
    let merged = whole(&[own, guest, "[sites]\n\"e.test\" = \"1\""], &everything);
    let found: Vec<_> = merged
        .loaded
        .config
        .sites
        .iter()
        .map(|site| match &site.service {
            Service::Secure(tls, http) => (tls.folder.clone(), http.root.as_ref().unwrap().log),
            Service::Plain(_) | Service::Passthrough(_) | Service::Tcp(..) => panic!("{site:?}"),
        })
        .collect();
    let pairs = PairFolder::Own(Arc::new("/etc/pairs".into()));
    assert_eq!(
        found,
        [
            (PairFolder::OfConfig, AccessLogging::Kept),
            (pairs.clone(), AccessLogging::Guest(1)),
            (pairs.clone(), AccessLogging::Guest(1)),
            (pairs, AccessLogging::Omitted),
            (PairFolder::Nowhere, AccessLogging::Guest(2)),
        ]
    );
    let root = |index: usize| match &merged.loaded.config.sites[index].service {
        Service::Secure(_, http) => Arc::as_ptr(http.root.as_ref().unwrap()),
        Service::Plain(_) | Service::Passthrough(_) | Service::Tcp(..) => panic!("{index}"),
    };
    assert_eq!(root(1), root(2));
}

#[test]
fn settings_are_the_holders_and_differences_are_told() {
    let own = "drain = \"5s\"\nworkers = 2\nunknown = \"a.test\"\n[sites]\n\"z.test\" = \"1\"\n\"a.test\" = \"1\"";
    let same =
        "workers = 2\n[tls]\nlocal_suffixes = [\"lan.example\"]\n[sites]\n\"b.test\" = \"1\"";
    let other = r#"
        http = 8080
        drain = "9s"
        unknown = "c.test"
        storage = "/var/lib/x"
        limits = { headers = 7 }
        resolver = "system"
        trust = { proxies = "10.0.0.0/8" }
        [sites]
        "c.test" = "1"
    "#;
    let merged = whole(&[own, same, other], &everything);
    let config = &merged.loaded.config;
    assert_eq!(config.drain.as_secs(), 5);
    assert_eq!(config.unknown, Unknown::Serve(1));
    let http: Vec<_> = config.http.iter().map(ToString::to_string).collect();
    assert_eq!(http, ["80", "8080"]);
    assert_eq!(config.local_suffixes.len(), 1);
    let keys: Vec<_> = merged
        .notes
        .iter()
        .map(|(lease, note)| (*lease, note.split('`').nth(1).unwrap()))
        .collect();
    assert_eq!(
        keys,
        ["drain", "limits", "resolver", "storage", "trust", "unknown"].map(|key| (2, key))
    );
}

#[test]
fn the_first_acme_is_everybodys() {
    let acme = |email: &str, more: &str| {
        format!(
            "acme = {{ email = \"{email}@example.com\"{more} }}\n[sites]\n\"{email}.example.com\" = \"1\""
        )
    };
    let (ada, ana) = (acme("ada", ""), acme("ana", ""));
    let merged = whole(&["[sites]\n\"a.test\" = \"1\"", &ada, &ana], &everything);
    let email = merged.loaded.config.acme.as_ref().unwrap().email.clone();
    assert_eq!(email.as_deref(), Some("ada@example.com"));
    let told: Vec<_> = merged.notes.iter().map(|(lease, _)| *lease).collect();
    assert_eq!(told, [2]);
    let wild = acme("ana", ", dns = { type = \"cloudflare\", token = \"t\" }")
        .replace("ana.example.com", "*.example.com");
    let merged = whole(&[&ada, &wild], &everything);
    let notes = &merged.notes;
    assert_eq!(notes.len(), 2, "{notes:?}");
    assert!(notes[1].1.contains("*.example.com"), "{notes:?}");
}

#[test]
fn a_name_that_unknown_leads_to_may_be_displaced() {
    let own = "unknown = \"a.test\"\n[sites]\n\"a.test\" = \"1\"\n\"b.test\" = \"1\"";
    let texts = [own, "[sites]\n\"a.test\" = \"2\""];
    let merged = whole(&texts, &|lease, name, _, _| {
        lease == 1 || name.to_string() != "a.test"
    });
    assert_eq!(merged.loaded.config.unknown, Unknown::Serve(1));
    assert_eq!(merged.origin, [0, 1]);
    let merged = whole(&texts, &|_, name, _, _| name.to_string() != "a.test");
    assert_eq!(merged.loaded.config.unknown, Unknown::Reject);
}

#[test]
fn a_socket_that_speaks_otherwise_already_is_a_clash() {
    let own = "listen = 8443\n[sites]\n\"a.test\" = \"1\"";
    let guest = "http = 8443\n[sites]\n\"b.test\" = \"1\"";
    let merged = whole(&[own, own, guest], &everything);
    assert_eq!(
        merged.clashes,
        [(
            2,
            "port 8443 cannot speak both TLS and plain HTTP".to_owned()
        )]
    );
}

#[test]
fn without_guests_everything_is_as_it_was() {
    let own = "unknown = \"b.test\"\n[sites]\n\"a.test\" = \"1\"\n\"b.test\" = { to = \"2\", aliases = [\"c.test\"] }\n\"d.test:9443\" = \"1\"";
    let before = loaded("0", own);
    let merged = merge(&before, &[], &everything);
    let config = &merged.loaded.config;
    assert_eq!(format!("{config:?}"), format!("{:?}", before.config));
    assert!(merged.notes.is_empty() && merged.clashes.is_empty());
}

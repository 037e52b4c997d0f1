//! Which certificate a client is shown, and what the local CA signs.

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::support::authority::{Authority, Pair};
use crate::support::backend::Backend;
use crate::support::client::{Tls, ask, curl, tls, try_tls};
use crate::support::door::{Door, Home};
use crate::support::openssl::{described, s_client};

const DAY: i64 = 24 * 60 * 60;

#[test]
fn pairs_of_a_folder_are_matched_by_their_names() {
    let authority = Authority::new();
    let exact = authority.pair(&["shop.example.com", "www.example.com"]);
    let wildcard = authority.pair(&["*.example.com"]);
    let other = authority.pair(&["*.example.org", "example.org"]);
    let door = up_with(
        &[("a", &exact), ("b", &wildcard), ("c", &other)],
        "[tls]\ncert_dir = \"certs\"\n",
        r#"
        "shop.example.com" = "BACKEND"
        "www.example.com" = "BACKEND"
        "api.example.com" = "BACKEND"
        "*.example.org" = "BACKEND"
        "example.org" = "BACKEND"
        "local.test" = "BACKEND"
        "#,
    );
    let roots = authority.roots();
    let shown = |name: &str| {
        let client = try_tls(door.tls(), &roots, name, &[]).unwrap();
        client.conn.peer_certificates().unwrap()[0].clone()
    };
    assert_eq!(shown("shop.example.com"), exact.certificate);
    assert_eq!(shown("www.example.com"), exact.certificate);
    assert_eq!(shown("api.example.com"), wildcard.certificate);
    assert_eq!(shown("any.example.org"), other.certificate);
    assert_eq!(shown("example.org"), other.certificate);
    tls(&door, "local.test", &[]);
}

#[test]
fn a_sites_own_pair_beats_the_folder() {
    let authority = Authority::new();
    let folder = authority.pair(&["shop.example.com"]);
    let own = authority.pair(&["shop.example.com"]);
    let door = up_with(
        &[("a", &folder), ("../own", &own)],
        "[tls]\ncert_dir = \"certs\"\n",
        r#""shop.example.com" = { to = "BACKEND", cert = "own.pem", key = "own.key" }"#,
    );
    let roots = authority.roots();
    let client = try_tls(door.tls(), &roots, "shop.example.com", &[]).unwrap();
    assert_eq!(client.conn.peer_certificates().unwrap(), [own.certificate]);
}

#[test]
fn an_expired_pair_is_served_with_a_warning() {
    let authority = Authority::new();
    let expired = authority.expired(&["shop.example.com"]);
    let door = up_with(
        &[("a", &expired)],
        "",
        r#""shop.example.com" = { to = "BACKEND", cert = "certs/a.pem", key = "certs/a.key" }"#,
    );
    let (code, text) = curl(&door, "shop.example.com", "/", &["--fail", "--insecure"]);
    assert_eq!((code, text.as_str()), (0, "hello"));
    assert!(door.said().contains("warn  certs/a.pem expired on"));
}

#[test]
fn a_local_leaf_is_for_exactly_the_name_and_a_month() {
    let door = up_with(&[], "", r#""*.dev.test" = "BACKEND""#);
    let first = tls(&door, "one.dev.test", &[]);
    let der = first.conn.peer_certificates().unwrap()[0].clone();
    let (_, leaf) = X509Certificate::from_der(&der).unwrap();
    let validity = leaf.validity();
    let life = validity.not_after.timestamp() - validity.not_before.timestamp();
    assert!((30 * DAY..=31 * DAY).contains(&life), "{life}");
    let words = described(&pem(&der));
    assert!(words.contains("DNS:one.dev.test\n"), "{words}");
    assert!(words.contains("NIST CURVE: P-256"), "{words}");
    assert!(words.contains("TLS Web Server Authentication"), "{words}");
    let second = tls(&door, "two.dev.test", &[]);
    assert_ne!(second.conn.peer_certificates().unwrap()[0], der);
    let again = tls(&door, "one.dev.test", &[]);
    assert_eq!(again.conn.peer_certificates().unwrap()[0], der);
    let said = s_client(&door, Some("a.b.dev.test"), &[]);
    assert!(said.contains("SSL alert number 112"), "{said}");
}

#[test]
fn the_local_root_is_the_only_other_certificate_a_client_needs() {
    let door = up_with(&[], "", r#""shop.test" = "BACKEND""#);
    let roots: Vec<_> = CertificateDer::pem_file_iter(door.ca()).unwrap().collect();
    assert_eq!(roots.len(), 1);
    let client = tls(&door, "shop.test", &[]);
    // The leaf and the intermediate.
    assert_eq!(client.conn.peer_certificates().unwrap().len(), 2);
}

#[test]
fn a_connection_carries_only_hosts_that_its_certificate_and_policy_cover() {
    let authority = Authority::new();
    let shared = authority.pair(&["*.example.com"]);
    let door = up_with(
        &[("a", &shared)],
        "[tls]\ncert_dir = \"certs\"\n",
        r#"
        "shop.example.com" = "BACKEND"
        "api.example.com" = "BACKEND"
        "strict.example.com" = { to = "BACKEND", min_tls = "1.3" }
        "one.test" = "BACKEND"
        "two.test" = "BACKEND"
        "#,
    );
    let status = |client: &mut Tls, host: &str| {
        let answer = ask(
            client,
            format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").as_bytes(),
        );
        answer.split(' ').nth(1).map(str::to_owned)
    };
    let roots = authority.roots();
    let shop = || try_tls(door.tls(), &roots, "shop.example.com", &[]).unwrap();
    for (host, expected) in [
        ("shop.example.com", "200"),
        ("SHOP.example.com:8443", "200"),
        ("api.example.com", "200"),
        ("strict.example.com", "421"),
        ("one.test", "421"),
        ("nobody.example.com", "421"),
    ] {
        assert_eq!(
            status(&mut shop(), host).as_deref(),
            Some(expected),
            "{host}"
        );
    }
    let mut one = tls(&door, "one.test", &[]);
    assert_eq!(status(&mut one, "two.test").as_deref(), Some("421"));
}

fn up_with(pairs: &[(&str, &Pair)], settings: &str, sites: &str) -> Door {
    let backend = Backend::saying("hello");
    let sites = sites.replace("BACKEND", &backend.address.to_string());
    let home = Home::new(&format!(
        "listen = [\"127.0.0.1:0\"]\nhttp = false\n{settings}[sites]\n{sites}"
    ));
    for (name, pair) in pairs {
        pair.write(&home, &format!("certs/{name}"));
    }
    Door::up_in(home, &["up"])
}

fn pem(der: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
}

//! `client_ca` and `client_auth`: who may connect, what upstreams hear of them, and that nobody gets around it.

mod clients;
mod sessions;

use std::collections::BTreeMap;

use clients::{Clients, copy};

use crate::support::authority::Authority;
use crate::support::backend::Backend;
use crate::support::client::ask;
use crate::support::client::{get, try_tls};
use crate::support::door::{Door, Home};
use crate::support::eventually;
use crate::support::openssl::s_client_typing;

const SUBJECT: &str = "X-Client-Cert-Subject";
const FINGERPRINT: &str = "X-Client-Cert-Fingerprint";
/// With all that could go wrong in a field.
const ADA: &str = "/C=DE/O=Acme, Inc. <x>/OU= East\\+West/CN=Ada Lučić #1";

/// A door with these sites, and the authorities of the clients beside its configuration.
fn door(clients: &Clients, sites: &str) -> Door {
    let home = Home::new(&config(sites));
    for authority in ["staff", "guests"] {
        let name = format!("{authority}.pem");
        copy(&clients.path(&name), &home, &name);
    }
    Door::up_in(home, &["up"])
}

fn config(sites: &str) -> String {
    format!(
        r#"
        listen = ["127.0.0.1:0"]
        http = ["127.0.0.1:0"]
        log.level = "debug"
        [sites]
        {sites}
        "#
    )
}

/// `required.test`, `requested.test` and `open.test`.
fn three(backend: &Backend) -> String {
    let to = backend.address;
    format!(
        r#"
        "required.test" = {{ to = "{to}", client_ca = "staff.pem" }}
        "requested.test" = {{ to = "{to}", client_ca = "staff.pem", client_auth = "request" }}
        "open.test" = "{to}"
        "plain.test" = {{ to = "{to}", tls = "off" }}
        "#
    )
}

#[test]
fn the_upstream_hears_who_the_client_is() {
    let clients = Clients::new();
    clients.sign("ada", ADA, "staff");
    let backend = Backend::saying("yes");
    let door = door(&clients, &three(&backend));
    for host in ["required.test", "requested.test"] {
        for version in ["--http1.1", "--http2"] {
            for tls in ["1.2", "1.3"] {
                let (code, text) =
                    clients.curl(&door, host, Some("ada"), &["--tls-max", tls, version]);
                assert_eq!((code, text.as_str()), (0, "yes"), "{host} {version} {tls}");
            }
        }
    }
    let fingerprint = clients.told("ada", &["-fingerprint", "-sha256"]);
    let fingerprint = fingerprint.replace(':', "").to_lowercase();
    let subject = clients.told("ada", &["-subject", "-nameopt", "RFC2253"]);
    assert!(subject.contains("Acme\\, Inc."), "{subject}");
    assert_eq!(backend.seen().len(), 8);
    for seen in backend.seen() {
        assert_eq!(seen.all(FINGERPRINT), [&fingerprint]);
        let [told] = seen.all(SUBJECT)[..] else {
            panic!("{}", seen.head)
        };
        assert_eq!(told.to_lowercase(), subject.to_lowercase());
        assert!(told.starts_with("CN=Ada Lu\\c4\\8di\\c4\\87 #1,"), "{told}");
    }
}

#[test]
fn without_a_good_certificate_nobody_comes_in() {
    let clients = Clients::new();
    clients.sign("stranger", "/CN=Eve", "guests");
    clients.sign_long_ago("old", "/CN=Old", "staff");
    let backend = Backend::saying("yes");
    let door = door(&clients, &three(&backend));
    // RFC 8446 section 6: certificate_required, unknown_ca, certificate_expired.
    let cases = [
        ("required.test", None, 116, "no_client_certificate"),
        (
            "required.test",
            Some("stranger"),
            48,
            "bad_client_certificate",
        ),
        ("required.test", Some("old"), 45, "bad_client_certificate"),
        (
            "requested.test",
            Some("stranger"),
            48,
            "bad_client_certificate",
        ),
        ("requested.test", Some("old"), 45, "bad_client_certificate"),
    ];
    let told = |reason| door.said().matches(reason).count();
    let mut failed = BTreeMap::new();
    for (host, shown, alert, reason) in cases {
        let expected = failed.entry(reason).or_insert(0);
        for version in ["-tls1_2", "-tls1_3"] {
            let said = s_client(&clients, &door, host, shown, &[version]);
            let wanted = format!("SSL alert number {alert}");
            assert!(said.contains(&wanted), "{host} {shown:?} {version}: {said}");
            *expected += 1;
            eventually("it is told once", || {
                (told(reason) == *expected).then_some(())
            });
        }
        for version in ["--http1.1", "--http2"] {
            let (code, text) = clients.curl(&door, host, shown, &[version]);
            assert_ne!(code, 0, "{host} {shown:?}: {text}");
            *expected += 1;
            eventually("it is told once", || {
                (told(reason) == *expected).then_some(())
            });
        }
    }
    assert!(backend.seen().is_empty());
    let (code, text) = clients.curl(&door, "requested.test", None, &[]);
    assert_eq!((code, text.as_str()), (0, "yes"));
    assert_eq!(get(&door, "open.test", "/"), "yes");
    for seen in backend.seen() {
        assert!(seen.all(SUBJECT).is_empty() && seen.all(FINGERPRINT).is_empty());
    }
}

/// OpenSSL's client with a certificate, or without.
fn s_client(
    clients: &Clients,
    door: &Door,
    host: &str,
    shown: Option<&str>,
    options: &[&str],
) -> String {
    let shown = shown.map(|name| clients.shown(name));
    let mut all = options.to_vec();
    all.extend(shown.iter().flatten().map(|option| match option.as_str() {
        "--cert" => "-cert",
        "--key" => "-key",
        path => path,
    }));
    let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    s_client_typing(door, Some(host), &all, &request)
}

#[test]
fn what_clients_say_of_their_certificates_themselves_never_arrives() {
    let clients = Clients::new();
    clients.sign("ada", ADA, "staff");
    let backend = Backend::saying("yes");
    let home = Home::new(&format!(
        "trust.proxies = [\"127.0.0.0/8\"]\n{}",
        config(&three(&backend))
    ));
    copy(&clients.path("staff.pem"), &home, "staff.pem");
    let door = Door::up_in(home, &["up"]);
    let spoofed: Vec<String> = [
        SUBJECT,
        FINGERPRINT,
        "x-client-cert-subject",
        "X_Client_Cert_Subject",
        "X-Client_Cert-Fingerprint",
        "X-Client-Cert-Verify",
    ]
    .iter()
    .flat_map(|name| ["-H".to_owned(), format!("{name}: CN=root")])
    .collect();
    let hosts = [
        ("required.test", Some("ada")),
        ("requested.test", None),
        ("open.test", None),
    ];
    let mut answered = 0;
    for (host, shown) in hosts {
        for version in ["--http1.1", "--http2"] {
            let mut options: Vec<&str> = spoofed.iter().map(String::as_str).collect();
            options.extend([version, "-H", "X-Forwarded-For: 192.0.2.1"]);
            let (code, text) = clients.curl(&door, host, shown, &options);
            assert_eq!((code, text.as_str()), (0, "yes"), "{host} {version}");
            answered += 1;
        }
    }
    let request = format!(
        "GET / HTTP/1.1\r\nHost: plain.test\r\nConnection: close, {SUBJECT}\r\n{SUBJECT}: CN=root\r\nx_client_cert_subject: CN=root\r\n\r\n"
    );
    let mut stream = crate::support::client::plain(door.plain());
    assert!(ask(&mut stream, request.as_bytes()).contains("200 OK"));
    assert_eq!(backend.seen().len(), answered + 1);
    for seen in backend.seen() {
        assert!(!seen.head.contains("CN=root"), "{}", seen.head);
        let fields = seen.head.to_lowercase().replace('_', "-");
        let own = fields.matches("x-client-cert-").count();
        let is_ada = seen.field("host").unwrap().starts_with("required.test");
        assert_eq!(own, if is_ada { 2 } else { 0 }, "{}", seen.head);
    }
}

#[test]
fn a_connection_carries_only_sites_that_demand_the_same() {
    let clients = Clients::new();
    clients.sign("ada", ADA, "staff");
    let backend = Backend::saying("yes");
    let authority = Authority::new();
    let hosts = ["open", "staff", "also", "guests", "asked"];
    let names = hosts.map(|host| format!("{host}.example.com"));
    let demands = [
        "",
        "client_ca = \"staff.pem\"",
        "client_ca = \"staff.pem\"",
        "client_ca = \"guests.pem\"",
        "client_ca = \"staff.pem\", client_auth = \"request\"",
    ];
    let sites: String = names
        .iter()
        .zip(demands)
        .map(|(name, demand)| {
            let to = backend.address;
            let comma = if demand.is_empty() { "" } else { ", " };
            format!("\"{name}\" = {{ to = \"{to}\", cert = \"all.pem\", key = \"all.key\"{comma}{demand} }}\n")
        })
        .collect();
    let home = Home::new(&config(&sites));
    authority.write_pair(&home, "all", &names.each_ref().map(String::as_str));
    for name in ["staff.pem", "guests.pem"] {
        copy(&clients.path(name), &home, name);
    }
    let door = Door::up_in(home, &["up"]);
    let root = door.home().path().join("root.pem");
    door.home().write("root.pem", &authority.root_pem());
    let root = root.to_str().unwrap();
    let mut answered = 0;
    for (from, to, status) in [
        ("open", "open", "200"),
        ("open", "staff", "421"),
        ("open", "asked", "421"),
        ("staff", "staff", "200"),
        ("staff", "also", "200"),
        ("staff", "guests", "421"),
        ("staff", "asked", "421"),
        ("staff", "open", "421"),
        ("asked", "staff", "421"),
        ("asked", "open", "421"),
    ] {
        let field = format!("Host: {to}.example.com");
        for version in ["--http1.1", "--http2"] {
            let options = [
                version,
                "-H",
                &field,
                "--cacert",
                root,
                "-o",
                "/dev/null",
                "-w",
                "%{http_code}",
            ];
            let host = format!("{from}.example.com");
            let (code, text) = clients.curl(&door, &host, Some("ada"), &options);
            assert_eq!((code, text.as_str()), (0, status), "{from} {to} {version}");
            answered += usize::from(status == "200");
        }
    }
    assert_eq!(backend.seen().len(), answered);
}

#[test]
fn what_is_carried_inside_tls_is_guarded_as_well() {
    let clients = Clients::new();
    clients.sign("ada", ADA, "staff");
    let backend = Backend::saying("yes");
    let door = door(
        &clients,
        &format!(
            r#""tcp.test" = {{ tcp = "{}", client_ca = "staff.pem" }}"#,
            backend.address
        ),
    );
    let said = s_client(&clients, &door, "tcp.test", None, &[]);
    assert!(said.contains("SSL alert number 116"), "{said}");
    let roots = crate::support::client::roots(&door);
    if let Ok(mut stream) = try_tls(door.tls(), &roots, "tcp.test", &[]) {
        let answer = ask(&mut stream, b"GET / HTTP/1.1\r\nHost: tcp.test\r\n\r\n");
        assert_eq!(answer, "");
    }
    assert!(backend.seen().is_empty());
    let (code, text) = clients.curl(&door, "tcp.test", Some("ada"), &["--http1.1"]);
    assert_eq!((code, text.as_str()), (0, "yes"));
}

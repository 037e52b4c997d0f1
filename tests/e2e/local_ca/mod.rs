//! The local CA: what clients accept of it, who shares it, what becomes of it when names or clocks change.

mod clients;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustix::process::Signal;
use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use crate::support::authority::Authority;
use crate::support::backend::Backend;
use crate::support::client::{curl, get, roots, try_tls};
use crate::support::door::{Door, Home};
use crate::support::eventually;
use crate::support::false_clock::FalseClock;
use crate::support::openssl::{described, s_client, s_client_typing};
use crate::support::redis::Redis;

const FINE: &str = "Verify return code: 0 (ok)";
const REQUEST: &str = "GET / HTTP/1.0\r\nHost: a.test\r\n\r\n";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn config(settings: &str, sites: &str) -> String {
    format!("listen = [\"127.0.0.1:0\"]\nhttp = false\n{settings}\n[sites]\n{sites}\n")
}

fn site(name: &str, backend: &Backend) -> String {
    format!(
        "\"{name}\" = {{ to = \"{}\", tls = \"internal\" }}\n",
        backend.address
    )
}

fn trusting(root: &Path) -> Arc<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(root).unwrap())
        .unwrap();
    Arc::new(roots)
}

/// The certificates that a client is sent, each as PEM.
fn sent(door: &Door, name: &str) -> Vec<String> {
    let said = s_client(door, Some(name), &["-showcerts"]);
    let (begin, end) = ("-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----");
    let certificates = said.split(begin).skip(1);
    let bodies = certificates.map(|rest| rest.split(end).next().unwrap());
    bodies.map(|body| format!("{begin}{body}{end}\n")).collect()
}

#[test]
fn clients_accept_local_names_and_refuse_all_others() {
    let backend = Backend::saying("served");
    let settings = "[tls]\nlocal_suffixes = [\"lan.example.com\"]\n";
    let sites = site("*", &backend) + &site("127.0.0.1", &backend);
    let door = Door::up(&config(settings, &sites));
    for name in [
        "localhost",
        "shop.localhost",
        "a.b.test",
        "x.lan.example.com",
    ] {
        let said = s_client(&door, Some(name), &[]);
        assert!(said.contains(FINE), "{name}: {said}");
        try_tls(door.tls(), &roots(&door), name, &[]).unwrap();
        assert_eq!(get(&door, name, "/"), "served");
    }
    let said = s_client(&door, None, &["-verify_ip", "127.0.0.1"]);
    assert!(said.contains(FINE), "{said}");
    for name in ["example.com", "www.example.org", "notlocalhost"] {
        let said = s_client(&door, Some(name), &[]);
        assert!(
            said.contains("permitted subtree violation"),
            "{name}: {said}"
        );
        let refused = try_tls(door.tls(), &roots(&door), name, &[]).unwrap_err();
        assert!(
            format!("{refused:?}").contains("NameConstraintViolation"),
            "{refused:?}"
        );
        assert_eq!(
            curl(&door, name, "/", &[]).0,
            60,
            "curl trusts no such name"
        );
    }
}

#[test]
fn root_and_intermediate_are_constrained_and_the_key_of_the_root_is_gone() {
    let backend = Backend::saying("served");
    let door = Door::up(&config("", &site("a.test", &backend)));
    let [leaf, intermediate] = <[String; 2]>::try_from(sent(&door, "a.test")).unwrap();
    let root = fs::read_to_string(door.ca()).unwrap();
    for (pem, below) in [(&root, 1), (&intermediate, 0)] {
        let words = described(pem);
        for part in [
            "X509v3 Name Constraints: critical",
            "DNS:localhost",
            "DNS:test",
            "DNS:internal",
            "DNS:home.arpa",
            "IP:127.0.0.0/255.0.0.0",
            "X509v3 Basic Constraints: critical",
            &format!("CA:TRUE, pathlen:{below}"),
        ] {
            assert!(words.contains(part), "{part}: {words}");
        }
    }
    assert!(described(&intermediate).contains("TLS Web Server Authentication"));
    assert!(described(&leaf).contains("DNS:a.test"));
    let stored = door.home().read("storage/local-ca/authority.json");
    assert_eq!(
        stored.matches("BEGIN PRIVATE KEY").count(),
        1,
        "the intermediate's"
    );
    assert!(
        !door
            .home()
            .path()
            .join("storage/local-ca/root.key")
            .exists()
    );
    let keeping = Door::up(&config(
        "[tls]\nkeep_root_key = true",
        &site("a.test", &backend),
    ));
    let stored = keeping.home().read("storage/local-ca/authority.json");
    assert_eq!(stored.matches("BEGIN PRIVATE KEY").count(), 2);
}

#[test]
fn doors_on_one_storage_have_one_ca() {
    let backend = Backend::saying("served");
    let folder = tempfile::tempdir().unwrap();
    let settings = format!("storage = \"{}\"", folder.path().join("shared").display());
    let text = config(&settings, &site("a.test", &backend));
    let doors = std::thread::scope(|scope| {
        let starting = [(); 3].map(|()| scope.spawn(|| Door::up(&text)));
        starting.map(|door| door.join().unwrap())
    });
    let root = folder.path().join("shared/local-ca/root.pem");
    for door in &doors {
        try_tls(door.tls(), &trusting(&root), "a.test", &[]).unwrap();
    }
}

#[test]
fn a_fleet_has_one_ca_that_outlives_an_emptied_store() {
    let backend = Backend::saying("served");
    let redis = Redis::start();
    let settings = format!("storage = \"{}\"", redis.url());
    let text = config(&settings, &site("a.test", &backend));
    let doors = std::thread::scope(|scope| {
        let starting = [(); 2].map(|()| scope.spawn(|| Door::up(&text)));
        starting.map(|door| door.join().unwrap())
    });
    let [one, other] = &doors;
    let root = fs::read_to_string(one.ca()).unwrap();
    assert_eq!(fs::read_to_string(other.ca()).unwrap(), root);
    try_tls(other.tls(), &roots(one), "a.test", &[]).unwrap();
    let own = one.home().path().join("storage/local-ca/authority.json");
    assert!(!own.exists(), "the key lies in the store, and in the copy");

    redis.ask(&["flushall"]);
    one.reload(&text);
    let newcomer = Door::up(&text);
    assert_eq!(fs::read_to_string(newcomer.ca()).unwrap(), root);
    try_tls(newcomer.tls(), &roots(one), "a.test", &[]).unwrap();
}

#[test]
fn a_ca_of_an_earlier_version_goes_on_unchanged() {
    let backend = Backend::saying("served");
    let authority = Authority::new();
    let home = Home::new(&config("", &site("shop.example.com", &backend)));
    home.write("storage/local-ca/root.pem", &authority.root_pem());
    home.write("storage/local-ca/root.key", &authority.root_key_pem());
    let door = Door::up_in(home, &["up"]);
    assert_eq!(get(&door, "shop.example.com", "/"), "served");
    assert_eq!(sent(&door, "shop.example.com").len(), 1);
    assert!(
        !door
            .home()
            .path()
            .join("storage/local-ca/authority.json")
            .exists()
    );
    door.reload(&config(
        "",
        &(site("shop.example.com", &backend) + &site("a.test", &backend)),
    ));
    assert_eq!(get(&door, "a.test", "/"), "served");
    let remark = "is of an earlier version and may sign for every name";
    assert_eq!(door.said().matches(remark).count(), 1, "{}", door.said());
    let (code, _out, err) = door.home().run(&["check"]);
    assert_eq!((code, err.matches(remark).count()), (0, 1), "{err}");
    assert_eq!(fs::read_to_string(door.ca()).unwrap(), authority.root_pem());
}

#[test]
fn a_public_name_needs_its_suffix_before_the_ca_is_made() {
    let backend = Backend::saying("served");
    let home = Home::new(&config("", &site("shop.example.com", &backend)));
    for verb in ["check", "up"] {
        let (code, out, err) = home.run(&[verb]);
        assert_eq!((code, out.as_str()), (2, ""), "{err}");
        for part in [
            "error[outside-local-ca]",
            "`shop.example.com`",
            " --> proxy.toml:5:",
            "`[tls] local_suffixes = [\"shop.example.com\"]`",
        ] {
            assert!(err.contains(part), "{part}: {err}");
        }
        assert!(!err.contains("new-ca"), "there is no CA yet: {err}");
    }
    let settings = "[tls]\nlocal_suffixes = [\"example.com\"]";
    home.write(
        "proxy.toml",
        &config(settings, &site("shop.example.com", &backend)),
    );
    assert_eq!(home.run(&["check"]).0, 0);
    assert!(
        !home.path().join("storage/local-ca/authority.json").exists(),
        "check makes nothing"
    );
    let door = Door::up_in(home, &["up"]);
    assert_eq!(get(&door, "shop.example.com", "/"), "served");
}

#[test]
fn a_new_suffix_means_a_new_ca_and_that_is_explained() {
    let backend = Backend::saying("served");
    let door = Door::up(&config("", &site("a.test", &backend)));
    let old = roots(&door);
    let names = ["x.lan.example.com", "y.lan.example.com"].map(|name| site(name, &backend));
    let wider = config(
        "[tls]\nlocal_suffixes = [\"lan.example.com\"]",
        &(site("a.test", &backend) + &names.concat()),
    );
    door.home().write("proxy.toml", &wider);
    let (code, _out, err) = door.home().run(&["check"]);
    assert_eq!(code, 2, "{err}");
    for part in [
        "error[outside-local-ca]: the local CA was made before `tls.local_suffixes` covered `x.lan.example.com`, `y.lan.example.com`",
        "the local CA is for .home.arpa, .internal, .localhost, .test alone",
        "onedoor certs new-ca",
        "every client",
    ] {
        assert!(err.contains(part), "{part}: {err}");
    }
    door.signal(Signal::HUP);
    eventually("a refusal", || {
        door.said().contains("outside-local-ca").then_some(())
    });
    assert_eq!(get(&door, "a.test", "/"), "served");
    let (code, out, err) = door.home().run(&["certs", "new-ca"]);
    assert_eq!(code, 1, "nobody is there to ask: {out}{err}");
    let (code, out, err) = door.home().run(&["certs", "new-ca", "--dry-run"]);
    assert_eq!(code, 0, "{err}");
    assert!(
        out.contains(".lan.example.com") && out.contains("kept aside"),
        "{out}"
    );
    try_tls(door.tls(), &trusting(&door.ca()), "a.test", &[]).unwrap();

    let (code, out, err) = door.home().run(&["certs", "new-ca", "--yes"]);
    assert_eq!(code, 0, "{err}");
    assert!(
        out.contains("onedoor reload") && out.contains("onedoor trust"),
        "{out}"
    );
    let aside = out
        .lines()
        .find_map(|line| line.strip_prefix("the old one: "))
        .unwrap();
    assert_eq!(
        trusting(&Path::new(aside).join("root.pem")).roots,
        old.roots
    );
    assert_eq!(door.home().run(&["check"]).0, 0);
    door.reload(&wider);
    for name in ["a.test", "x.lan.example.com"] {
        assert_eq!(get(&door, name, "/"), "served");
        assert!(try_tls(door.tls(), &old, name, &[]).is_err());
    }
}

#[test]
fn the_next_handshake_has_a_fresh_leaf_wherever_the_clock_went() {
    let backend = Backend::saying("served");
    let home = Home::new(&config("", &site("a.test", &backend)));
    let clock = FalseClock::of(&home);
    let mut command = home.command();
    clock.give_to(command.arg("up"));
    let door = Door::up_by(home, command);
    let real = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap();
    let verified_at = |time: Duration| {
        let time = time.as_secs().to_string();
        s_client(&door, Some("a.test"), &["-attime", &time]).contains(FINE)
    };
    assert!(verified_at(real));
    let session = ["-sess_out", "session"];
    s_client_typing(&door, Some("a.test"), &session, REQUEST);
    let session = ["-sess_in", "session"];
    let said = s_client_typing(&door, Some("a.test"), &session, REQUEST);
    assert!(said.contains("\nReused, TLSv1."), "{said}");
    // As a laptop that slept; as one whose clock was wrong at the start, and is set right.
    clock.set("+31d");
    eventually("a leaf of next month", || {
        verified_at(real + 31 * DAY).then_some(())
    });
    assert!(!verified_at(real), "a new one");
    // A ticket of a month ago is no way around it.
    let session = ["-sess_in", "session"];
    let said = s_client_typing(&door, Some("a.test"), &session, REQUEST);
    assert!(said.contains("\nNew, TLSv1."), "{said}");
    clock.set("-31d");
    eventually("a leaf of last month", || {
        verified_at(real - 31 * DAY).then_some(())
    });
    clock.set("+0");
    eventually("a leaf of today", || verified_at(real).then_some(()));
}

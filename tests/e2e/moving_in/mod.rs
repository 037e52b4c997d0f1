//! Moving in from other tools and out to them: nothing is ordered, what they served is served byte for byte, and their accounts go on.

mod exports;
mod laid_out;
mod layouts;
mod real;
mod take_over;
mod tools;
mod unwanted;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::Value;

use super::support::client::try_tls;
use super::support::door::{Door, Home};
use super::support::eventually;
use super::support::ordering::{config, site};
use super::support::pebble::{Pebble, Release, Wanted};

/// A CA, with renewal windows where that can be had.
fn ca() -> Pebble {
    Pebble::with(&Wanted {
        release: Release::Newer,
        // Not every tool asks again with another nonce.
        variables: vec![("PEBBLE_WFE_NONCEREJECT", "0".to_owned())],
        ..Wanted::default()
    })
}

/// onedoor's folder for these sites; nothing runs yet.
fn home(ca: &Pebble, names: &[&str]) -> Home {
    let sites: String = names.iter().map(|name| site(name)).collect();
    Home::new(&config(ca, "", &sites))
}

/// What another tool left.
struct Left {
    /// The names of its certificate, the first of which is renewed.
    names: Vec<&'static str>,
    leaf: CertificateDer<'static>,
    /// Its account's URL; none: it comes without one that can be used.
    account: Option<String>,
}

impl Left {
    #[track_caller]
    fn new(names: &[&'static str], leaf: &Path, account: Option<String>) -> Self {
        Self {
            names: names.to_vec(),
            leaf: CertificateDer::from_pem_file(leaf).unwrap(),
            account,
        }
    }
}

/// Moves in with what is at `path`: tried dry, done, done again, served, renewed.
#[track_caller]
fn moves_in(ca: &Pebble, path: &Path, left: &Left, options: &[&str]) {
    let home = home(ca, &left.names);
    let asked = Asked::of(ca);
    let dry = import(&home, path, &[options, &["--dry-run"]].concat());
    let taken = left.names.len();
    assert_eq!(dry["sums"]["taken"], taken, "{dry}");
    assert!(kept(&home).is_empty(), "a dry run changed something");

    let done = import(&home, path, options);
    assert_eq!(done["sums"]["taken"], taken, "{done}");
    assert_eq!(done["sums"]["failed"], 0, "{done}");
    let before = kept(&home);
    let again = import(&home, path, options);
    assert_eq!(again["sums"]["taken"], 0, "{again}");
    assert_eq!(again["sums"]["here_already"], taken, "{again}");
    assert_eq!(again["sums"]["accounts_taken"], 0, "{again}");
    let after = kept(&home);
    let changed = after
        .iter()
        .find(|(path, bytes)| before.get(*path) != Some(bytes));
    assert!(
        changed.is_none() && after.len() == before.len(),
        "changed by a second import: {:?}",
        changed.map(|it| it.0)
    );
    let own = account(&home, ca);
    assert_eq!(own, left.account, "{done}");

    let door = Door::up_in(home, &["up"]);
    for name in &left.names {
        let leaf = served(ca, name);
        assert!(leaf == left.leaf, "another certificate for {name}");
    }
    assert_eq!(Asked::of(ca).orders, asked.orders);
    if left.account.is_some() {
        renews_under_the_same_account(ca, &door, left, &asked);
    }
}

#[track_caller]
fn renews_under_the_same_account(ca: &Pebble, door: &Door, left: &Left, asked: &Asked) {
    let name = left.names[0];
    eventually("a renewal", || {
        let (code, out, err) = door.home().run(&["certs", "renew", name]);
        assert_eq!(code, 0, "{out}{err}");
        out.starts_with("renewed: ").then_some(())
    });
    assert!(served(ca, name) != left.leaf, "the old certificate");
    let now = Asked::of(ca);
    assert_eq!(now.orders, asked.orders + 1);
    assert_eq!(now.accounts, asked.accounts);
    assert_eq!(account(door.home(), ca), left.account);
    if ca.release() == Release::Newer {
        assert!(ca.log().contains("is a replacement of"), "{}", ca.log());
    }
}

/// `certs import` to its end, which must be good.
#[track_caller]
fn import(home: &Home, path: &Path, options: &[&str]) -> Value {
    let path = path.display().to_string();
    let arguments = [&["certs", "import", "--json", path.as_str()], options].concat();
    let (code, out, err) = home.run(&arguments);
    assert_eq!(code, 0, "{out}{err}");
    serde_json::from_str(&out).unwrap()
}

/// Everything in the storage.
fn kept(home: &Home) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    gather(&home.path().join("storage"), &mut all);
    all
}

fn gather(folder: &Path, all: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            gather(&path, all);
        } else {
            all.insert(path.display().to_string(), fs::read(&path).unwrap());
        }
    }
}

/// The URL of our account.
fn account(home: &Home, ca: &Pebble) -> Option<String> {
    let id = ca
        .directory()
        .replace("https://", "")
        .replace([':', '/'], "-");
    let text = home.read(&format!("storage/acme/{id}/account"));
    let account: Value = serde_json::from_str(&text).ok()?;
    account["url"].as_str().map(str::to_owned)
}

/// The leaf that is served for a name, once one of the CA's is.
#[track_caller]
fn served(ca: &Pebble, name: &str) -> CertificateDer<'static> {
    eventually(&format!("a certificate for {name}"), || {
        let stream = try_tls(ca.tls(), &ca.issued_roots(), name, &["http/1.1"]).ok()?;
        let leaf = stream.conn.peer_certificates()?.first()?;
        Some(leaf.clone().into_owned())
    })
}

/// What the CA was asked so far.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    orders: usize,
    accounts: usize,
}

impl Asked {
    fn of(ca: &Pebble) -> Self {
        let log = ca.log();
        Self {
            orders: log.matches("Added order").count(),
            accounts: log.matches("accounts in memory").count(),
        }
    }
}

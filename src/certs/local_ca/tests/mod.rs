//! The CA as those see it who share its store, and as clients see its leaves.

mod damage;
mod replacing;

use std::fs;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tempfile::TempDir;

use super::making::{CA_LIFE, RootKey, Wish};
use super::safe::{AUTHORITY, ROOT, ROOT_KEY, Safe, key};
use super::*;
use crate::certs::facts::Facts;
use crate::certs::fixture::{Authority, days, noon, replace, shake_hands};
use crate::clock::Clock;
use crate::storage::files::Storage;
use crate::storage::store::memory::{Memory, Moment};
use crate::storage::store::{Store, When};

/// A folder as storage.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("onedoor").join(name)
    }

    fn safe(&self) -> Safe {
        let folder = self.folder.path().join("onedoor");
        let store = Store::files(folder.clone(), Clock::system());
        Safe::new(store, folder.display().to_string(), Storage::at(folder))
    }

    fn safe_in(&self, store: Store) -> Safe {
        Safe::new(store, "the store", Storage::at(self.path("")))
    }

    /// A CA as earlier versions made it.
    fn earlier(&self) -> Authority {
        let authority = Authority::new();
        fs::create_dir_all(self.path("local-ca")).unwrap();
        replace(&self.path(ROOT), &authority.pem);
        replace(&self.path(ROOT_KEY), &authority.key_pem());
        authority
    }
}

fn wish(suffixes: &[&str]) -> Wish {
    let suffixes: Vec<HostName> = suffixes.iter().map(|suffix| name(suffix)).collect();
    Wish {
        scope: Scope::of(&suffixes),
        root_key: RootKey::Discard,
    }
}

fn name(text: &str) -> HostName {
    HostName::parse(text).unwrap()
}

fn root(ca: &LocalCa) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(ca.root().pem.as_bytes()).unwrap()
}

/// What a client says that trusts the root and is shown a leaf for `host`.
fn accepts(ca: &LocalCa, host: &str, now: SystemTime) -> bool {
    let certified = ca.certified(&name(host), now).unwrap();
    shake_hands(certified, &root(ca), host, now).is_ok()
}

#[tokio::test]
async fn clients_accept_leaves_for_local_names_and_no_others() {
    let place = Place::new();
    let wish = wish(&["lan.example.com", "203.0.113.7"]);
    let ca = place.safe().open(&wish, noon()).await.unwrap();
    for host in [
        "localhost",
        "shop.localhost",
        "my_service.test",
        "x.lan.example.com",
        "127.0.0.1",
        "::1",
        "192.168.7.7",
        "203.0.113.7",
    ] {
        assert!(accepts(&ca, host, noon()), "{host}");
        assert!(ca.scope().permits(&name(host)), "{host}");
        let certified = ca.certified(&name(host), noon()).unwrap();
        let other = shake_hands(certified, &root(&ca), "other.localhost", noon());
        assert!(other.is_err(), "{host}");
    }
    for host in ["example.com", "notlocalhost", "8.8.8.8", "2001:db8::1"] {
        assert!(!accepts(&ca, host, noon()), "{host}");
        assert!(!ca.scope().permits(&name(host)), "{host}");
    }
    let stranger = Authority::new();
    let certified = ca.certified(&name("a.test"), noon()).unwrap();
    assert!(shake_hands(certified, &stranger.der, "a.test", noon()).is_err());
}

#[tokio::test]
async fn the_root_alone_is_enough_for_clients_and_all_else_is_sent() {
    let place = Place::new();
    let ca = place.safe().open(&wish(&[]), noon()).await.unwrap();
    let certified = ca.certified(&name("a.test"), noon()).unwrap();
    assert_eq!(certified.cert.len(), 2, "the leaf and the intermediate");
    assert!(!certified.cert.contains(&root(&ca)));
}

#[tokio::test]
async fn the_ca_outlives_the_process() {
    let place = Place::new();
    let first = place.safe().open(&wish(&[]), noon()).await.unwrap();
    let tomorrow = noon() + days(1);
    let second = place.safe().open(&wish(&["x.example"]), tomorrow).await;
    let second = second.unwrap();
    assert!(first.is_same(&second));
    assert_eq!(
        fs::read_to_string(place.path(ROOT)).unwrap(),
        first.root().pem
    );
    assert_eq!(second.root().path, place.path(ROOT));
    let certified = second.certified(&name("a.test"), tomorrow).unwrap();
    shake_hands(certified, &root(&first), "a.test", tomorrow).unwrap();
}

#[tokio::test]
async fn looking_makes_nothing() {
    let place = Place::new();
    assert!(place.safe().look(noon()).await.unwrap().is_none());
    assert_eq!(place.safe().root_pem().await.unwrap(), None);
    assert!(!place.path("").exists());
    let made = place.safe().open(&wish(&[]), noon()).await.unwrap();
    let seen = place.safe().look(noon()).await.unwrap().unwrap();
    assert!(seen.is_same(&made));
    let pem = place.safe().root_pem().await.unwrap();
    assert_eq!(pem.as_ref(), Some(&made.root().pem));
}

#[tokio::test]
async fn processes_that_make_the_ca_at_once_agree() {
    let place = Place::new();
    let wish = wish(&[]);
    let (store, _faults) = Memory::new();
    let safes = [place.safe_in(store.clone()), place.safe_in(store)];
    let opened = async |safe: &Safe| safe.open(&wish, noon()).await.unwrap();
    let (one, other) = tokio::join!(opened(&safes[0]), opened(&safes[1]));
    assert!(one.is_same(&other));
    let place = Place::new();
    let folder = [place.safe(), place.safe(), place.safe()];
    let (one, two, three) =
        tokio::join!(opened(&folder[0]), opened(&folder[1]), opened(&folder[2]));
    assert!(one.is_same(&two) && two.is_same(&three));
}

#[tokio::test]
async fn a_crash_leaves_a_whole_ca_or_none() {
    for moment in [Moment::Before, Moment::After] {
        let place = Place::new();
        let (store, faults) = Memory::new();
        faults.share();
        faults.crash_at(1, moment);
        let crashed = place.safe_in(store).open(&wish(&[]), noon()).await;
        assert!(crashed.is_err());
        let (store, _faults) = faults.process();
        let safe = place.safe_in(store);
        let found = safe.look(noon()).await.unwrap();
        let ca = safe.open(&wish(&[]), noon()).await.unwrap();
        assert!(found.is_none_or(|found| found.is_same(&ca)));
        assert_eq!(fs::read_to_string(place.path(ROOT)).unwrap(), ca.root().pem);
    }
}

#[tokio::test]
async fn a_leaf_is_shared_until_a_third_of_its_life_is_left() {
    let place = Place::new();
    let ca = place.safe().open(&wish(&[]), noon()).await.unwrap();
    let leaf = |now: SystemTime| ca.certified(&name("a.test"), now).unwrap();
    let first = leaf(noon());
    assert!(Arc::ptr_eq(&first, &leaf(noon() + days(19))));
    let renewed = leaf(noon() + days(21));
    assert!(!Arc::ptr_eq(&first, &renewed));
    assert!(Arc::ptr_eq(&renewed, &leaf(noon() + days(21))));
}

#[tokio::test]
async fn clients_accept_the_next_handshake_wherever_the_clock_jumps() {
    let place = Place::new();
    let ca = place.safe().open(&wish(&[]), noon()).await.unwrap();
    let jumps = [
        noon() + days(35),
        noon() - days(300),
        noon() + days(3600),
        noon() - days(1),
        noon(),
    ];
    for now in jumps {
        assert!(accepts(&ca, "a.test", now), "{now:?}");
    }
}

#[tokio::test]
async fn a_ca_that_has_not_begun_is_remarked_on() {
    let place = Place::new();
    place.safe().open(&wish(&[]), noon()).await.unwrap();
    let past = noon() - days(4000);
    let ca = place.safe().open(&wish(&[]), past).await.unwrap();
    assert!(ca.remarks()[0].contains("clock"), "{:?}", ca.remarks());
}

#[tokio::test]
async fn a_leaf_begins_an_hour_back_and_lasts_thirty_days_and_no_longer_than_its_ca() {
    let place = Place::new();
    let ca = place.safe().open(&wish(&[]), noon()).await.unwrap();
    let facts = |now: SystemTime| {
        let certified = ca.certified(&name("a.test"), now).unwrap();
        let (_, leaf) = x509_parser::parse_x509_certificate(&certified.cert[0]).unwrap();
        assert!(!leaf.is_ca());
        Facts::of(&leaf)
    };
    assert_eq!(facts(noon()).not_before, noon() - Duration::from_secs(3600));
    assert_eq!(facts(noon()).not_after, noon() + days(30));
    let end = noon() + CA_LIFE;
    assert_eq!(facts(end - days(2)).not_after, end);
}

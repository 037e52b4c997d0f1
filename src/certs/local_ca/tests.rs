//! The CA as those see it who share its store, and as clients see its leaves.

use std::fs;
use std::path::Path;

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
async fn the_file_for_people_is_mended() {
    let place = Place::new();
    let ca = place.safe().open(&wish(&[]), noon()).await.unwrap();
    for spoil in [&|| fs::remove_file(place.path(ROOT)).unwrap(), &|| {
        replace(&place.path(ROOT), "nonsense") as ()
    }] as [&dyn Fn(); 2]
    {
        spoil();
        let again = place.safe().open(&wish(&[]), noon()).await.unwrap();
        assert!(again.is_same(&ca));
        assert_eq!(fs::read_to_string(place.path(ROOT)).unwrap(), ca.root().pem);
    }
}

#[tokio::test]
async fn a_fleet_does_not_write_over_the_own_ca_of_a_machine() {
    let place = Place::new();
    let own = place.safe().open(&wish(&[]), noon()).await.unwrap();
    let (store, _faults) = Memory::new();
    let shared = place.safe_in(store);
    let common = shared.open(&wish(&[]), noon()).await.unwrap();
    assert_eq!(
        fs::read_to_string(place.path(ROOT)).unwrap(),
        common.root().pem
    );
    let folders = fs::read_dir(place.path(""))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let aside = folders.filter(|path| {
        path.file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .starts_with("local-ca-")
    });
    let aside: Vec<PathBuf> = aside.collect();
    assert_eq!(aside.len(), 1, "{aside:?}");
    let kept = fs::read_to_string(aside[0].join("root.pem")).unwrap();
    assert_eq!(kept, own.root().pem);
    assert!(aside[0].join("authority.json").exists());
}

#[tokio::test]
async fn a_ca_of_earlier_versions_goes_on_and_is_remarked_on() {
    let place = Place::new();
    let authority = place.earlier();
    let before = fs::read_to_string(place.path(ROOT)).unwrap();
    let ca = place.safe().open(&wish(&[]), noon()).await.unwrap();
    assert_eq!(ca.remarks().len(), 1, "{:?}", ca.remarks());
    assert!(ca.remarks()[0].contains("onedoor certs new-ca"));
    for host in ["a.test", "shop.example.com", "8.8.8.8"] {
        let certified = ca.certified(&name(host), noon()).unwrap();
        assert_eq!(certified.cert.len(), 1);
        shake_hands(certified, &authority.der, host, noon()).unwrap();
    }
    assert_eq!(fs::read_to_string(place.path(ROOT)).unwrap(), before);
    assert!(!place.path(AUTHORITY).exists());
    let made = Place::new().safe().open(&wish(&[]), noon()).await.unwrap();
    assert!(made.remarks().is_empty());
}

#[tokio::test]
async fn a_broken_ca_is_named_and_never_replaced() {
    let place = Place::new();
    let good = place.safe().open(&wish(&[]), noon()).await.unwrap();
    let whole = place.path(AUTHORITY);
    let text = fs::read_to_string(&whole).unwrap();
    let other = Place::new();
    other.safe().open(&wish(&[]), noon()).await.unwrap();
    let other = fs::read_to_string(other.path(AUTHORITY)).unwrap();
    let stranger = serde_json::from_str::<serde_json::Value>(&other).unwrap();
    let exchanged = |field: &str| {
        let mut parsed: serde_json::Value = serde_json::from_str(&text).unwrap();
        parsed[field] = stranger[field].clone();
        replace(&whole, &parsed.to_string());
    };
    let refused = async |expected: fn(&Error) -> bool| {
        let error = place.safe().open(&wish(&[]), noon()).await.unwrap_err();
        assert!(expected(&error), "{error:?}");
        let message = error.to_string();
        assert!(message.starts_with(whole.to_str().unwrap()), "{message}");
        assert!(
            message.contains("backup") && message.contains("new-ca"),
            "{message}"
        );
    };
    replace(&whole, "nonsense");
    refused(|error| matches!(error, Error::Broken(_))).await;
    exchanged("root");
    refused(|error| matches!(error, Error::Broken(_))).await;
    exchanged("intermediate_key");
    refused(|error| matches!(error, Error::KeyMismatch(_))).await;
    fs::remove_file(&whole).unwrap();
    refused(|error| matches!(error, Error::Missing(_))).await;
    replace(&whole, &text);
    let again = place.safe().open(&wish(&[]), noon()).await.unwrap();
    assert!(again.is_same(&good));
    let late = place
        .safe()
        .open(&wish(&[]), noon() + CA_LIFE + days(1))
        .await;
    assert!(matches!(late, Err(Error::Expired(_))), "{late:?}");
}

#[tokio::test]
async fn a_broken_ca_of_earlier_versions_is_named_and_never_replaced() {
    let place = Place::new();
    let authority = place.earlier();
    let (root, root_key) = (place.path(ROOT), place.path(ROOT_KEY));
    let other = Authority::new().leaf(&["a.test"], noon()..noon() + days(1));
    let refused = async |expected: fn(&Error) -> bool, file: &Path| {
        let error = place.safe().open(&wish(&[]), noon()).await.unwrap_err();
        assert!(expected(&error), "{error:?}");
        let message = error.to_string();
        assert!(message.starts_with(file.to_str().unwrap()), "{message}");
    };
    for broken in ["nonsense", &other.pem] {
        replace(&root, broken);
        refused(|error| matches!(error, Error::Broken(_)), &root).await;
    }
    fs::remove_file(&root).unwrap();
    refused(|error| matches!(error, Error::Missing(_)), &root).await;
    replace(&root, &authority.pem);
    replace(&root_key, "nonsense");
    refused(|error| matches!(error, Error::Broken(_)), &root_key).await;
    replace(&root_key, &other.key_pem);
    refused(|error| matches!(error, Error::KeyMismatch(_)), &root_key).await;
    fs::remove_file(&root_key).unwrap();
    refused(|error| matches!(error, Error::Missing(_)), &root_key).await;
}

#[tokio::test]
async fn a_store_that_fails_is_told_and_makes_nothing() {
    let place = Place::new();
    let (store, faults) = Memory::new();
    faults.crash();
    let safe = place.safe_in(store);
    let error = safe.open(&wish(&[]), noon()).await.unwrap_err();
    assert!(matches!(error, Error::Store(_)), "{error:?}");
    let (store, _faults) = faults.process();
    assert_eq!(store.get(&key(AUTHORITY).unwrap()).await.unwrap(), None);
    let unreadable = When::Absent;
    store
        .put(&key(AUTHORITY).unwrap(), b"{}", &unreadable, None)
        .await
        .unwrap();
    let error = place.safe_in(store).look(noon()).await.unwrap_err();
    assert_eq!(
        error.to_string().split(' ').take(2).collect::<Vec<_>>(),
        ["the", "store/local-ca/authority.json"]
    );
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

#[tokio::test]
async fn a_new_ca_takes_the_place_of_the_old_which_is_kept_aside() {
    let place = Place::new();
    let safe = place.safe();
    let none = safe.replace(&wish(&[]), noon()).await.unwrap();
    assert_eq!(none.aside, None);
    let old = fs::read_to_string(place.path(AUTHORITY)).unwrap();
    let wider = wish(&["lan.example.com"]);
    let replaced = safe.replace(&wider, noon()).await.unwrap();
    assert!(!replaced.ca.is_same(&none.ca));
    assert!(accepts(&replaced.ca, "x.lan.example.com", noon()));
    let found = safe.look(noon()).await.unwrap().unwrap();
    assert!(found.is_same(&replaced.ca));
    assert_eq!(
        fs::read_to_string(place.path(ROOT)).unwrap(),
        found.root().pem
    );
    let aside = PathBuf::from(replaced.aside.unwrap());
    assert_eq!(
        fs::read_to_string(aside.join("authority.json")).unwrap(),
        old
    );
    assert_eq!(
        fs::read_to_string(aside.join("root.pem")).unwrap(),
        none.ca.root().pem
    );
}

#[tokio::test]
async fn a_ca_of_earlier_versions_or_a_broken_one_is_replaced_on_request() {
    let place = Place::new();
    let authority = place.earlier();
    let replaced = place.safe().replace(&wish(&[]), noon()).await.unwrap();
    let aside = PathBuf::from(replaced.aside.unwrap());
    assert_eq!(
        fs::read_to_string(aside.join("root.pem")).unwrap(),
        authority.pem
    );
    assert_eq!(
        fs::read_to_string(aside.join("root.key")).unwrap(),
        authority.key_pem()
    );
    assert!(!place.path(ROOT_KEY).exists());
    assert_eq!(
        fs::read_to_string(place.path(ROOT)).unwrap(),
        replaced.ca.root().pem
    );
    replace(&place.path(AUTHORITY), "nonsense");
    let mended = place.safe().replace(&wish(&[]), noon()).await.unwrap();
    let found = place.safe().look(noon()).await.unwrap().unwrap();
    assert!(found.is_same(&mended.ca) && !found.is_same(&replaced.ca));
}

#[tokio::test]
async fn of_two_who_replace_the_ca_at_once_one_wins() {
    let place = Place::new();
    let (store, _faults) = Memory::new();
    let safes = [place.safe_in(store.clone()), place.safe_in(store)];
    safes[0].open(&wish(&[]), noon()).await.unwrap();
    let new = wish(&[]);
    let (one, other) = tokio::join!(
        safes[0].replace(&new, noon()),
        safes[1].replace(&new, noon())
    );
    let found = safes[0].look(noon()).await.unwrap().unwrap();
    let (won, lost) = if one.is_ok() {
        (one, other)
    } else {
        (other, one)
    };
    assert!(found.is_same(&won.unwrap().ca));
    assert!(matches!(lost, Err(Error::Replaced)), "{lost:?}");
}

#[tokio::test]
async fn a_crash_while_a_ca_is_replaced_leaves_the_old_or_the_new() {
    for (nth, moment) in (1..=5).flat_map(|nth| [(nth, Moment::Before), (nth, Moment::After)]) {
        let place = Place::new();
        let (store, faults) = Memory::new();
        let old = Authority::new();
        for (name, pem) in [(ROOT, old.pem.clone()), (ROOT_KEY, old.key_pem())] {
            let (name, when) = (key(name).unwrap(), When::Absent);
            store.put(&name, pem.as_bytes(), &when, None).await.unwrap();
        }
        faults.crash_at(nth, moment);
        let crashed = place.safe_in(store).replace(&wish(&[]), noon()).await;
        assert!(crashed.is_err(), "{nth} {moment:?}");
        let (store, _faults) = faults.process();
        let safe = place.safe_in(store);
        let found = safe.look(noon()).await.unwrap().unwrap();
        let is_old = found.root().pem == old.pem;
        assert_eq!(is_old, found.scope().is_everything(), "{nth} {moment:?}");
        safe.replace(&wish(&[]), noon()).await.unwrap();
    }
}

//! The local CA of a fleet, and of configurations that change.

use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::app::prepare::plan;
use crate::app::wall_clock;
use crate::config::{Loaded, read};
use crate::storage::files::Storage;
use crate::storage::store::memory::{Faults, Memory};
use crate::storage::store::{Merging, Store};

/// A host of a fleet.
struct Host {
    local: Local,
    faults: Faults,
    _folder: TempDir,
}

impl Host {
    fn new(memory: &Faults) -> Self {
        let folder = tempfile::tempdir().unwrap();
        memory.share();
        let (shared, faults) = memory.process();
        let copy = folder.path().join("copy");
        let store = Store::copied(shared, copy, Clock::system(), Merging::NOTHING);
        let own = Storage::at(folder.path().to_owned());
        Self {
            local: Local::new(Safe::new(store, "the fleet's", own), Missing::Make),
            faults,
            _folder: folder,
        }
    }

    async fn settle(&self, loaded: &Loaded, current: Option<Arc<LocalCa>>) -> Settled {
        let (config, now) = (&loaded.config, wall_clock());
        let mut planned = plan(config, &Resolver::new(), now);
        let settled = self.local.settle(&mut planned, config, current, now).await;
        match &settled.absent {
            Some(wish) => self.local.make(&mut planned, wish, now).await,
            None => settled,
        }
    }
}

fn loaded(settings: &str, sites: &[&str]) -> Loaded {
    let sites = sites
        .iter()
        .map(|name| format!("\"{name}\" = {{ to = \"1\", tls = \"internal\" }}\n"));
    let text = format!("{settings}\n[sites]\n{}", sites.collect::<String>());
    read(Path::new("proxy.toml"), &text).unwrap()
}

#[tokio::test]
async fn a_fleet_has_one_ca_and_a_host_alone_has_its_copy() {
    let (_store, memory) = Memory::new();
    let (one, other) = (Host::new(&memory), Host::new(&memory));
    let local = loaded("", &["a.test"]);
    let first = one.settle(&local, None).await.ca.unwrap();
    let second = other.settle(&local, None).await.ca.unwrap();
    assert!(first.is_same(&second));
    for ca in [&first, &second] {
        let shown = std::fs::read_to_string(&ca.root().path).unwrap();
        assert_eq!(shown, first.root().pem);
    }
    other.faults.crash();
    let alone = other.settle(&local, None).await;
    assert!(alone.ca.unwrap().is_same(&first));
}

#[tokio::test]
async fn a_host_that_never_saw_the_ca_waits_for_the_store_and_refuses_nothing() {
    let (_store, memory) = Memory::new();
    let host = Host::new(&memory);
    host.faults.crash();
    let settled = host.settle(&loaded("", &["a.test"]), None).await;
    assert!(settled.ca.is_none() && settled.refusals.is_empty());
    assert!(settled.remarks[0].contains("until it can be had"));
}

#[tokio::test]
async fn an_emptied_store_gets_the_ca_back_that_clients_trust() {
    let (store, memory) = Memory::new();
    let host = Host::new(&memory);
    let local = loaded("", &["a.test"]);
    let before = host.settle(&local, None).await.ca.unwrap();
    for key in store.list("local-ca").await.unwrap() {
        let when = crate::storage::store::When::Always;
        store.delete(&key, &when, None).await.unwrap();
    }
    let after = host.settle(&local, None).await.ca.unwrap();
    assert!(after.is_same(&before));
    let newcomer = Host::new(&memory).settle(&local, None).await.ca.unwrap();
    assert!(newcomer.is_same(&before));
}

#[tokio::test]
async fn a_reload_goes_on_with_the_ca_in_service_and_its_leaves() {
    let (_store, memory) = Memory::new();
    let host = Host::new(&memory);
    let local = loaded("", &["a.test"]);
    let current = host.settle(&local, None).await.ca.unwrap();
    let again = host.settle(&local, Some(current.clone())).await;
    assert!(Arc::ptr_eq(&again.ca.unwrap(), &current));
    assert!(again.remarks.is_empty());
}

#[tokio::test]
async fn a_folder_that_lost_its_ca_is_left_to_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let (path, local) = (folder.path().to_owned(), loaded("", &["a.test"]));
    let store = Store::files(path.clone(), Clock::system());
    let safe = Safe::new(store, "the folder", Storage::at(path.clone()));
    let (_memory, faults) = Memory::new();
    let host = Host {
        local: Local::new(safe, Missing::Make),
        faults,
        _folder: folder,
    };
    let first = host.settle(&local, None).await.ca.unwrap();
    std::fs::remove_dir_all(path.join("local-ca")).unwrap();
    let settled = host.settle(&local, Some(first.clone())).await;
    assert!(Arc::ptr_eq(&settled.ca.unwrap(), &first));
    assert!(settled.remarks[0].contains("until the next start"));
    assert!(!path.join("local-ca").exists());
    let started = host.settle(&local, None).await;
    assert!(started.refusals.is_empty());
    assert!(!started.ca.unwrap().is_same(&first));
}

#[tokio::test]
async fn what_is_missing_for_a_name_is_told_apart() {
    let (_store, memory) = Memory::new();
    let host = Host::new(&memory);
    let remedies = async |settings: &str| {
        let sites = ["a.test", "x.lan.example.com"];
        let settled = host.settle(&loaded(settings, &sites), None).await;
        let of = |refusal: &Refusal| match &refusal.error {
            Refused::Outside { remedy, .. } => Some((refusal.index, *remedy)),
            Refused::Pair(_) | Refused::LocalCa(_) | Refused::NoSource => None,
        };
        settled.refusals.iter().map(of).collect::<Vec<_>>()
    };
    let suffix = "[tls]\nlocal_suffixes = [\"lan.example.com\"]";
    let made = host.settle(&loaded("", &["a.test"]), None).await;
    assert!(made.refusals.is_empty());
    assert_eq!(remedies("").await, [Some((1, Remedy::SuffixAndNewCa))]);
    assert_eq!(remedies(suffix).await, [Some((1, Remedy::NewCa))]);
}

#[tokio::test]
async fn a_suffix_that_only_the_catch_all_needs_is_remarked_on() {
    let (_store, memory) = Memory::new();
    let host = Host::new(&memory);
    host.settle(&loaded("", &["a.test"]), None).await;
    let suffix = "[tls]\nlocal_suffixes = [\"lan.example.com\"]";
    let settled = host.settle(&loaded(suffix, &["*"]), None).await;
    assert!(settled.refusals.is_empty());
    assert!(settled.remarks[0].contains("`lan.example.com`"));
    let fine = host.settle(&loaded("", &["*"]), None).await;
    assert!(fine.remarks.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_ca_that_could_not_be_had_is_served_once_the_store_is_back() {
    let (_store, memory) = Memory::new();
    let host = Host::new(&memory);
    host.faults.crash();
    let resolver = Resolver::new();
    let wish = wish(&loaded("", &["a.test"]).config);
    let reviving = async {
        sleep(RETRY_AFTER * 3).await;
        assert!(resolver.local_ca().is_none());
        host.faults.revive();
    };
    let local = host.local.clone();
    let attending = local.attend(resolver.clone(), wish, Clock::system());
    let had = async {
        reviving.await;
        while resolver.local_ca().is_none() {
            sleep(RETRY_AFTER).await;
        }
    };
    tokio::select! {
        () = attending => {}
        () = had => {}
    }
}

#[tokio::test]
async fn what_becomes_of_the_stored_ca_is_followed() {
    let (store, memory) = Memory::new();
    let host = Host::new(&memory);
    let local = loaded("", &["a.test"]);
    let wish = wish(&local.config);
    let first = host.settle(&local, None).await.ca.unwrap();
    let resolver = Resolver::new();
    resolver.serve_local_ca(first.clone());
    let look = || host.local.look_again(&resolver, &wish, wall_clock());
    look().await;
    assert!(Arc::ptr_eq(&resolver.local_ca().unwrap(), &first));

    let safe = host.local.safe.as_ref().unwrap();
    let new = safe.replace(&wish, wall_clock()).await.unwrap().ca;
    look().await;
    assert!(resolver.local_ca().unwrap().is_same(&new));

    for key in store.list("local-ca").await.unwrap() {
        let when = crate::storage::store::When::Always;
        store.delete(&key, &when, None).await.unwrap();
    }
    look().await;
    let newcomer = Host::new(&memory).settle(&local, None).await;
    assert!(newcomer.ca.unwrap().is_same(&new));
}

//! Everything that is known of certificates, without a running onedoor: the storage, and the configuration if there is one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::entry::{Entry, Failing, Kept, Source, State};
use super::judge;
use super::leaf::Leaf;
use crate::app::local_ca::{Local, Missing};
use crate::app::prepare::{Planned, plan};
use crate::app::storing::Depot;
use crate::app::wall_clock;
use crate::certs::cert_dir::CertDir;
use crate::certs::keeper;
use crate::certs::local_ca::safe::Safe;
use crate::certs::pair::Pair;
use crate::certs::pem::Contents;
use crate::certs::plan::Described;
use crate::certs::resolver::{Resolver, Source as Wish};
use crate::certs::vault::{CertId, Vault, VaultError};
use crate::cli::say;
use crate::clock::Clock;
use crate::config::acme::names::Ordered;
use crate::config::{self, Config, Loaded};
use crate::hostname::{HostName, HostPattern};

/// A place to look at.
#[derive(Debug)]
pub(in crate::cli) struct Scene {
    /// None: no file was found, and none was named.
    pub(in crate::cli) loaded: Option<Loaded>,
    pub(in crate::cli) depot: Depot,
    pub(in crate::cli) vault: Vault,
    pub(in crate::cli) now: SystemTime,
}

/// What is found there.
#[derive(Debug)]
pub(super) struct Known {
    /// By name.
    pub(super) entries: Vec<Entry>,
    /// Names of the configuration that no certificate can be found for, in words.
    pub(super) refusals: Vec<String>,
}

/// Why there is nothing to look at; it has been told.
#[derive(Debug)]
pub(in crate::cli) struct Told;

impl Scene {
    /// Reads the configuration and finds the storage. Nothing is created.
    pub(in crate::cli) fn open(config: Option<&Path>) -> Result<Self, Told> {
        let found = config.map(Path::to_owned).or_else(config::find);
        let loaded = match found.map(|path| config::load(&path, None)).transpose() {
            Ok(loaded) => loaded,
            Err(refused) => {
                say::refused(&refused);
                return Err(Told);
            }
        };
        if let Some(loaded) = &loaded {
            say::problems(&loaded.isolated, &loaded.sources);
        }
        let depot = Depot::find(loaded.as_ref().map(|loaded| &loaded.config));
        let opened = depot.and_then(|depot| Ok((depot.open(&Clock::system())?, depot)));
        let (store, depot) = opened.map_err(|error| {
            say::error("storage", &error);
            Told
        })?;
        Ok(Self {
            loaded,
            vault: Vault::new(store),
            depot,
            now: wall_clock(),
        })
    }

    /// Where the local CA is.
    pub(super) fn safe(&self) -> Safe {
        self.depot.safe_of(self.vault.store().clone())
    }

    /// The names that the configuration orders certificates for, and what stands for those that are ordered at handshakes.
    pub(super) async fn ordered(&self) -> (BTreeSet<HostPattern>, Vec<HostPattern>) {
        let mut looking = Looking::at(self);
        if let Some(loaded) = &self.loaded {
            looking.at_sites(&loaded.config).await;
        }
        (looking.kept, looking.at_handshakes)
    }

    /// Looks at everything.
    pub(super) async fn known(&self) -> Result<Known, VaultError> {
        let mut looking = Looking::at(self);
        if let Some(loaded) = &self.loaded {
            looking.at_sites(&loaded.config).await;
            looking.at_spare_pairs(&loaded.config);
        }
        looking.at_storage().await?;
        let mut entries = looking.entries;
        entries.sort_by(|one, other| one.pattern.cmp(&other.pattern));
        Ok(Known {
            entries,
            refusals: looking.refusals,
        })
    }
}

struct Looking<'a> {
    scene: &'a Scene,
    entries: Vec<Entry>,
    refusals: Vec<String>,
    /// The names that a public CA shall sign.
    kept: BTreeSet<HostPattern>,
    /// What stands for names that are ordered when they are first asked for.
    at_handshakes: Vec<HostPattern>,
}

impl<'a> Looking<'a> {
    fn at(scene: &'a Scene) -> Self {
        Self {
            scene,
            entries: Vec::new(),
            refusals: Vec::new(),
            kept: BTreeSet::new(),
            at_handshakes: Vec::new(),
        }
    }

    async fn at_sites(&mut self, config: &Config) {
        let now = self.scene.now;
        let resolver = Resolver::new();
        let mut planned = plan(config, &resolver, now);
        let local = Local::new(self.scene.safe(), Missing::Imagine);
        let settled = local.settle(&mut planned, config, None, now).await;
        let Planned {
            wanted,
            plan,
            mut refusals,
            ..
        } = planned;
        refusals.extend(settled.refusals);
        let mut reasons: BTreeMap<usize, String> = BTreeMap::new();
        for refusal in refusals {
            self.refusals.push(refusal.error.to_string());
            reasons.insert(refusal.index, refusal.error.to_string());
        }
        for (slot, wanted) in wanted.iter().enumerate() {
            let shown = |name: &HostPattern| {
                let name = name.base().cloned().or_else(|| HostName::parse("x").ok())?;
                let certified = resolver.certified(&plan, slot, &name, now)?;
                Leaf::read(certified.cert.first()?, now)
            };
            match plan.describe(slot) {
                Described::OwnPair(path) => {
                    let path = path.to_owned();
                    self.put(&wanted.name, Source::OwnPair { path }, shown(&wanted.name));
                }
                Described::CertDir(path) => {
                    let path = path.to_owned();
                    self.put(&wanted.name, Source::CertDir { path }, shown(&wanted.name));
                }
                Described::LocalCa => {
                    let ca = settled.ca.as_ref();
                    let root = ca.and_then(|ca| root(&ca.root().pem, now));
                    self.put(&wanted.name, Source::LocalCa, root);
                }
                Described::Public(_) => self.keep(config, &wanted.name),
                Described::Nothing if wanted.source == Wish::Nothing => {}
                Described::Nothing => {
                    self.put(&wanted.name, Source::Nowhere, None);
                    let reason = reasons.remove(&slot).unwrap_or_default();
                    if let Some(entry) = self.entries.last_mut() {
                        entry.state = State::Broken { reason };
                    }
                }
            }
        }
    }

    fn keep(&mut self, config: &Config, name: &HostPattern) {
        let ordered = config.acme.as_ref().map(|acme| acme.ordered(name));
        match ordered {
            Some(Ok(Ordered::OnDemand)) => self.at_handshakes.push(name.clone()),
            Some(Ok(Ordered::AtStart) | Err(_)) | None => {
                self.kept.insert(name.clone());
            }
        }
    }

    fn put(&mut self, name: &HostPattern, source: Source, certificate: Option<Leaf>) {
        let now = self.scene.now;
        let state = match &certificate {
            Some(leaf) => judge::state(&source, leaf, now),
            None => State::NoCertificate,
        };
        self.entries.push(Entry {
            name: name.to_string(),
            source,
            certificate,
            state,
            ordered_by: None,
            due: None,
            faults: Vec::new(),
            pattern: name.clone(),
            kept: None,
        });
    }

    /// Pairs of the folder that no site is served with.
    fn at_spare_pairs(&mut self, config: &Config) {
        let Some(folder) = config.cert_dir.as_ref().map(|folder| &folder.value) else {
            return;
        };
        let used: BTreeSet<PathBuf> = self
            .entries
            .iter()
            .filter_map(|entry| match &entry.source {
                Source::CertDir { path } => Some(folder.join(path)),
                Source::Ca { .. }
                | Source::OwnPair { .. }
                | Source::LocalCa
                | Source::Nowhere
                | Source::Connection { .. } => None,
            })
            .collect();
        let (listed, _problems) = CertDir::scan(folder);
        let spare = listed
            .pairs()
            .iter()
            .filter(|files| !used.contains(&files.cert));
        for files in spare {
            let Ok((pair, _warnings)) = Pair::load(files, self.scene.now) else {
                continue;
            };
            let Some(name) = pair.facts.names.first().cloned() else {
                continue;
            };
            let within = files.cert.strip_prefix(folder).unwrap_or(&files.cert);
            let leaf = pair.certified.cert.first();
            let leaf = leaf.and_then(|leaf| Leaf::read(leaf, self.scene.now));
            let path = within.to_owned();
            self.put(&name, Source::CertDir { path }, leaf);
            if let Some(entry) = self.entries.last_mut() {
                entry.state = State::NotWanted;
            }
        }
    }

    async fn at_storage(&mut self) -> Result<(), VaultError> {
        let mut names: BTreeMap<String, (CertId, HostPattern)> = BTreeMap::new();
        for id in self.scene.vault.ids().await? {
            if let Some(name) = id.name() {
                names.insert(id.as_str().to_owned(), (id, name));
            }
        }
        for name in &self.kept {
            let id = CertId::of(name);
            names.insert(id.as_str().to_owned(), (id, name.clone()));
        }
        for (id, name) in names.into_values() {
            let entry = self.stored(id, name).await?;
            self.entries.push(entry);
        }
        Ok(())
    }

    async fn stored(&self, id: CertId, name: HostPattern) -> Result<Entry, VaultError> {
        let (vault, now) = (&self.scene.vault, self.scene.now);
        let found = vault.bundle(&id).await?;
        let state = vault.state(&id).await?;
        let ready = found.ready;
        let certificate = ready
            .as_ref()
            .and_then(|ready| Leaf::read(ready.leaf(), now));
        let due = ready.as_ref().map(|ready| keeper::due(ready, &state, now));
        let directory = ready.as_ref().map(|ready| ready.bundle.directory.clone());
        let ordered_by = ready
            .as_ref()
            .and_then(|ready| ready.bundle.ordered_by.clone());
        let is_wanted = self.wants(&name);
        let directory = match directory {
            // Of what was imported nobody may know who made it.
            Some(directory) => Some(directory).filter(|directory| !directory.is_empty()),
            None => self.first_ca().filter(|_ca| is_wanted),
        };
        let source = Source::Ca { directory };
        let failing = state.failures.as_ref().map(|failures| Failing {
            reason: failures.detail.clone(),
            class: failures.class,
            failures: failures.count,
            next_try: failures.due(now),
        });
        let how = match (&certificate, failing) {
            _ if !is_wanted => State::NotWanted,
            (_, Some(failing)) => State::Failing(failing),
            (None, None) => State::NoCertificate,
            (Some(leaf), None) if leaf.not_after <= now => State::Expired,
            (Some(_), None) if due.is_some_and(|due| due <= now) => State::RenewalDue,
            (Some(_), None) => State::Fine,
        };
        Ok(Entry {
            name: name.to_string(),
            source,
            certificate,
            state: how,
            ordered_by,
            due: due.filter(|_due| is_wanted),
            faults: found.faults,
            pattern: name,
            kept: Some(Kept { id, ready, state }),
        })
    }

    /// Without a configuration nobody knows what is not.
    fn wants(&self, name: &HostPattern) -> bool {
        let at_a_handshake = match name {
            HostPattern::Exact(name) => self.at_handshakes.iter().any(|own| own.matches(name)),
            HostPattern::Wildcard(_) | HostPattern::CatchAll => false,
        };
        self.scene.loaded.is_none() || at_a_handshake || self.kept.contains(name)
    }

    fn first_ca(&self) -> Option<String> {
        let acme = self.scene.loaded.as_ref()?.config.acme.as_ref()?;
        Some(acme.first.directory.url.to_string())
    }
}

fn root(pem: &str, now: SystemTime) -> Option<Leaf> {
    let contents = Contents::parse(pem.as_bytes()).ok()?;
    Leaf::read(contents.certificates.first()?, now)
}

impl Known {
    /// What is known of a name: its own entries, else those of a pattern that stands for it.
    pub(super) fn of(&self, wanted: &HostPattern) -> Vec<&Entry> {
        let all = |is: &dyn Fn(&Entry) -> bool| -> Vec<&Entry> {
            self.entries.iter().filter(|entry| is(entry)).collect()
        };
        let own = all(&|entry| entry.pattern == *wanted);
        if own.is_empty() {
            return all(&|entry| entry.is_for(wanted));
        }
        own
    }
}

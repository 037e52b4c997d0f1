//! The local CA of a configuration: where it is kept, and its root.

use std::path::{Path, PathBuf};

use super::look::Owning;
use super::root::Root;
use super::step::Person;
use super::way;
use crate::app::local_ca::wish;
use crate::app::storing::Depot;
use crate::app::wall_clock;
use crate::certs::local_ca::LocalCa;
use crate::certs::local_ca::making::{RootKey, Wish};
use crate::certs::local_ca::safe::Safe;
use crate::certs::local_ca::scope::Scope;
use crate::cli::{Exit, certs, place, say};
use crate::clock::Clock;
use crate::config;
use crate::storage::place::{Facts, choose};
use crate::system::System;

/// What the verbs begin with.
#[derive(Debug)]
pub(super) struct Scene {
    storage: PathBuf,
    name: String,
    safe: Safe,
    wish: Wish,
    pub(super) owner: Owning,
}

impl Scene {
    /// By the configuration that is named, else by the one that is found, else by the environment alone.
    pub(super) fn open(config: Option<&Path>) -> Result<Self, Exit> {
        let path = config.map(Path::to_owned).or_else(config::find);
        let loaded = match path.map(|path| config::load(&path, None)) {
            Some(Ok(loaded)) => Some(loaded),
            Some(Err(refused)) => {
                say::refused(&refused);
                return Err(Exit::Configuration);
            }
            None => None,
        };
        let config = loaded.as_ref().map(|loaded| &loaded.config);
        let found = Depot::find(config)
            .and_then(|depot| Ok((depot.safe(&Clock::system())?, depot)))
            .map_err(|error| {
                say::error("storage", &error);
                Exit::Configuration
            });
        let (safe, depot) = found?;
        Ok(Self {
            safe,
            storage: depot.folder().to_owned(),
            name: depot.to_string(),
            wish: match &loaded {
                Some(loaded) => wish(&loaded.config),
                None => Wish {
                    scope: Scope::of(&[]),
                    root_key: RootKey::default(),
                },
            },
            owner: Owning::here(),
        })
    }

    /// The folder of the storage on this machine.
    pub(super) fn storage(&self) -> &Path {
        &self.storage
    }

    /// Where people find it.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Where its root lies.
    pub(super) fn root_file(&self) -> PathBuf {
        self.safe.root_path()
    }

    /// The root, if there is one, whatever became of the rest.
    pub(super) fn root_found(&self) -> Option<Root> {
        let runtime = certs::runtime().ok()?;
        Root::parse(runtime.block_on(self.safe.root_pem()).ok()??)
    }

    /// The root, if there is a local CA.
    pub(super) fn root(&self) -> Result<Option<Root>, Exit> {
        let found = certs::block_on(self.safe.look(wall_clock()))?;
        found.as_ref().map(of).transpose()
    }

    /// The root of the local CA, which is made if there is none, as the first site that needs it would. From then on its file is there.
    pub(super) fn root_made(&self) -> Result<Root, Exit> {
        let found = self.root()?;
        let is_of_another = self.is_of_another()?;
        match found {
            // Whatever would be mended beside it is the owner's.
            Some(root) if is_of_another => return Ok(root),
            Some(_) => {}
            None => self.refuse_mistaken_root(is_of_another)?,
        }
        let ca = certs::block_on(self.safe.open(&self.wish, wall_clock()))?;
        if found.is_none() {
            say::err(&format!("note: made a local CA in {}\n", self.name()));
        }
        of(&ca)
    }

    /// Whether this is root in a storage that somebody else may change.
    fn is_of_another(&self) -> Result<bool, Exit> {
        way::is_of_another(&self.storage).map_err(|error| {
            say::error("storage", &error);
            Exit::Failed
        })
    }

    /// Under `sudo` the usual storage is root's, and the door that is meant may be the caller's. In somebody else's folder root makes
    /// nothing that the owner could not read.
    fn refuse_mistaken_root(&self, is_of_another: bool) -> Result<(), Exit> {
        if let Person::User { .. } = self.owner.person {
            return Ok(());
        }
        let theirs = match &self.owner.person {
            Person::RootFor { .. } => self.callers_own(),
            Person::User { .. } | Person::Root => None,
        };
        let (what, remedy) = match theirs {
            _ if is_of_another => (
                "and that folder is another user's".to_owned(),
                "as that user, who has it made",
            ),
            Some(theirs) => (
                format!("and whoever called this has one in {}", theirs.display()),
                "without `sudo`: what needs root is then done by it",
            ),
            None => return Ok(()),
        };
        let name = self.name();
        say::err(&format!(
            "error[local-ca]: there is no local CA in {name}, {what}\n  try:  onedoor trust   {remedy}\n"
        ));
        Err(Exit::Failed)
    }

    /// The storage of whoever called `sudo`, if there is a local CA in it.
    fn callers_own(&self) -> Option<PathBuf> {
        let theirs = choose(&Facts {
            configured: None,
            data_is_mount: false,
            is_root: false,
            system: System::HERE,
            xdg_data_home: None,
            home: self.owner.home.clone(),
        });
        theirs.ok().filter(|folder| place::has_local_ca(folder))
    }
}

fn of(ca: &LocalCa) -> Result<Root, Exit> {
    Root::parse(ca.root().pem.clone()).ok_or_else(|| {
        say::err("error[local-ca]: the local CA's root is no certificate\n");
        Exit::Failed
    })
}

//! The local CA of a configuration: where it is kept, and its root.

use std::path::{Path, PathBuf};

use super::look;
use super::root::Root;
use super::step::Person;
use crate::app::wall_clock;
use crate::certs::local_ca::LocalCa;
use crate::cli::{Exit, place, say};
use crate::config;
use crate::storage::files::Storage;
use crate::storage::place::{Facts, choose};
use crate::system::System;

/// What the verbs begin with.
#[derive(Debug)]
pub(super) struct Scene {
    pub(super) storage: Storage,
    pub(super) person: Person,
    /// Of whoever's stores are meant.
    pub(super) home: Option<PathBuf>,
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
        let folder = match &loaded {
            Some(loaded) => place::storage(&loaded.config),
            None => crate::storage::default_place(),
        };
        let folder = folder.map_err(|error| {
            say::error("storage", &error);
            Exit::Configuration
        })?;
        let folder = std::path::absolute(&folder).unwrap_or(folder);
        let (person, home) = look::person();
        Ok(Self {
            storage: Storage::at(folder),
            person,
            home,
        })
    }

    /// Where people find it.
    pub(super) fn name(&self) -> String {
        self.storage.folder().display().to_string()
    }

    /// Where its root lies.
    pub(super) fn root_file(&self) -> PathBuf {
        self.storage.path("local-ca/root.pem")
    }

    /// The root, if there is one, whatever became of its key.
    pub(super) fn root_found(&self) -> Option<Root> {
        let pem = self.storage.read("local-ca/root.pem").ok()??;
        Root::parse(String::from_utf8(pem).ok()?)
    }

    /// The root, if there is a local CA.
    pub(super) fn root(&self) -> Result<Option<Root>, Exit> {
        if place::with_local_ca(self.storage.folder()).is_none() {
            return Ok(None);
        }
        self.opened().map(Some)
    }

    /// The root of the local CA, which is made if there is none, as the first site that needs it would.
    pub(super) fn root_made(&self) -> Result<Root, Exit> {
        if let Some(root) = self.root()? {
            return Ok(root);
        }
        self.refuse_mistaken_root()?;
        let root = self.opened()?;
        say::err(&format!("note: made a local CA in {}\n", self.name()));
        Ok(root)
    }

    fn opened(&self) -> Result<Root, Exit> {
        let ca = LocalCa::open(&self.storage, wall_clock()).map_err(|error| {
            say::error("local-ca", &error);
            Exit::Failed
        })?;
        Root::parse(ca.root().pem.clone()).ok_or_else(|| {
            say::err("error[local-ca]: the local CA's root is no certificate\n");
            Exit::Failed
        })
    }

    /// Under `sudo` the usual storage is root's, and the door that is meant may be the caller's.
    fn refuse_mistaken_root(&self) -> Result<(), Exit> {
        let Person::RootFor { user, .. } = &self.person else {
            return Ok(());
        };
        let theirs = choose(&Facts {
            configured: None,
            data_is_mount: false,
            is_root: false,
            system: System::HERE,
            xdg_data_home: None,
            home: self.home.clone(),
        });
        let Ok(theirs) = theirs else {
            return Ok(());
        };
        if place::with_local_ca(&theirs).is_none() {
            return Ok(());
        }
        say::err(&format!(
            "error[local-ca]: there is no local CA in {}, and {user} has one in {}\n  try:  onedoor trust   as {user}: what needs root is then done by `sudo`\n",
            self.name(),
            theirs.display()
        ));
        Err(Exit::Failed)
    }
}

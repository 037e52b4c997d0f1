//! `onedoor quota`: what every CA was asked, and how much more it may be asked.

use std::collections::BTreeMap;

use serde::Serialize;

use super::certs::{block_on, json, runtime};
use super::{Exit, QuotaArguments, place, say};
use crate::app::wall_clock;
use crate::certs::keeper::ledgers::{Ledgers, ca_id};
use crate::certs::ledger::limits::Limits;
use crate::certs::ledger::report::Report;
use crate::certs::vault::{Vault, VaultError};
use crate::clock::Clock;
use crate::config::acme::directory::Directory;
use crate::config::{self, Config};
use crate::storage::store::Store;

/// The ledger of one CA.
#[derive(Debug, Serialize)]
struct Told {
    directory: String,
    #[serde(flatten)]
    report: Report,
}

pub(super) fn run(arguments: &QuotaArguments) -> Exit {
    let found = arguments.config.clone().or_else(config::find);
    let loaded = match found.map(|path| config::load(&path, None)).transpose() {
        Ok(loaded) => loaded,
        Err(refused) => {
            say::refused(&refused);
            return Exit::Configuration;
        }
    };
    let config = loaded.as_ref().map(|loaded| &loaded.config);
    let folder = match config {
        Some(config) => place::storage(config),
        None => crate::storage::default_place(),
    };
    let folder = match folder {
        Ok(folder) => folder,
        Err(no_place) => {
            say::error("storage", &no_place);
            return Exit::Configuration;
        }
    };
    let store = Store::files(folder.clone(), Clock::system());
    let directories = match block_on(directories(&store, config)) {
        Ok(directories) => directories,
        Err(exit) => return exit,
    };
    let (reports, exit) = match reports(&store, &directories) {
        Ok(told) => told,
        Err(exit) => return exit,
    };
    if arguments.json {
        say::out(&json(&reports));
    } else if reports.is_empty() && exit == Exit::Fine {
        let folder = folder.display();
        say::out(&format!(
            "no CA was asked for anything yet: {folder} has no ledger\n"
        ));
    } else {
        let tables: Vec<String> = reports
            .iter()
            .map(|told| format!("{}: {}", told.directory, told.report.table()))
            .collect();
        say::out(&tables.join("\n"));
    }
    exit
}

/// The directories of the configuration, and of every ledger that is stored.
async fn directories(store: &Store, config: Option<&Config>) -> Result<Vec<String>, VaultError> {
    let acme = config.and_then(|config| config.acme.as_ref());
    let mut wanted: Vec<String> = acme
        .into_iter()
        .flat_map(|acme| acme.cas())
        .map(|ca| ca.directory.url.to_string())
        .collect();
    let mut stored: Vec<String> = Vec::new();
    for key in store.list("acme/").await? {
        let parts: Vec<&str> = key.as_str().split('/').collect();
        if let ["acme", id, "ledger"] = parts.as_slice() {
            stored.push((*id).to_owned());
        }
    }
    stored.retain(|id| !wanted.iter().any(|url| ca_id(url) == *id));
    if stored.is_empty() {
        return Ok(wanted);
    }
    let known = known(store).await?;
    wanted.extend(
        stored
            .into_iter()
            .map(|id| known.get(&id).cloned().unwrap_or(id)),
    );
    Ok(wanted)
}

/// URLs by what stands for them in keys: the well-known ones, and those that certificates came from.
async fn known(store: &Store) -> Result<BTreeMap<String, String>, VaultError> {
    let mut urls: Vec<String> = Directory::known().map(str::to_owned).collect();
    let vault = Vault::new(store.clone());
    for id in vault.ids().await? {
        let ready = vault.bundle(&id).await?.ready;
        urls.extend(ready.map(|ready| ready.bundle.directory.clone()));
    }
    Ok(urls.into_iter().map(|url| (ca_id(&url), url)).collect())
}

/// A ledger that cannot be read is told of, and hides no other.
fn reports(store: &Store, directories: &[String]) -> Result<(Vec<Told>, Exit), Exit> {
    let ledgers = Ledgers::new(store.clone(), Clock::system());
    let (runtime, now) = (runtime()?, wall_clock());
    let (mut reports, mut exit) = (Vec::new(), Exit::Fine);
    for directory in directories {
        match runtime.block_on(ledgers.read(directory)) {
            Ok(ledger) => reports.push(Told {
                directory: directory.clone(),
                report: ledger.report(Limits::of(directory), now),
            }),
            Err(error) => {
                say::error("ledger", &error);
                exit = Exit::Failed;
            }
        }
    }
    Ok((reports, exit))
}

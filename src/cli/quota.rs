//! `onedoor quota`: what every CA was asked, and how much more it may be asked.

use std::collections::BTreeMap;

use serde::Serialize;

use super::certs::known::Scene;
use super::certs::{block_on, json, runtime};
use super::{Exit, QuotaArguments, say};
use crate::certs::keeper::ledgers::{Ledgers, ca_id};
use crate::certs::ledger::limits::Limits;
use crate::certs::ledger::report::Report;
use crate::certs::vault::{Vault, VaultError};
use crate::clock::Clock;
use crate::config::acme::directory::Directory;

/// The ledger of one CA.
#[derive(Debug, Serialize)]
struct Told {
    directory: String,
    #[serde(flatten)]
    report: Report,
}

pub(super) fn run(arguments: &QuotaArguments) -> Exit {
    let Ok(scene) = Scene::open(arguments.config.as_deref()) else {
        return Exit::Configuration;
    };
    let scene = match scene.or_as_seen() {
        Ok(scene) => scene,
        Err(exit) => return exit,
    };
    let directories = match block_on(directories(&scene)) {
        Ok(directories) => directories,
        Err(exit) => return exit,
    };
    let (reports, exit) = match reports(&scene, &directories) {
        Ok(told) => told,
        Err(exit) => return exit,
    };
    if arguments.json {
        say::out(&json(&reports));
    } else if reports.is_empty() && exit == Exit::Fine {
        let storage = &scene.depot;
        say::out(&format!(
            "no CA was asked for anything yet: {storage} has no ledger\n"
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
async fn directories(scene: &Scene) -> Result<Vec<String>, VaultError> {
    let loaded = scene.loaded.as_ref();
    let acme = loaded.and_then(|loaded| loaded.config.acme.as_ref());
    let mut wanted: Vec<String> = acme
        .into_iter()
        .flat_map(|acme| acme.cas())
        .map(|ca| ca.directory.url.to_string())
        .collect();
    let mut stored: Vec<String> = Vec::new();
    for key in scene.vault.store().list("acme/").await? {
        let parts: Vec<&str> = key.as_str().split('/').collect();
        if let ["acme", id, "ledger"] = parts.as_slice() {
            stored.push((*id).to_owned());
        }
    }
    stored.retain(|id| !wanted.iter().any(|url| ca_id(url) == *id));
    if stored.is_empty() {
        return Ok(wanted);
    }
    let known = known(&scene.vault).await?;
    wanted.extend(
        stored
            .into_iter()
            .map(|id| known.get(&id).cloned().unwrap_or(id)),
    );
    Ok(wanted)
}

/// URLs by what stands for them in keys: the well-known ones, and those that certificates came from.
async fn known(vault: &Vault) -> Result<BTreeMap<String, String>, VaultError> {
    let mut urls: Vec<String> = Directory::known().map(str::to_owned).collect();
    for id in vault.ids().await? {
        let ready = vault.bundle(&id).await?.ready;
        urls.extend(ready.map(|ready| ready.bundle.directory.clone()));
    }
    Ok(urls.into_iter().map(|url| (ca_id(&url), url)).collect())
}

/// A ledger that cannot be read is told of, and hides no other.
fn reports(scene: &Scene, directories: &[String]) -> Result<(Vec<Told>, Exit), Exit> {
    let ledgers = Ledgers::new(scene.vault.store().clone(), Clock::system());
    let runtime = runtime()?;
    let (mut reports, mut exit) = (Vec::new(), Exit::Fine);
    for directory in directories {
        match runtime.block_on(ledgers.read(directory)) {
            Ok(ledger) => reports.push(Told {
                directory: directory.clone(),
                report: ledger.report(Limits::of(directory), scene.now),
            }),
            Err(error) => {
                say::error("ledger", &error);
                exit = Exit::Failed;
            }
        }
    }
    Ok((reports, exit))
}

//! `onedoor certs prune`: removes from the storage the certificates that no site wants any more.

use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::entry::Entry;
use super::known::{Known, Scene};
use super::{PruneArguments, json};
use crate::app::banner::counted;
use crate::certs::utc::minute;
use crate::certs::vault::{CertId, VaultError};
use crate::cli::table::table;
use crate::cli::{Exit, say};
use crate::storage::store::Key;

/// How long a removal may hold a name against others.
const LEASE_TIME: Duration = Duration::from_secs(60);

/// How long what was imported waits for its site.
const IMPORTED_SPARED: Duration = Duration::from_secs(30 * 24 * 60 * 60);

#[derive(Debug, Serialize)]
struct Pruned {
    name: String,
    removed: bool,
}

pub(super) fn run(arguments: &PruneArguments) -> Exit {
    let Ok(scene) = Scene::open(arguments.config.as_deref()) else {
        return Exit::Configuration;
    };
    let known = match super::block_on(scene.known()) {
        Ok(known) => known,
        Err(exit) => return exit,
    };
    if let Some(exit) = refusal(&scene, &known) {
        return exit;
    }
    let (spared, unwanted): (Vec<&Entry>, Vec<&Entry>) = known
        .entries
        .iter()
        .filter(|entry| !entry.is_wanted() && entry.kept.is_some())
        .partition(|entry| !arguments.imported && is_just_imported(entry, scene.now));
    tell_spared(&spared);
    if !arguments.json {
        announce(&scene, &unwanted);
    }
    if arguments.dry_run || unwanted.is_empty() {
        if arguments.json {
            say::out(&json(&pruned(&unwanted, &[])));
        }
        return Exit::Fine;
    }
    if !arguments.yes && !say::is_agreed("remove them with their keys?") {
        say::err("nothing was removed: `--yes` removes without asking\n");
        return Exit::Failed;
    }
    if let Err(exit) = scene.check_owner() {
        return exit;
    }
    let removed = match super::block_on(remove(&scene, &unwanted)) {
        Ok(removed) => removed,
        Err(exit) => return exit,
    };
    if arguments.json {
        say::out(&json(&pruned(&unwanted, &removed)));
    } else {
        say::out(&format!(
            "removed {}\n",
            counted(removed.len(), "certificate")
        ));
    }
    if removed.len() == unwanted.len() {
        Exit::Fine
    } else {
        Exit::Failed
    }
}

/// Whether another tool ordered it, and its site may still be to come.
fn is_just_imported(entry: &Entry, now: SystemTime) -> bool {
    let ready = entry.kept.as_ref().and_then(|kept| kept.ready.as_ref());
    ready.is_some_and(|ready| {
        let stored_at: SystemTime = ready.bundle.stored_at.into();
        let age = now.duration_since(stored_at).unwrap_or_default();
        ready.bundle.imported_from.is_some() && age < IMPORTED_SPARED
    })
}

fn tell_spared(spared: &[&Entry]) {
    for entry in spared {
        let ready = entry.kept.as_ref().and_then(|kept| kept.ready.as_ref());
        let place = ready.and_then(|ready| ready.bundle.imported_from.as_deref());
        say::err(&format!(
            "`{}` stays: it was imported lately ({}), and its site may still come; `--imported` removes it, too\n",
            entry.name,
            place.unwrap_or_default()
        ));
    }
}

/// Who does not know for sure what is wanted removes nothing.
fn refusal(scene: &Scene, known: &Known) -> Option<Exit> {
    let Some(loaded) = &scene.loaded else {
        say::err(
            "error[no-config]: without a configuration nobody knows what is not wanted any more: name one with -c\n",
        );
        return Some(Exit::Configuration);
    };
    for reason in &known.refusals {
        say::err(&format!("error[no-certificate]: {reason}\n"));
    }
    if loaded.isolated.is_empty() && known.refusals.is_empty() {
        return None;
    }
    say::err(
        "nothing was removed: the configuration has problems, so it does not say for sure what is wanted; `onedoor check` shows them\n",
    );
    Some(Exit::Configuration)
}

fn announce(scene: &Scene, unwanted: &[&Entry]) {
    if unwanted.is_empty() {
        say::out("everything in the storage is wanted\n");
        return;
    }
    let mut rows = vec![["NAME", "SOURCE", "NOT AFTER", "FOLDER"].map(str::to_owned)];
    rows.extend(unwanted.iter().map(|entry| {
        let until = entry.certificate.as_ref().map(|leaf| leaf.not_after);
        let id = entry.kept.as_ref().map(|kept| kept.id.as_str());
        let place = scene.depot.of("certs", id.unwrap_or_default());
        [
            entry.name.clone(),
            entry.source.to_string(),
            until.map(minute).unwrap_or_default(),
            place,
        ]
    }));
    say::out("no site wants these any more:\n");
    say::out(&table(&rows));
}

/// Removes each under its lease, so that nobody is just ordering it.
async fn remove<'a>(scene: &Scene, unwanted: &[&'a Entry]) -> Result<Vec<&'a CertId>, VaultError> {
    let mut removed = Vec::new();
    for kept in unwanted.iter().filter_map(|entry| entry.kept.as_ref()) {
        let id = &kept.id;
        let key = Key::new(&format!("cert-{}", id.as_str())).map_err(VaultError::Key)?;
        let Some(_lease) = scene.vault.store().lease(&key, LEASE_TIME).await? else {
            say::err(&format!(
                "`{}` stays: another process is just ordering it\n",
                id.as_str()
            ));
            continue;
        };
        scene.vault.remove(id).await?;
        removed.push(id);
    }
    Ok(removed)
}

fn pruned(unwanted: &[&Entry], removed: &[&CertId]) -> Vec<Pruned> {
    let one = |entry: &&Entry| Pruned {
        name: entry.name.clone(),
        removed: entry
            .kept
            .as_ref()
            .is_some_and(|kept| removed.contains(&&kept.id)),
    };
    unwanted.iter().map(one).collect()
}

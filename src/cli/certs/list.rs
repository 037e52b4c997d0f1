//! `onedoor certs list`: one line a certificate.

use super::entry::{Entry, State};
use super::known::{Known, Scene};
use super::{ListArguments, json};
use crate::certs::utc::minute;
use crate::cli::Exit;
use crate::cli::say;
use crate::cli::table::{left, table};

pub(super) fn run(arguments: &ListArguments) -> Exit {
    let Ok(scene) = Scene::open(arguments.config.as_deref()) else {
        return Exit::Configuration;
    };
    let scene = match scene.or_as_seen() {
        Ok(scene) => scene,
        Err(exit) => return exit,
    };
    let known = match super::block_on(scene.known()) {
        Ok(known) => known,
        Err(exit) => return exit,
    };
    if arguments.json {
        say::out(&json(&known.entries));
    } else {
        tell(&scene, &known);
    }
    Exit::Fine
}

fn tell(scene: &Scene, known: &Known) {
    if known.entries.is_empty() {
        say::out(&format!(
            "no certificates: the storage {} holds none, and no site of a configuration needs one\n",
            scene.depot
        ));
        return;
    }
    let mut rows = vec![["NAME", "SOURCE", "NOT AFTER", "LEFT", "STATE"].map(str::to_owned)];
    rows.extend(known.entries.iter().map(|entry| row(scene, entry)));
    say::out(&table(&rows));
    for entry in &known.entries {
        for fault in &entry.faults {
            say::out(&format!("{}: stepped over: {fault}\n", entry.name));
        }
    }
    if known.entries.iter().any(is_pruned) {
        say::out("`onedoor certs prune` removes from the storage what is not wanted any more\n");
    }
    let failing = known.entries.iter().find(|entry| match entry.state {
        State::Failing(_) => true,
        State::Fine
        | State::RenewalDue
        | State::Expired
        | State::NoCertificate
        | State::Broken { .. }
        | State::NotWanted => false,
    });
    if let Some(entry) = failing {
        let name = &entry.name;
        say::out(&format!(
            "once the cause is mended, `onedoor certs renew {name}` tries at once\n"
        ));
    }
}

fn is_pruned(entry: &Entry) -> bool {
    !entry.is_wanted() && entry.kept.is_some()
}

/// Of a fleet also which host it was.
fn origin(scene: &Scene, entry: &Entry) -> String {
    match &entry.ordered_by {
        Some(host) if scene.depot.is_shared() => format!("{} by {host}", entry.origin()),
        Some(_) | None => entry.origin(),
    }
}

fn row(scene: &Scene, entry: &Entry) -> [String; 5] {
    let until = entry.certificate.as_ref().map(|leaf| leaf.not_after);
    [
        entry.name.clone(),
        origin(scene, entry),
        until.map(minute).unwrap_or_default(),
        until
            .map(|until| left(until, scene.now))
            .unwrap_or_default(),
        entry.state.to_string(),
    ]
}

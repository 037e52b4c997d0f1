//! `onedoor certs show HOST`: everything that is known of one name. Never its key.

use std::path::Path;
use std::time::SystemTime;

use serde::Serialize;

use super::entry::{Entry, Kept, Source};
use super::known::Scene;
use super::leaf::Leaf;
use super::{ShowArguments, json};
use crate::certs::keeper;
use crate::certs::utc::{minute, stamp, stamp_or_null};
use crate::certs::vault::VaultError;
use crate::cli::Exit;
use crate::cli::say;
use crate::cli::table::left;

/// An entry with what the storage says of it.
#[derive(Debug, Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    entry: &'a Entry,
    stored: Option<Stored>,
}

#[derive(Debug, Serialize)]
struct Stored {
    folder: String,
    directory: Option<String>,
    profile: Option<String>,
    /// Whose work it was, if not ours.
    imported_from: Option<String>,
    generation: Option<u64>,
    older: Vec<Older>,
    /// What the CA says about when to renew.
    window: Option<Window>,
    explanation: Option<String>,
    order_under_way: bool,
    #[serde(serialize_with = "stamp_or_null")]
    next_look: Option<SystemTime>,
}

#[derive(Debug, Serialize)]
struct Older {
    generation: u64,
    serial: Option<String>,
    #[serde(serialize_with = "stamp")]
    not_after: SystemTime,
}

#[derive(Debug, Serialize)]
struct Window {
    #[serde(serialize_with = "stamp")]
    start: SystemTime,
    #[serde(serialize_with = "stamp")]
    end: SystemTime,
}

pub(super) fn run(arguments: &ShowArguments) -> Exit {
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
    let entries = known.of(&arguments.host);
    if entries.is_empty() {
        say::err(&format!(
            "error[no-certificate]: nothing is known of `{}`\n  try:  onedoor certs list   names everything that is known\n",
            arguments.host
        ));
        return Exit::Failed;
    }
    let mut all = Vec::new();
    for entry in entries {
        let stored = match &entry.kept {
            Some(kept) => match super::block_on(stored(&scene, kept)) {
                Ok(stored) => Some(stored),
                Err(exit) => return exit,
            },
            None => None,
        };
        all.push(Shown { entry, stored });
    }
    if arguments.json {
        say::out(&json(&all));
    } else {
        let texts: Vec<String> = all.iter().map(|shown| text(shown, &scene)).collect();
        say::out(&texts.join("\n"));
    }
    Exit::Fine
}

async fn stored(scene: &Scene, kept: &Kept) -> Result<Stored, VaultError> {
    let bundle = kept.ready.as_ref().map(|ready| &ready.bundle);
    let generation = bundle.map(|bundle| bundle.generation);
    let mut generations = scene.vault.generations(&kept.id).await?;
    generations.retain(|ready| Some(ready.bundle.generation) != generation);
    let older = generations.iter().map(|ready| Older {
        generation: ready.bundle.generation,
        serial: Leaf::read(ready.leaf(), scene.now).map(|leaf| leaf.serial),
        not_after: ready.facts.not_after,
    });
    let advice = kept.state.advice.as_ref();
    let failures = kept.state.failures.as_ref();
    let look = kept
        .ready
        .as_ref()
        .map(|ready| keeper::next_look(ready, &kept.state, scene.now));
    let journal = scene.vault.journal(&kept.id).await;
    Ok(Stored {
        folder: scene.depot.of("certs", kept.id.as_str()),
        directory: bundle.map(|bundle| bundle.directory.clone()),
        profile: bundle.and_then(|bundle| bundle.profile.clone()),
        imported_from: bundle.and_then(|bundle| bundle.imported_from.clone()),
        generation,
        older: older.collect(),
        window: advice
            .and_then(|advice| advice.window)
            .map(|window| Window {
                start: window.start,
                end: window.end,
            }),
        explanation: advice.and_then(|advice| advice.explanation.clone()),
        // One that is damaged says nothing, and one that is only planned may never have been sent.
        order_under_way: journal
            .is_ok_and(|journal| journal.plan().is_some() && !journal.needs_order()),
        next_look: failures.map_or(look, |failures| Some(failures.due(scene.now))),
    })
}

fn text(shown: &Shown<'_>, scene: &Scene) -> String {
    let entry = shown.entry;
    let mut lines = vec![
        ("name", entry.name.clone()),
        ("state", entry.state.to_string()),
        ("source", entry.origin()),
    ];
    if let Some(leaf) = &entry.certificate {
        let ends = left(leaf.not_after, scene.now);
        lines.extend([
            ("names", leaf.names.join(", ")),
            ("issuer", leaf.issuer.clone()),
            ("serial", leaf.serial.clone()),
            ("valid from", minute(leaf.not_before)),
            (
                "valid until",
                format!("{} ({ends})", minute(leaf.not_after)),
            ),
            ("key", leaf.key.clone()),
        ]);
    }
    if let Some(due) = entry.due {
        lines.push(("renewed at", minute(due)));
    }
    if let (Source::LocalCa, Some(_root)) = (&entry.source, &entry.certificate) {
        let root = scene.depot.folder().join("local-ca/root.pem");
        lines.push(("root", root.display().to_string()));
    }
    if let Some(stored) = &shown.stored {
        tell_stored(stored, &mut lines);
    }
    lines.push(("ordered by", entry.ordered_by.clone().unwrap_or_default()));
    lines.extend(
        entry
            .faults
            .iter()
            .map(|fault| ("stepped over", fault.clone())),
    );
    let lines = lines.iter().filter(|(_label, value)| !value.is_empty());
    lines
        .map(|(label, value)| format!("{label:14}{value}\n"))
        .collect()
}

fn tell_stored(stored: &Stored, lines: &mut Vec<(&'static str, String)>) {
    let or_nothing = |text: &Option<String>| text.clone().unwrap_or_default();
    lines.extend([
        ("directory", or_nothing(&stored.directory)),
        ("profile", or_nothing(&stored.profile)),
        ("imported from", or_nothing(&stored.imported_from)),
    ]);
    if let Some(generation) = stored.generation {
        lines.push(("generation", generation.to_string()));
    }
    for older in &stored.older {
        let until = minute(older.not_after);
        lines.push((
            "older",
            format!("generation {}, until {until}", older.generation),
        ));
    }
    if let Some(Window { start, end }) = &stored.window {
        let window = format!("{} to {}", minute(*start), minute(*end));
        lines.push(("CA's window", window));
    }
    lines.push(("CA explains", or_nothing(&stored.explanation)));
    if stored.order_under_way {
        lines.push(("order", "under way".to_owned()));
    }
    if let Some(look) = stored.next_look {
        lines.push(("next look", minute(look)));
    }
    if Path::new(&stored.folder).is_dir() {
        lines.push(("stored in", stored.folder.clone()));
    }
}

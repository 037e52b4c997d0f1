//! `onedoor untrust`: takes away what `trust` laid down, and nothing else; by its memory, and by names and fingerprints where that is
//! lost.

use std::path::PathBuf;

use super::act::Ended;
use super::look::{self, Depth};
use super::memory::Memory;
use super::open::Scene;
use super::place::{Found, Laid, Seen};
use super::plan::Plan;
use super::root::Mark;
use super::store::{Anchors, Store};
use super::undo::{self, Wish};
use super::{Agreement, UntrustArguments, act, agree, places, remembered, tell_remembered, words};
use crate::cli::{Exit, certs, say};

pub(super) fn run(arguments: &UntrustArguments) -> Result<Exit, Exit> {
    let scene = Scene::open(arguments.config.as_deref())?;
    let mut memory = remembered(&scene)?;
    let mark = match &arguments.fingerprint {
        Some(mark) => Some(mark.clone()),
        // Whatever is wrong with it: what is remembered can be taken away.
        None => scene.root_found().map(|root| root.mark),
    };
    // Which stores are here does not depend on the root.
    let nobodys = Mark::of(&[]);
    let any = mark.as_ref().unwrap_or(&nobodys);
    let stores = look_around(&scene, any)?;
    let candidates = candidates(arguments, &memory, mark.as_ref(), &stores, &scene);
    let seen = look_at(&scene, &candidates, &memory)?;
    let wish = wish(&scene, &memory, &stores);
    let plan = undo::of(&seen, &wish);
    if plan.is_empty() {
        say::out(&words::announcement(&plan, ""));
        if !arguments.dry_run {
            forget(&mut memory, &seen, Ended::Well)?;
        }
        say::out("nothing that `onedoor trust` laid down is there\n");
        tell_others(mark.as_ref(), &stores);
        return Ok(Exit::Fine);
    }
    say::out(&words::announcement(&plan, ""));
    if arguments.dry_run {
        return Ok(Exit::Fine);
    }
    if !plan.steps.is_empty() {
        agree(Agreement::of(arguments.yes), "take it away?")?;
    }
    say::out("\n");
    let ended = act(&plan.steps, "");
    let seen = look_at(&scene, &candidates, &memory)?;
    forget(&mut memory, &seen, ended)?;
    let after = undo::of(&seen, &wish);
    if ended == Ended::Well {
        tell_others(mark.as_ref(), &look_around(&scene, any)?);
    }
    Ok(exit(ended, &plan, &after))
}

fn exit(ended: Ended, plan: &Plan, after: &Plan) -> Exit {
    for step in &after.steps {
        say::err(&format!("error[trust]: {} still has it\n", step.store));
    }
    if ended == Ended::Early || !after.steps.is_empty() {
        Exit::Failed
    } else if plan.for_root.is_empty() {
        Exit::Fine
    } else {
        Exit::Permission
    }
}

/// What is remembered, and wherever else a root of this mark would have been laid down.
fn candidates(
    arguments: &UntrustArguments,
    memory: &Memory,
    mark: Option<&Mark>,
    stores: &[Store],
    scene: &Scene,
) -> Vec<Laid> {
    let only = arguments.fingerprint.as_ref();
    let remembered = memory.laid.iter();
    let mut candidates: Vec<Laid> = remembered
        .filter(|one| only.is_none_or(|mark| mark.is(&one.root)))
        .cloned()
        .collect();
    let Some(mark) = mark else {
        return candidates;
    };
    for place in places::everywhere(stores, mark, scene.owner.home.as_deref()) {
        let laid = Laid::new(mark, place);
        if !candidates
            .iter()
            .any(|known| known.is_at_the_place_of(&laid))
        {
            candidates.push(laid);
        }
    }
    candidates
}

fn look_around(scene: &Scene, mark: &Mark) -> Result<Vec<Store>, Exit> {
    let file = scene.root_file();
    let stores = look::stores(&scene.owner, mark, &file, Depth::Quick);
    Ok(certs::runtime()?.block_on(Box::pin(stores)))
}

fn look_at(scene: &Scene, candidates: &[Laid], memory: &Memory) -> Result<Vec<Seen>, Exit> {
    let seen = look::at(&scene.owner.person, candidates.to_vec());
    let mut seen = certs::runtime()?.block_on(Box::pin(seen));
    for one in &mut seen {
        // Somebody else may have brought it in under a name of their own.
        if one.found == Found::TakenUp && !memory.laid.contains(&one.laid) {
            one.found = Found::Nothing;
        }
    }
    Ok(seen)
}

fn wish(scene: &Scene, memory: &Memory, stores: &[Store]) -> Wish {
    let mut wish = Wish {
        person: scene.owner.person.clone(),
        anchors: Anchors::Unknown,
        updater: None,
        keytool: PathBuf::from("keytool"),
        certificates: memory.certificates().to_owned(),
    };
    for store in stores {
        match store {
            Store::System {
                anchors, updater, ..
            } => {
                wish.anchors = *anchors;
                wish.updater.clone_from(updater);
            }
            Store::Java(java) => wish.keytool.clone_from(&java.keytool),
            Store::SystemKeychain { .. } | Store::Nss(_) | Store::Node { .. } => {}
        }
    }
    wish
}

/// What is gone, or is another's by now, is remembered no longer.
fn forget(memory: &mut Memory, seen: &[Seen], ended: Ended) -> Result<(), Exit> {
    let is_left = |one: &&Laid| {
        let seen = seen.iter().find(|seen| seen.laid == **one);
        seen.is_none_or(|seen| match seen.found {
            Found::Ours | Found::OursAlone | Found::Unknown(_) => true,
            Found::TakenUp => ended == Ended::Early,
            Found::Nothing | Found::Another => false,
        })
    };
    let left: Vec<Laid> = memory.laid.iter().filter(is_left).cloned().collect();
    if left == memory.laid && !left.is_empty() {
        return Ok(());
    }
    tell_remembered(memory.retain(left))
}

/// Who else trusts it is named, and left alone.
fn tell_others(mark: Option<&Mark>, stores: &[Store]) {
    if mark.is_some() {
        say::out(&words::others(stores));
    }
}

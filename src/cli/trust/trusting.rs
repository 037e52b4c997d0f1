//! `onedoor trust`: has the stores of this machine trust the local CA, once.

use super::act::Ended;
use super::bundle::{Bundle, Company};
use super::look::{self, Depth};
use super::memory::Memory;
use super::open::Scene;
use super::place::Laid;
use super::places::Keychain;
use super::plan::{Asked, Plan, Wish};
use super::root::Root;
use super::step::Person;
use super::store::Store;
use super::{Agreement, TrustArguments, act, agree, remembered, tell_remembered, words};
use crate::cli::{Exit, certs, say};
use crate::ports::permission::quoted;

pub(super) fn run(arguments: &TrustArguments) -> Result<Exit, Exit> {
    let scene = Scene::open(arguments.config.as_deref())?;
    if arguments.print {
        say::out(&scene.root_made()?.pem);
        return Ok(Exit::Fine);
    }
    if arguments.bundle {
        print_bundle(&scene.root_made()?);
        return Ok(Exit::Fine);
    }
    let root = if arguments.dry_run {
        scene.root()?
    } else {
        Some(scene.root_made()?)
    };
    match root {
        Some(root) => trust(arguments, &scene, &root),
        None => {
            let name = scene.name();
            say::out(&format!(
                "there is no local CA in {name} yet: `onedoor trust` would make one, and have this machine trust it\n"
            ));
            Ok(Exit::Fine)
        }
    }
}

fn print_bundle(root: &Root) {
    let bundle = Bundle::with(&root.der);
    if bundle.company == Company::None {
        say::err(
            "note: this system has no root certificates: the bundle holds the local CA's alone\n",
        );
    }
    say::out(&bundle.text);
}

fn trust(arguments: &TrustArguments, scene: &Scene, root: &Root) -> Result<Exit, Exit> {
    let mut memory = remembered(scene)?;
    let wish = wish(arguments, scene, root, &memory);
    let stores = look_around(scene, &wish)?;
    let plan = Plan::of(&stores, &wish);
    say::out(&words::introduction(root, scene.name()));
    say::out(&words::announcement(&plan, "these trust it already"));
    tell_former(scene, &memory, root)?;
    if plan.is_empty() {
        say::out("\nnothing is left to be done\n");
        return Ok(Exit::Fine);
    }
    if arguments.dry_run {
        return Ok(Exit::Fine);
    }
    if !plan.steps.is_empty() {
        agree(Agreement::of(arguments.yes), "have them trust it?")?;
    }
    // Before it is done: a step that is cut short is undone as well.
    let laid: Vec<Laid> = plan.laid().cloned().collect();
    tell_remembered(memory.add(root, &laid))?;
    say::out("\n");
    let ended = act(&plan.steps, &root.pem);
    let stores = look_around(scene, &wish)?;
    let file = quoted(&scene.root_file());
    say::out(&format!("\n{}", words::result(&stores, &file)));
    let trusted = stores.iter().any(|store| store.is_system_with_it());
    let verified = certs::runtime()?.block_on(look::verified(&wish.certificate));
    if trusted && verified == Some(false) {
        say::err("note: OpenSSL here reads other roots than the system's, and does not trust it\n");
    }
    Ok(exit(ended, &plan, &Plan::of(&stores, &wish)))
}

/// By what the stores say now, whatever the commands said.
fn exit(ended: Ended, plan: &Plan, after: &Plan) -> Exit {
    for step in &after.steps {
        say::err(&format!("error[trust]: {} does not trust it\n", step.store));
    }
    if ended == Ended::Early || !after.steps.is_empty() {
        say::err("  try:  onedoor untrust   takes away what was done of it\n");
        Exit::Failed
    } else if plan.for_root.is_empty() {
        Exit::Fine
    } else {
        Exit::Permission
    }
}

fn wish(arguments: &TrustArguments, scene: &Scene, root: &Root, memory: &Memory) -> Wish {
    let is_root = match scene.owner.person {
        Person::User { .. } => false,
        Person::Root | Person::RootFor { .. } => true,
    };
    Wish {
        person: scene.owner.person.clone(),
        home: scene.owner.home.clone(),
        mark: root.mark.clone(),
        certificate: memory.certificate(&root.mark),
        keychain: if arguments.system || is_root {
            Keychain::System
        } else {
            Keychain::Login
        },
        java: if arguments.java {
            Asked::For
        } else {
            Asked::Not
        },
    }
}

fn look_around(scene: &Scene, wish: &Wish) -> Result<Vec<Store>, Exit> {
    let depth = match wish.java {
        Asked::For => Depth::Whole,
        Asked::Not => Depth::Quick,
    };
    let file = scene.root_file();
    let stores = look::stores(&scene.owner, &wish.mark, &file, depth);
    Ok(certs::runtime()?.block_on(Box::pin(stores)))
}

/// Roots that were laid down before the local CA was replaced.
fn tell_former(scene: &Scene, memory: &Memory, root: &Root) -> Result<(), Exit> {
    let former = memory.laid.iter().filter(|one| !root.mark.is(&one.root));
    let seen = look::at(&scene.owner.person, former.cloned().collect());
    let seen = certs::runtime()?.block_on(Box::pin(seen));
    say::out(&words::former(&seen));
    Ok(())
}

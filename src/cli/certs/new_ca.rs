//! `onedoor certs new-ca`: a new local CA in place of the one that is there, and what follows from that.

use std::io::IsTerminal as _;

use super::NewCaArguments;
use super::known::Scene;
use crate::app::local_ca::wish;
use crate::certs::local_ca::making::{RootKey, Wish};
use crate::certs::local_ca::replacing::Replaced;
use crate::certs::local_ca::scope::Scope;
use crate::cli::{Exit, say};
use crate::ports::permission::quoted;

pub(super) fn run(arguments: &NewCaArguments) -> Exit {
    let Ok(scene) = Scene::open(arguments.config.as_deref()) else {
        return Exit::Configuration;
    };
    let wish = match &scene.loaded {
        Some(loaded) => wish(&loaded.config),
        None => Wish {
            scope: Scope::of(&[]),
            root_key: RootKey::default(),
        },
    };
    let safe = scene.safe();
    let there = match super::block_on(safe.root_pem()) {
        Ok(root) => root.is_some(),
        // It is broken, which is what this verb is for; a store that cannot be used says so below.
        Err(_told) => true,
    };
    say::out(&plan(&wish, there, &safe.root_path().display().to_string()));
    if arguments.dry_run {
        return Exit::Fine;
    }
    if there && !arguments.yes && !is_confirmed() {
        say::err("nothing was changed: `--yes` makes it without asking\n");
        return Exit::Failed;
    }
    if let Err(exit) = scene.check_owner() {
        return exit;
    }
    match super::block_on(safe.replace(&wish, scene.now)) {
        Ok(replaced) => {
            say::out(&told(&replaced, arguments));
            Exit::Fine
        }
        Err(exit) => exit,
    }
}

fn plan(wish: &Wish, there: bool, root: &str) -> String {
    let mut text = if there {
        format!("a new local CA takes the place of the one at {root}, which is kept aside\n")
    } else {
        format!("there is no local CA yet: one is made, its root at {root}\n")
    };
    text.push_str(&format!(
        "it is for {}, and loopback and private addresses; clients refuse all else that it signs\n",
        wish.scope
    ));
    if wish.root_key == RootKey::Keep {
        text.push_str("the key of its root is kept, as `tls.keep_root_key` says\n");
    }
    if there {
        text.push_str("no client trusts the new root until it is told to\n");
    }
    text
}

fn told(replaced: &Replaced, arguments: &NewCaArguments) -> String {
    let Replaced { ca, aside } = replaced;
    let config = arguments
        .config
        .as_ref()
        .map_or_else(String::new, |path| format!(" -c {}", quoted(path)));
    let mut text = format!("made: {}\n", ca.root().path.display());
    if let Some(aside) = aside {
        text.push_str(&format!("the old one: {aside}\n"));
    }
    text.push_str(&format!(
        "next:\n  onedoor reload            each running onedoor serves the new one then, or within half a minute\n  onedoor trust{config}             on every machine whose clients shall accept it\n"
    ));
    text
}

/// Asks the person at the terminal, if there is one.
fn is_confirmed() -> bool {
    if !std::io::stdin().is_terminal() {
        return false;
    }
    say::err("make it? [y/N] ");
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer);
    read.is_ok() && ["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str())
}

//! Looking for our root in the stores of this machine, and at who looks.

mod java;
mod keychain;
mod nss;
mod person;
mod system;

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use rustix::fs::{Access, access};
use tokio::process::Command;
use tokio::time::timeout;

use super::place::{Found, Laid, Place, Seen};
use super::places::is_of_system;
use super::root::Mark;
use super::step::Person;
use super::store::{Holds, Owner, Store};
use crate::certs::pem::Contents;
use crate::cli::place::program;
use crate::system::System;
pub(in crate::cli) use person::Owning;
pub(super) use system::verified;

/// How long a tool of a store may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whether stores are opened that take a second each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Depth {
    Quick,
    Whole,
}

/// Of the one certificate in a file.
pub(in crate::cli) fn mark(file: &Path) -> Option<Mark> {
    match Contents::read(file).ok()?.certificates.as_slice() {
        [only] => Some(Mark::of(only)),
        [] | [_, ..] => None,
    }
}

/// Every store that is known here. `root` is our root's file.
pub(in crate::cli) async fn stores(
    owner: &Owning,
    mark: &Mark,
    root: &Path,
    depth: Depth,
) -> Vec<Store> {
    let mut stores = vec![system::look(mark, root).await];
    if let (System::Darwin, Some(sha1)) = (System::HERE, &mark.sha1) {
        let holds = keychain::held_by_system(sha1).await;
        stores.push(Store::SystemKeychain { holds });
    }
    if let Some(home) = &owner.home {
        let found = nss::look(home, &owner.person, mark, root).await;
        stores.extend(found.into_iter().map(Store::Nss));
    }
    if program("node").is_some() {
        let holds = by_node(mark);
        stores.push(Store::Node { holds });
    }
    if let Some(java) = java::look(mark, depth).await {
        stores.push(Store::Java(java));
    }
    stores
}

/// What is at these places now.
pub(super) async fn at(person: &Person, laid: Vec<Laid>) -> Vec<Seen> {
    let mut seen = Vec::new();
    for one in laid {
        let mark = Mark::from_sha256(&one.root);
        let (found, owner) = match &one.place {
            Place::Anchor { file } => (anchored(file, &mark), Owner::Root),
            Place::Keychain { keychain, sha1 } => {
                let owner = if is_of_system(keychain) {
                    Owner::Root
                } else {
                    Owner::Us
                };
                (keychain::find(keychain, sha1).await, owner)
            }
            Place::Nss {
                folder, nickname, ..
            } => (nss::find(folder, person, nickname, &mark).await, Owner::Us),
            Place::Java { keystore, alias } => {
                let found = java::find(keystore, alias, &mark).await;
                (found, owner(keystore))
            }
        };
        seen.push(Seen {
            laid: one,
            found,
            owner,
        });
    }
    seen
}

fn anchored(file: &Path, mark: &Mark) -> Found {
    let found = in_file(file, mark);
    if found == Found::Nothing && system::has_taken_up(mark) {
        return Found::TakenUp;
    }
    found
}

fn in_file(file: &Path, mark: &Mark) -> Found {
    match Contents::read(file) {
        Ok(contents) => match contents.certificates.as_slice() {
            [only] if mark.is_of(only) => Found::Ours,
            [] | [_, ..] => Found::Another,
        },
        Err(crate::certs::pem::Error::Missing(_)) => Found::Nothing,
        Err(error) => Found::Unknown(error.to_string()),
    }
}

fn owner(file: &Path) -> Owner {
    match access(file, Access::WRITE_OK) {
        Ok(()) => Owner::Us,
        Err(_refused) => Owner::Root,
    }
}

fn by_node(mark: &Mark) -> Holds {
    let extra = std::env::var_os("NODE_EXTRA_CA_CERTS").map(PathBuf::from);
    let contents = extra.and_then(|file| Contents::read(&file).ok());
    let named = |contents: Contents| contents.certificates.iter().any(|one| mark.is_of(one));
    if contents.is_some_and(named) {
        Holds::Ours
    } else {
        Holds::Nothing
    }
}

/// Whether it succeeded, and what it said; none if it cannot be run or takes too long.
async fn said(command: &mut Command) -> Option<(bool, Vec<u8>)> {
    let output = ended(command).await?;
    Some((output.status.success(), output.stdout))
}

async fn ended(command: &mut Command) -> Option<Output> {
    command.stdin(Stdio::null()).kill_on_drop(true);
    timeout(PATIENCE, command.output()).await.ok()?.ok()
}

//! `onedoor certs export`: what the storage has, laid out as other tools keep it, for a trial of them or for leaving.

mod write;

use std::collections::BTreeSet;
use std::path::Path;

use clap::ValueEnum;

use super::known::Scene;
use super::{ExportArguments, block_on};
use crate::app::banner::counted;
use crate::certs::acme::adopted;
use crate::certs::bundle::Bundle;
use crate::certs::export::{self, Account, Content, Entry, Holdings, Outlay};
use crate::certs::vault::{CertId, VaultError};
use crate::cli::{Exit, say};
use crate::hostname::HostPattern;
use write::Existing;

/// How files are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Layout {
    /// For `certbot --config-dir DIR`, with the accounts
    Certbot,
    /// For Caddy's storage, with the accounts
    Caddy,
    /// A folder a certificate, with `fullchain.pem` and `privkey.pem`
    Pem,
}

/// What of the storage is laid out.
#[derive(Debug, Default)]
struct Kept {
    ids: Vec<CertId>,
    /// Of each id.
    bundles: Vec<Bundle>,
    accounts: Vec<Account>,
    /// What should be among them and cannot be read.
    faults: Vec<String>,
}

pub(super) fn run(arguments: &ExportArguments) -> Exit {
    let Ok(scene) = Scene::open(arguments.config.as_deref()) else {
        return Exit::Configuration;
    };
    let kept = match block_on(kept(&scene, &arguments.names)) {
        Ok(kept) => kept,
        Err(exit) => return exit,
    };
    let missing = arguments
        .names
        .iter()
        .filter(|name| !kept.ids.contains(&CertId::of(name)));
    let missing: Vec<String> = missing.map(|name| format!("`{name}`")).collect();
    if !missing.is_empty() || kept.ids.is_empty() {
        nothing(&missing, &kept.faults);
        return Exit::Failed;
    }
    let folder = std::path::absolute(&arguments.to).unwrap_or_else(|_gone| arguments.to.clone());
    let outlay = laid_out(arguments.layout, &kept, &folder, &scene);
    let existing = if arguments.force {
        Existing::Replace
    } else {
        Existing::Refuse
    };
    let notes = || {
        for note in kept.faults.iter().chain(&outlay.remarks) {
            say::err(&format!("  note: {note}\n"));
        }
    };
    if outlay.entries.is_empty() {
        say::err("error[export]: there is nothing that can be laid out so\n");
        notes();
        return Exit::Failed;
    }
    match write::write(&folder, &outlay.entries, existing) {
        Ok(()) => {
            tell(&folder, &kept, &outlay);
            notes();
            say::err(
                "  note: let one of the two renew them from now on: onedoor does as long as its sites want them\n",
            );
            Exit::Fine
        }
        Err(error) => {
            say::error("export", &error);
            Exit::Failed
        }
    }
}

fn laid_out(layout: Layout, kept: &Kept, folder: &Path, scene: &Scene) -> Outlay {
    let layout = match layout {
        Layout::Certbot => export::Layout::Certbot,
        Layout::Caddy => export::Layout::Caddy,
        Layout::Pem => export::Layout::Pem,
    };
    export::lay_out(
        layout,
        &Holdings {
            bundles: &kept.bundles,
            accounts: &kept.accounts,
            root: &folder.display().to_string(),
            now: scene.now,
        },
    )
}

/// What can be served of these names, or of all.
async fn kept(scene: &Scene, names: &[HostPattern]) -> Result<Kept, VaultError> {
    let wanted: Vec<CertId> = names.iter().map(CertId::of).collect();
    let mut kept = Kept::default();
    for id in scene.vault.ids().await? {
        if !wanted.is_empty() && !wanted.contains(&id) {
            continue;
        }
        let found = scene.vault.bundle(&id).await?;
        kept.faults.extend(found.faults);
        if let Some(ready) = found.ready {
            kept.bundles.push((*ready.bundle).clone());
            kept.ids.push(id);
        }
    }
    let store = scene.vault.store();
    for key in store.list("acme/").await? {
        if key.as_str().ends_with("/account")
            && let Some(object) = store.get(&key).await?
        {
            match account(&object.bytes) {
                Some(account) => kept.accounts.push(account),
                None => kept.faults.push(format!(
                    "{key} is left out: it is damaged, or being taken over from another tool"
                )),
            }
        }
    }
    Ok(kept)
}

fn account(bytes: &[u8]) -> Option<Account> {
    let own = adopted::own(bytes)?;
    Some(Account {
        directory: own.directory,
        url: own.url,
        email: own.email,
        key: own.key,
    })
}

fn nothing(missing: &[String], faults: &[String]) {
    if missing.is_empty() {
        say::err("error[no-certificate]: the storage has no certificate to be exported\n");
    } else {
        say::err(&format!(
            "error[no-certificate]: the storage has no certificate of {}\n",
            missing.join(", ")
        ));
    }
    for fault in faults {
        say::err(&format!("  note: {fault}\n"));
    }
    say::err("  try:  onedoor certs list   says where every certificate comes from\n");
}

fn tell(folder: &Path, kept: &Kept, outlay: &Outlay) {
    let laid: BTreeSet<&[u8]> = outlay.entries.iter().filter_map(bytes).collect();
    let both = kept.ids.iter().zip(&kept.bundles);
    let names: Vec<String> = both
        .filter(|(_id, bundle)| laid.contains(bundle.chain.as_bytes()))
        .filter_map(|(id, _bundle)| Some(id.name()?.to_string()))
        .collect();
    say::out(&format!(
        "written to {}: certificates and keys for {}: {}\n",
        folder.display(),
        counted(names.len(), "name"),
        names.join(", ")
    ));
}

fn bytes(entry: &Entry) -> Option<&[u8]> {
    match &entry.content {
        Content::File { bytes, .. } => Some(bytes),
        Content::Link(_) => None,
    }
}

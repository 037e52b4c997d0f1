//! `onedoor certs export`: what the storage has, laid out as other tools keep it, for a trial of them or for leaving.

mod pem;
mod write;

use std::path::Path;

use clap::ValueEnum;

use super::known::Scene;
use super::{ExportArguments, block_on};
use crate::app::banner::counted;
use crate::certs::bundle::Ready;
use crate::certs::vault::{CertId, VaultError};
use crate::cli::{Exit, say};
use crate::hostname::HostPattern;
use write::Existing;

/// How files are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Layout {
    /// A folder a name, with `fullchain.pem`, `cert.pem`, `chain.pem` and `privkey.pem`
    Pem,
}

/// One file or link to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    /// Within the folder, with `/` between its parts.
    pub(super) path: String,
    pub(super) body: Body,
}

#[derive(Clone, PartialEq, Eq)]
pub(super) enum Body {
    /// It may be a key: its `Debug` is blind.
    File(Vec<u8>),
    /// A symbolic link to there, from the folder that it lies in.
    Link(String),
}

/// A certificate to be laid out.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) id: CertId,
    pub(super) ready: Ready,
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
        .filter(|name| !kept.iter().any(|it| it.id == CertId::of(name)));
    let missing: Vec<String> = missing.map(|name| format!("`{name}`")).collect();
    if !missing.is_empty() || kept.is_empty() {
        nothing(&missing);
        return Exit::Failed;
    }
    let pieces = match arguments.layout {
        Layout::Pem => pem::pieces(&kept),
    };
    let existing = if arguments.force {
        Existing::Replace
    } else {
        Existing::Refuse
    };
    match write::write(&arguments.to, &pieces, existing) {
        Ok(()) => {
            tell(&arguments.to, &kept);
            Exit::Fine
        }
        Err(error) => {
            say::error("export", &error);
            Exit::Failed
        }
    }
}

/// What can be served of these names, or of all.
async fn kept(scene: &Scene, names: &[HostPattern]) -> Result<Vec<Kept>, VaultError> {
    let wanted: Vec<CertId> = names.iter().map(CertId::of).collect();
    let mut kept = Vec::new();
    for id in scene.vault.ids().await? {
        if !wanted.is_empty() && !wanted.contains(&id) {
            continue;
        }
        let ready = scene.vault.bundle(&id).await?.ready;
        kept.extend(ready.map(|ready| Kept { id, ready }));
    }
    Ok(kept)
}

fn nothing(missing: &[String]) {
    if missing.is_empty() {
        say::err("error[no-certificate]: the storage has no certificate to be exported\n");
    } else {
        say::err(&format!(
            "error[no-certificate]: the storage has no certificate of {}\n",
            missing.join(", ")
        ));
    }
    say::err("  try:  onedoor certs list   says where every certificate comes from\n");
}

fn tell(folder: &Path, kept: &[Kept]) {
    let names: Vec<String> = kept
        .iter()
        .map(|it| {
            it.id
                .name()
                .map_or_else(String::new, |name| name.to_string())
        })
        .collect();
    say::out(&format!(
        "{} with its key in {}: {}\n",
        counted(kept.len(), "certificate"),
        folder.display(),
        names.join(", ")
    ));
    say::err(
        "  note: whoever renews them from now on, let it be one of the two: onedoor renews them as long as its sites want them\n",
    );
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(bytes) => write!(f, "File({} octets)", bytes.len()),
            Self::Link(to) => f.debug_tuple("Link").field(to).finish(),
        }
    }
}

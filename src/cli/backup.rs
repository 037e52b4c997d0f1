//! `onedoor backup`: everything of the storage that must not be lost, in one file.

use std::path::{Path, PathBuf};

use super::certs::block_on;
use super::certs::known::Scene;
use super::passphrase::PassphraseArguments;
use super::{Exit, say};
use crate::app::banner::counted;
use crate::certs::backup::gather::{Gathered, gather};
use crate::certs::backup::seal::{Cost, Sealing};
use crate::certs::backup::{Contents, Stores, pack};
use crate::clock::Clock;
use crate::storage::files::{self, Creation, Storage};

const HELP: &str = "\
The file holds certificates with their keys, the accounts at CAs, what every CA was asked, what was told, saved leases, \
and the local CA. It may be made while onedoor runs: of every name the certificate in service is in it, and nothing is in \
it that its ledgers do not know. Without a passphrase whoever gets the file has the keys.";

#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(super) struct BackupArguments {
    /// The configuration, for its storage [default: proxy.toml, then /etc/onedoor/proxy.toml]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    passphrase: PassphraseArguments,
    /// Replace the file if there is one
    #[arg(long)]
    force: bool,
    /// The file to write
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

pub(super) fn run(arguments: &BackupArguments) -> Exit {
    match back_up(arguments) {
        Ok(exit) | Err(exit) => exit,
    }
}

fn back_up(arguments: &BackupArguments) -> Result<Exit, Exit> {
    let passphrase = arguments.passphrase.read()?;
    let scene = Scene::open(arguments.config.as_deref()).map_err(|_told| Exit::Configuration)?;
    let place = Place::of(&arguments.file, arguments.force)?;
    let own = scene.depot.own(&Clock::system());
    let stores = Stores {
        shared: scene.vault.store(),
        own: &own,
    };
    let Gathered { contents, faults } = block_on(gather(stores, scene.now))?;
    for fault in &faults {
        say::err(&format!("error[damaged]: {fault}\n"));
    }
    let storage = &scene.depot;
    if contents.objects.is_empty() {
        say::err(&format!(
            "error[empty]: {storage} holds nothing that a backup could hold: name the configuration of the storage that is meant with -c\n"
        ));
        return Err(Exit::Failed);
    }
    let sealing = passphrase.map(|passphrase| Sealing {
        passphrase,
        salt: uuid::Uuid::new_v4().into_bytes(),
        cost: Cost::USUAL,
    });
    let packed = pack(&contents, sealing.as_ref()).map_err(|error| {
        say::error("backup", &error);
        Exit::Failed
    })?;
    place.write(&packed)?;
    let path = arguments.file.display();
    let (what, octets) = (listed(&contents), packed.len());
    say::out(&format!(
        "backed up {what} of {storage} to {path} ({octets} octets)\n"
    ));
    if sealing.is_none() {
        say::err(&format!(
            "warning: {path} holds private keys that whoever reads it can use: keep it as safe as the storage itself, or make it with `--passphrase-file`\n"
        ));
    }
    if !faults.is_empty() {
        say::err(
            "the backup is not whole: what is named above could not be read, all else is in it\n",
        );
        return Ok(Exit::Failed);
    }
    Ok(Exit::Fine)
}

/// `3 certificates, 1 account, 1 ledger, the local CA`
pub(super) fn listed(contents: &Contents) -> String {
    let counts = contents.counts();
    let several = [
        (counts.names, "certificate"),
        (counts.accounts, "account"),
        (counts.ledgers, "ledger"),
    ];
    let mut listed: Vec<String> = several
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| counted(count, what))
        .collect();
    if counts.local_cas > 0 {
        listed.push("the local CA".to_owned());
    }
    if counts.others > 0 {
        listed.push(counted(counts.others, "other object"));
    }
    if listed.is_empty() {
        listed.push("what is known of certificates".to_owned());
    }
    listed.join(", ")
}

/// Where the backup goes.
struct Place<'a> {
    path: &'a Path,
    folder: Storage,
    name: &'a str,
    may_replace: bool,
}

impl<'a> Place<'a> {
    /// Told at once, before anything is read: another file is there, or the folder is not.
    fn of(path: &'a Path, may_replace: bool) -> Result<Self, Exit> {
        let shown = path.display();
        let refused = |why: &str| {
            say::err(&format!("error[file]: {shown} {why}\n"));
            Err(Exit::Failed)
        };
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            return refused("is no name of a file");
        };
        let folder = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            Some(_) | None => Path::new("."),
        };
        if !folder.is_dir() {
            return refused("lies in a folder that is not there: make the folder first");
        }
        match path.symlink_metadata() {
            Ok(found) if !found.is_file() => {
                return refused("is there, and it is no file: name another");
            }
            Ok(_) if !may_replace => {
                return refused("is there already: name another, or replace it with `--force`");
            }
            Ok(_) | Err(_) => {}
        }
        Ok(Self {
            path,
            folder: Storage::at(folder.to_owned()),
            name,
            may_replace,
        })
    }

    /// Whole or not at all, readable by its owner alone.
    fn write(&self, bytes: &[u8]) -> Result<(), Exit> {
        let written = if self.may_replace {
            let written = self.folder.write(self.name, bytes);
            written.map(|()| Creation::Created)
        } else {
            self.folder.write_once(self.name, bytes)
        };
        match written {
            Ok(Creation::Created) => Ok(()),
            Ok(Creation::AlreadyThere) => {
                let path = self.path.display();
                say::err(&format!(
                    "error[file]: somebody else has made {path} meanwhile: name another\n"
                ));
                Err(Exit::Failed)
            }
            Err(error) => Err(unwritten(&error, self.path)),
        }
    }
}

/// The words of the storage's own errors name the storage, which this is not.
fn unwritten(error: &files::Error, path: &Path) -> Exit {
    let path = path.display();
    let why = match error {
        files::Error::ReadOnly(_) => "its file system is read-only".to_owned(),
        files::Error::Denied(_) => "this user may not".to_owned(),
        files::Error::Full(_) => "no space is left there".to_owned(),
        files::Error::Failed { source, .. } => source.to_string(),
        files::Error::NotAFolder(_) | files::Error::NotAFile(_) | files::Error::TooLarge(_) => {
            error.to_string()
        }
    };
    say::err(&format!(
        "error[file]: {path} cannot be written: {why}; nothing was changed\n"
    ));
    Exit::Failed
}

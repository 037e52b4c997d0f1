//! `onedoor restore`: what the storage misses of a backup is put back. What is newer there stays.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::backup::listed;
use super::certs::known::Scene;
use super::certs::{block_on, json};
use super::passphrase::PassphraseArguments;
use super::table::table;
use super::{Exit, say};
use crate::app::banner::counted;
use crate::certs::backup::judge::{Decision, Deed};
use crate::certs::backup::restore::{Outcome, TRIES_MAX, carry_out, look};
use crate::certs::backup::{BACKUP_BYTES_MAX, Contents, Stores, unpack};
use crate::certs::utc::minute;
use crate::clock::Clock;
use crate::storage::store::{Key, StoreError};

const HELP: &str = "\
Nothing is destroyed: a certificate is put back only where the storage has none or an older one, an account and a local CA \
only where there is none, and what was asked of a CA is added to what the storage knows. An order under way is gone on with \
only while its certificate may still be fetched. All of it is judged before anything is written, and a second restoring \
changes nothing. onedoor may run meanwhile.";

#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(super) struct RestoreArguments {
    /// The configuration, for its storage [default: proxy.toml, then /etc/onedoor/proxy.toml]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    passphrase: PassphraseArguments,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Print an array for programs
    #[arg(long)]
    json: bool,
    /// The file that `onedoor backup` wrote
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// What became of one object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Told {
    object: String,
    what: &'static str,
    why: String,
}

/// Everything that is told at the end.
#[derive(Debug, Default)]
struct Tale {
    objects: BTreeMap<Key, Told>,
    order: Vec<Key>,
    busy: BTreeSet<String>,
    unsettled: Option<Key>,
}

pub(super) fn run(arguments: &RestoreArguments) -> Exit {
    match restore(arguments) {
        Ok(exit) | Err(exit) => exit,
    }
}

fn restore(arguments: &RestoreArguments) -> Result<Exit, Exit> {
    let passphrase = arguments.passphrase.read()?;
    let contents = unpack(&file(&arguments.file)?, passphrase.as_ref()).map_err(|unreadable| {
        let path = arguments.file.display();
        say::err(&format!(
            "error[backup]: {path} is not restored: {unreadable}\n"
        ));
        Exit::Failed
    })?;
    let scene = Scene::open(arguments.config.as_deref()).map_err(|_told| Exit::Configuration)?;
    scene.check_owner()?;
    if !arguments.json {
        let (what, at) = (listed(&contents), minute(contents.made_at.into()));
        let storage = &scene.depot;
        say::out(&format!("of {at}: {what}; into {storage}\n"));
    }
    let own = scene.depot.own(&Clock::system());
    let stores = Stores {
        shared: scene.vault.store(),
        own: &own,
    };
    let tale = if arguments.dry_run {
        block_on(judged(stores, &contents))?
    } else {
        block_on(done(stores, &contents))?
    };
    tell(&tale, arguments);
    for id in &tale.busy {
        say::err(&format!(
            "error[busy]: nothing was restored of `{id}`: a certificate is just being ordered for it; run this again in a minute\n"
        ));
    }
    if let Some(key) = &tale.unsettled {
        say::err(&format!(
            "error[busy]: `{key}` was changed again and again meanwhile; what was done until then is good: run this again\n"
        ));
    }
    if tale.busy.is_empty() && tale.unsettled.is_none() {
        return Ok(Exit::Fine);
    }
    Ok(Exit::Failed)
}

fn file(path: &Path) -> Result<Vec<u8>, Exit> {
    let refused = |why: String| {
        let path = path.display();
        say::err(&format!("error[file]: {path} {why}\n"));
        Exit::Failed
    };
    let mut bytes = Vec::new();
    let most = BACKUP_BYTES_MAX as u64 + 1;
    let read = File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes));
    read.map_err(|error| refused(format!("cannot be read: {error}")))?;
    if bytes.len() > BACKUP_BYTES_MAX {
        return Err(refused(format!(
            "has more than {BACKUP_BYTES_MAX} octets, so it is no backup of onedoor"
        )));
    }
    Ok(bytes)
}

async fn judged(stores: Stores<'_>, contents: &Contents) -> Result<Tale, StoreError> {
    let judged = look(stores, contents, Clock::system().now()).await?;
    let mut tale = Tale::default();
    tale.add(&judged.decisions);
    Ok(tale)
}

async fn done(stores: Stores<'_>, contents: &Contents) -> Result<Tale, StoreError> {
    let clock = Clock::system();
    let mut tale = Tale::default();
    for _try in 0..TRIES_MAX {
        let judged = look(stores, contents, clock.now()).await?;
        tale.add(&judged.decisions);
        match carry_out(stores, &judged).await? {
            Outcome::Done => {
                tale.unsettled = None;
                return Ok(tale);
            }
            Outcome::Busy(busy) => {
                tale.unsettled = None;
                tale.busy = busy;
                return Ok(tale);
            }
            Outcome::Changed(key) => tale.unsettled = Some(key),
        }
    }
    Ok(tale)
}

impl Tale {
    /// What was decided at first stays told, unless it was changed meanwhile.
    fn add(&mut self, decisions: &[Decision]) {
        for decision in decisions {
            let told = Told {
                object: decision.key.to_string(),
                what: word(&decision.deed),
                why: decision.why.clone(),
            };
            match self.objects.get_mut(&decision.key) {
                Some(_known) if matches!(decision.deed, Deed::Same) => {}
                Some(known) => *known = told,
                None => {
                    self.order.push(decision.key.clone());
                    self.objects.insert(decision.key.clone(), told);
                }
            }
        }
    }

    fn rows(&self) -> impl Iterator<Item = &Told> {
        self.order.iter().filter_map(|key| self.objects.get(key))
    }
}

fn word(deed: &Deed) -> &'static str {
    match deed {
        Deed::Write(_) => "restore",
        Deed::Join(_) => "merge",
        Deed::Same => "same",
        Deed::Keep => "keep",
        Deed::Drop => "leave out",
    }
}

fn tell(tale: &Tale, arguments: &RestoreArguments) {
    if arguments.json {
        let told: Vec<&Told> = tale.rows().collect();
        say::out(&json(&told));
        return;
    }
    let is_same = |told: &&Told| told.what == word(&Deed::Same);
    let same = tale.rows().filter(is_same).count();
    let mut rows = vec![["WHAT", "OBJECT", "WHY"].map(str::to_owned)];
    let shown = tale
        .rows()
        .filter(|told| arguments.dry_run || !is_same(told));
    rows.extend(shown.map(|told| [told.what.to_owned(), told.object.clone(), told.why.clone()]));
    if rows.len() > 1 {
        say::out(&table(&rows));
    }
    if arguments.dry_run {
        say::out("nothing was written: this is what would be done\n");
    } else if same > 0 {
        let counted = counted(same, "object");
        say::out(&format!("the storage had {counted} already, unchanged\n"));
    }
}

//! `onedoor trust` and `untrust`: the local CA's root in the stores that clients on this machine read, and out of them again. What is
//! known of the machine is looked up, what is to be done is decided purely, printed exactly, and then done once.

mod act;
pub(super) mod bundle;
mod drawer;
mod listing;
pub(super) mod look;
mod memory;
mod open;
mod place;
mod places;
mod plan;
pub(super) mod root;
mod step;
pub(super) mod store;
mod trusting;
mod undo;
mod untrusting;
mod way;
mod words;

use std::path::PathBuf;

use super::{Exit, say};
use act::Ended;
use memory::{Damage, Memory};
use open::Scene;
use root::Mark;
use step::Step;

#[derive(Debug, clap::Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the command line"
)]
pub(super) struct TrustArguments {
    /// The configuration [default: proxy.toml, then /etc/onedoor/proxy.toml]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print the root certificate, and change nothing: for containers and CI
    #[arg(long, conflicts_with_all = ["bundle", "dry_run", "yes", "system", "java"])]
    print: bool,
    /// Print the system's roots and this one, for SSL_CERT_FILE, and change nothing
    #[arg(long, conflicts_with_all = ["dry_run", "yes", "system", "java"])]
    bundle: bool,
    /// Say what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// On macOS, the keychain of the system [default: the login keychain, unless root]
    #[arg(long)]
    system: bool,
    /// The roots of Java too
    #[arg(long)]
    java: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct UntrustArguments {
    /// The configuration [default: proxy.toml, then /etc/onedoor/proxy.toml]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Only the root of this SHA-256 [default: every root that `trust` laid down]
    #[arg(long, value_name = "HEX", value_parser = Mark::parse)]
    fingerprint: Option<Mark>,
    /// Say what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

pub(super) fn run(arguments: &TrustArguments) -> Exit {
    trusting::run(arguments).unwrap_or_else(|exit| exit)
}

pub(super) fn run_untrust(arguments: &UntrustArguments) -> Exit {
    untrusting::run(arguments).unwrap_or_else(|exit| exit)
}

/// A broken memory is told, and what it would know is found by names and fingerprints.
fn remembered(scene: &Scene) -> Result<Memory, Exit> {
    Memory::open(scene.storage()).or_else(|damage| {
        say::error("trust", &damage);
        match damage {
            // Nothing could be remembered.
            Damage::Storage(way::Error::Link(_)) => Err(Exit::Failed),
            Damage::Storage(way::Error::Failed(..)) | Damage::Broken(..) | Damage::Newer(_) => {
                Ok(Memory::empty(scene.storage()))
            }
        }
    })
}

fn tell_remembered(done: Result<Option<PathBuf>, way::Error>) -> Result<(), Exit> {
    match done {
        Ok(None) => Ok(()),
        Ok(Some(aside)) => {
            let aside = aside.display();
            say::err(&format!(
                "note: the list that could not be read is kept as {aside}\n"
            ));
            Ok(())
        }
        Err(error) => {
            say::error("storage", &error);
            Err(Exit::Failed)
        }
    }
}

/// Whether the command line agreed already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Agreement {
    Given,
    Asked,
}

impl Agreement {
    fn of(yes: bool) -> Self {
        if yes { Self::Given } else { Self::Asked }
    }
}

/// Goes on if that is wanted.
fn agree(agreement: Agreement, question: &str) -> Result<(), Exit> {
    match agreement {
        Agreement::Given => Ok(()),
        Agreement::Asked if say::is_agreed(question) => Ok(()),
        Agreement::Asked => {
            say::err("nothing was done: `--yes` goes ahead without asking\n");
            Err(Exit::Failed)
        }
    }
}

/// Runs the steps; one that fails keeps no other from being done. `certificate` is what those read that read something.
fn act(steps: &[Step], certificate: &str) -> Ended {
    let mut ended = Ended::Well;
    for step in steps {
        match act::run(step, certificate) {
            Ended::Well => say::out(&format!("done: {}\n", step.store)),
            Ended::Early => ended = Ended::Early,
        }
    }
    ended
}

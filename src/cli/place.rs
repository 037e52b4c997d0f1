//! Where things lie on this machine, from the environment and what the configuration says.

use std::path::{Path, PathBuf};

use crate::app::local_ca::{Local, Missing};
use crate::app::storing::Depot;
use crate::clock::Clock;
use crate::config::Config;
use crate::control::place::{Place, Wishes};
use crate::storage;

/// Octets of an instance's name: it is part of a socket's path, which is short.
const INSTANCE_BYTES_MAX: usize = 32;

/// Where the local CA of this configuration is, for those who look and make none.
pub(super) fn local_ca(config: &Config) -> Local {
    let safe = Depot::find(Some(config)).and_then(|depot| depot.safe(&Clock::system()));
    match safe {
        Ok(safe) => Local::new(safe, Missing::Imagine),
        Err(_nowhere) => Local::nowhere(),
    }
}

/// Whether anybody may trust the local CA of this storage yet.
pub(super) fn has_local_ca(folder: &Path) -> bool {
    folder.join("local-ca").exists()
}

/// Which door is meant.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct ControlArguments {
    /// The folder of the control socket
    #[arg(long, value_name = "DIR", env = "ONEDOOR_CONTROL")]
    pub(super) control: Option<PathBuf>,
    /// Another door beside the usual one, which listens elsewhere
    #[arg(long, value_name = "NAME", env = "ONEDOOR_INSTANCE", value_parser = instance)]
    pub(super) instance: Option<String>,
}

impl ControlArguments {
    /// Where that door is controlled. `fallback` is for a machine without a place for state; verbs that read no file look where the
    /// others do.
    pub(super) fn place(&self, fallback: &Path) -> Place {
        let state = storage::default_place().unwrap_or_else(|_none| fallback.to_owned());
        let usual = control(self.control.as_deref(), &state);
        match &self.instance {
            Some(name) => usual.instance(name),
            None => usual,
        }
    }
}

/// A name that is safe as the name of a folder.
fn instance(text: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if text.is_empty() || text.len() > INSTANCE_BYTES_MAX || !text.chars().all(allowed) {
        return Err(format!(
            "at most {INSTANCE_BYTES_MAX} lower-case letters, digits and hyphens"
        ));
    }
    Ok(text.to_owned())
}

/// Where a program lies that is called by its name alone.
pub(super) fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// The control socket's folder.
fn control(explicit: Option<&Path>, state: &Path) -> Place {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    Place::choose(Wishes {
        explicit,
        runtime: runtime.as_deref(),
        state,
    })
}

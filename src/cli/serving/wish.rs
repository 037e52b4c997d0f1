//! What is to be served, on which terms, and what is known once it is.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process;

use jiff::Timestamp;

use crate::app::source::Source;
use crate::app::storing::Depot;
use crate::app::{Heed, wall_clock};
use crate::control::leases::Insistence;
use crate::control::owner::Owner;
use crate::control::place::Place;
use crate::control::session::message::Welcome;
use crate::ports::passed::Passed;

/// Whether another process may serve our sites.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Joining {
    Allowed,
    /// `--no-join`
    Refused,
}

impl Joining {
    pub(in crate::cli) fn of(no_join: bool) -> Self {
        if no_join {
            Self::Refused
        } else {
            Self::Allowed
        }
    }
}

/// What is wished where somebody else has a name.
pub(in crate::cli) fn insistence(replace: bool) -> Insistence {
    if replace {
        Insistence::Replaces
    } else {
        Insistence::Asks
    }
}

/// What is to be served.
#[derive(Debug)]
pub(in crate::cli) struct Wish {
    pub(in crate::cli) source: Source,
    /// Whose the signals are.
    pub(in crate::cli) heed: Heed,
    pub(in crate::cli) place: Place,
    pub(in crate::cli) storage: Depot,
    pub(in crate::cli) joining: Joining,
    pub(in crate::cli) insistence: Insistence,
    pub(in crate::cli) passed: Passed,
    /// What is said once the sites are served, by us or by somebody else.
    pub(in crate::cli) greeting: Greeting,
}

/// What a person sees once the sites are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Greeting {
    /// The table of sites.
    Table,
    /// Whoever asked says it.
    Silent,
}

/// That the sites are served, and by whom.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Served {
    /// The process that has the door.
    pub(in crate::cli) holder: u32,
    /// Where the exact names are reached.
    pub(in crate::cli) urls: Vec<String>,
    /// The door's.
    pub(in crate::cli) storage: PathBuf,
    /// The local CA's root certificate, if a site needs it.
    pub(in crate::cli) local_ca: Option<PathBuf>,
}

impl Served {
    pub(super) fn by(welcome: &Welcome) -> Self {
        Self {
            holder: welcome.pid,
            urls: welcome.accepted.urls.clone(),
            storage: welcome.storage.clone(),
            local_ca: welcome.local_ca.clone(),
        }
    }
}

/// Who we are, for those who are told.
pub(in crate::cli) fn owner() -> Owner {
    Owner {
        pid: process::id(),
        uid: rustix::process::geteuid().as_raw(),
        command: command(std::env::args_os()),
        folder: std::env::current_dir().unwrap_or_default(),
        since: started(),
    }
}

/// What was typed, without the folder of the program.
fn command(arguments: impl Iterator<Item = OsString>) -> String {
    let words = arguments.enumerate().map(|(index, word)| {
        let name = Path::new(&word).file_name().filter(|_name| index == 0);
        name.unwrap_or(&word).to_string_lossy().into_owned()
    });
    words.collect::<Vec<_>>().join(" ")
}

/// In whole seconds, for it is read by people.
fn started() -> Timestamp {
    let now = Timestamp::try_from(wall_clock()).unwrap_or(Timestamp::UNIX_EPOCH);
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_told_as_it_would_be_typed() {
        let words = ["/opt/bin/onedoor", "up", "-c", "/srv/b.toml"];
        let typed = command(words.into_iter().map(OsString::from));
        assert_eq!(typed, "onedoor up -c /srv/b.toml");
    }
}

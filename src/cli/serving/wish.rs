//! What is to be served, on which terms, and what is known once it is.

use std::path::PathBuf;
use std::process;

use crate::app::source::Source;
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
    pub(in crate::cli) storage: PathBuf,
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
    let arguments = std::env::args_os().map(|argument| argument.to_string_lossy().into_owned());
    Owner {
        pid: process::id(),
        uid: rustix::process::geteuid().as_raw(),
        command: arguments.collect::<Vec<_>>().join(" "),
        folder: std::env::current_dir().unwrap_or_default(),
        since: jiff::Timestamp::try_from(wall_clock()).unwrap_or(jiff::Timestamp::UNIX_EPOCH),
    }
}

//! The threads that serve, and the access log they write.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::JoinHandle;

use super::start::StartError;
use crate::certs::tickets::Tickets;
use crate::config::{AccessLog as Destination, Config, LogFormat};
use crate::door::{Awaited, Current, Handle, Options, Policies, start as start_worker};
use crate::observe::access::{self, AccessLog};
use crate::observe::record::Format;
use crate::observe::taps::Taps;

/// The threads that serve, and what they write to.
pub(super) struct Crew {
    pub(super) workers: Arc<[Handle]>,
    pub(super) threads: Vec<JoinHandle<()>>,
    pub(super) access: Option<Arc<AccessLog>>,
    pub(super) taps: Arc<Taps>,
    pub(super) awaited: Arc<Awaited>,
}

impl Crew {
    /// Starts them.
    ///
    /// # Errors
    /// An access log that cannot be opened, and what the system does not give.
    pub(super) fn muster(
        config: &Config,
        current: &Arc<Current>,
        tickets: Tickets,
    ) -> Result<Self, StartError> {
        let access = access_log(config).map_err(StartError::Log)?;
        let taps = Arc::new(Taps::default());
        let awaited = Arc::new(Awaited::default());
        let options = Options {
            current: current.clone(),
            policies: Arc::new(Policies::new(tickets).map_err(StartError::Tls)?),
            access: access.clone(),
            taps: taps.clone(),
            awaited: awaited.clone(),
            turned_away: Arc::default(),
            crowd: Arc::default(),
        };
        let (workers, threads) = workers(config, &options).map_err(StartError::System)?;
        Ok(Self {
            workers,
            threads,
            access,
            taps,
            awaited,
        })
    }
}

/// An access log that cannot be opened.
#[derive(Debug)]
pub struct LogProblem {
    destination: access::Destination,
    source: std::io::Error,
}

impl fmt::Display for LogProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.destination {
            access::Destination::File(path) => {
                write!(f, "cannot open the access log {}", path.display())
            }
            access::Destination::Stdout => f.write_str("cannot log to standard output"),
            access::Destination::Stderr => f.write_str("cannot log to standard error"),
        }
    }
}

impl std::error::Error for LogProblem {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

pub(super) fn access_log(config: &Config) -> Result<Option<Arc<AccessLog>>, LogProblem> {
    let destination = match &config.log.access {
        Destination::Off => return Ok(None),
        Destination::Stdout => access::Destination::Stdout,
        Destination::Stderr => access::Destination::Stderr,
        Destination::File(path) => access::Destination::File(path.clone()),
    };
    let format = match config.log.format {
        LogFormat::Text => Format::Text,
        LogFormat::Json => Format::Json,
        LogFormat::Combined => Format::Combined,
    };
    match AccessLog::open(destination.clone(), format) {
        Ok(log) => Ok(Some(Arc::new(log))),
        Err(source) => Err(LogProblem {
            destination,
            source,
        }),
    }
}

type Workers = (Arc<[Handle]>, Vec<JoinHandle<()>>);

fn workers(config: &Config, options: &Options) -> std::io::Result<Workers> {
    // The standard library looks at cgroups and affinity.
    let cores = || std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let count = config.workers.map_or_else(cores, NonZeroUsize::get);
    let mut handles = Vec::with_capacity(count);
    let mut threads = Vec::with_capacity(count);
    for number in 0..count {
        let (handle, thread) = start_worker(number, options.clone())?;
        handles.push(handle);
        threads.push(thread);
    }
    Ok((handles.into(), threads))
}

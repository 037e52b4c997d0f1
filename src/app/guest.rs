//! Being served by another process: what a guest hears, says and shows until it ends or has the door itself.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::handover::{Heritage, descriptors_of};
use super::reload::{tell, tell_problems, tell_text};
use super::source::Source;
use super::watch::FileWatch;
use super::{Farewell, Heed, Signals};
use crate::config::offer::Offer;
use crate::config::{AccessLog, Config, Loaded, LogFormat};
use crate::control::place::Place;
use crate::control::readiness;
use crate::control::session::channel::Broken;
use crate::control::session::guest::Session;
use crate::control::session::message::{Estate, LogForm, Said, Told};

/// The log may hold addresses of people: the group reads, others do not.
const LOG_MODE: u32 = 0o640;

/// A process whose sites another one serves.
#[derive(Debug)]
pub struct Guest {
    source: Source,
    heed: Heed,
    offered: Offered,
    files: FileWatch,
    lines: Lines,
    signals: Signals,
    place: Place,
}

/// What was last sent to the holder.
#[derive(Debug, Clone)]
pub struct Offered {
    pub offer: Offer,
    pub loaded: Loaded,
}

impl Offered {
    /// How the log lines are wished.
    #[must_use]
    pub fn log(&self) -> LogForm {
        match self.loaded.config.log.format {
            LogFormat::Text => LogForm::Text,
            LogFormat::Json => LogForm::Json,
            LogFormat::Combined => LogForm::Combined,
        }
    }
}

/// How being a guest ended.
#[derive(Debug)]
pub enum Parting {
    /// We were told to stop.
    Left,
    /// The holder ended the lease, and says why.
    Ended { reason: String },
    /// The holder is another process now, or gone.
    Orphaned,
    /// The door is ours.
    Heir {
        heritage: Box<Heritage>,
        /// Where the former holder waits for the word that we serve.
        session: Box<Session>,
    },
}

enum Wake {
    Told(Result<Told, Broken>),
    Reload,
    Reopen,
    Stop,
}

impl Guest {
    /// Is told nothing yet.
    ///
    /// # Errors
    /// When the system gives no signals, or the access log cannot be opened.
    pub fn new(source: Source, heed: Heed, offered: Offered, place: Place) -> io::Result<Self> {
        let lines = Lines::open(&offered.loaded.config)?;
        let mut files = FileWatch::new();
        files.follow(&offered.loaded);
        Ok(Self {
            source,
            heed,
            offered,
            files,
            lines,
            signals: Signals::new()?,
            place,
        })
    }

    /// What the sites are served by.
    #[must_use]
    pub fn offered(&self) -> &Offered {
        &self.offered
    }

    /// Goes on with the door where the former holder left it.
    #[must_use]
    pub fn into_parts(self) -> (Source, Loaded) {
        (self.source, self.offered.loaded)
    }

    /// Listens to the holder until that ends, we are told to stop, or `until` ends.
    pub async fn run(
        &mut self,
        mut session: Session,
        mut revision: u64,
        until: impl Future<Output = ()>,
    ) -> Parting {
        let mut until = std::pin::pin!(until);
        let mut asked: Option<Offered> = None;
        self.announce();
        loop {
            let Signals {
                reload,
                reopen,
                restart,
                farewell,
            } = &mut self.signals;
            let ours = self.heed == Heed::Ours;
            let wake = tokio::select! {
                told = session.next() => Wake::Told(told),
                () = self.files.changed() => Wake::Reload,
                _some = reload.recv(), if ours => Wake::Reload,
                _some = reopen.recv(), if ours => Wake::Reopen,
                _some = restart.recv(), if ours => continue,
                () = Farewell::said(farewell), if ours => Wake::Stop,
                () = &mut until => Wake::Stop,
            };
            match wake {
                Wake::Told(Ok(Told::Inherit(estate))) => {
                    match self.inherit(&mut session, *estate) {
                        Ok(heritage) => {
                            return Parting::Heir {
                                heritage: Box::new(heritage),
                                session: Box::new(session),
                            };
                        }
                        Err(error) => {
                            let problem = error.to_string();
                            // Without us the holder asks the next guest.
                            let _gone = session.say(&Said::CannotTake { problem }).await;
                        }
                    }
                }
                Wake::Told(Ok(told)) => {
                    if let Some(parting) = self.hear(told, &mut revision, &mut asked) {
                        return parting;
                    }
                }
                Wake::Told(Err(broken)) => {
                    tracing::warn!(%broken, "the holder is gone");
                    return Parting::Orphaned;
                }
                Wake::Reload => {
                    if let Some(offered) = self.read_again() {
                        let offer = offered.offer.clone();
                        let said = Said::Offer {
                            offer,
                            based_on: revision,
                        };
                        asked = Some(offered);
                        if session.say(&said).await.is_err() {
                            return Parting::Orphaned;
                        }
                    }
                }
                Wake::Reopen => self.lines.reopen(&self.offered.loaded.config),
                Wake::Stop => {
                    // A holder that is gone needs no goodbye.
                    let _gone = session.say(&Said::Leave).await;
                    return Parting::Left;
                }
            }
        }
    }

    fn hear(
        &mut self,
        told: Told,
        revision: &mut u64,
        asked: &mut Option<Offered>,
    ) -> Option<Parting> {
        match told {
            Told::Lines(lines) => self.lines.write(&lines),
            Told::Note(note) => tracing::info!("{note}"),
            Told::Accepted(accepted) => {
                *revision = accepted.revision;
                if let Some(offered) = asked.take() {
                    tell_problems(&offered.loaded);
                    self.files.follow(&offered.loaded);
                    self.offered = offered;
                }
                for note in accepted.notes {
                    tracing::info!("{note}");
                }
                let sites = self.offered.loaded.config.sites.len();
                tracing::info!(revision, sites, "configuration reloaded");
            }
            Told::Refused(refusal) => {
                *asked = None;
                tell_text(&refusal.text);
                tracing::error!("configuration refused: the old one stays in service");
            }
            Told::Moved { pid } => {
                tracing::info!(pid, "the door is passed on");
                return Some(Parting::Orphaned);
            }
            Told::Ended { reason } => return Some(Parting::Ended { reason }),
            // Said once, before this began; or a newer holder repeats itself.
            Told::Welcome(_) | Told::Inherit(_) => {}
        }
        None
    }

    fn inherit(&self, session: &mut Session, estate: Estate) -> io::Result<Heritage> {
        let descriptors = session.take_descriptors(descriptors_of(&estate));
        Heritage::open(self.place.clone(), estate, descriptors)
    }

    /// What the files say now; none if it is the same, or nothing that may be served.
    fn read_again(&mut self) -> Option<Offered> {
        self.files.follow(&self.offered.loaded);
        match self.source.offer(Some(&self.offered.loaded)) {
            Ok((offer, loaded)) => {
                (offer != self.offered.offer).then_some(Offered { offer, loaded })
            }
            Err(refused) => {
                tell(&refused.problems, &refused.sources);
                tracing::error!("configuration refused: the old one stays in service");
                None
            }
        }
    }

    fn announce(&self) {
        let sites = self.offered.loaded.config.sites.len();
        let summary = format!(
            "{} served by another onedoor",
            super::banner::counted(sites, "site")
        );
        if let Err(error) = readiness::ready(&summary) {
            tracing::warn!(%error, "the service manager was not told");
        }
    }
}

/// Where the access-log lines of the own sites go.
#[derive(Debug)]
struct Lines(Option<File>);

impl Lines {
    fn open(config: &Config) -> io::Result<Self> {
        Ok(Self(match &config.log.access {
            AccessLog::Off => None,
            AccessLog::Stdout => Some(File::from(io::stdout().as_fd().try_clone_to_owned()?)),
            AccessLog::Stderr => Some(File::from(io::stderr().as_fd().try_clone_to_owned()?)),
            AccessLog::File(path) => Some(append_to(path)?),
        }))
    }

    fn write(&mut self, lines: &str) {
        let Some(file) = &mut self.0 else {
            return;
        };
        if let Err(error) = file.write_all(lines.as_bytes()) {
            tracing::warn!(%error, "the access log lost lines");
        }
    }

    fn reopen(&mut self, config: &Config) {
        match Self::open(config) {
            Ok(lines) => *self = lines,
            Err(error) => tracing::error!(%error, "access log not reopened, the old file goes on"),
        }
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(LOG_MODE).open(path)
}

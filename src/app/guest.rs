//! Being served by another process: what a guest hears, says and shows until it ends or has the door itself.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::crew::access_log;
use super::heritage::{Heritage, descriptors_of};
use super::reload::{tell, tell_problems, tell_text};
use super::source::Source;
use super::start::StartError;
use super::stop::close;
use super::watch::FileWatch;
use super::{Heed, Signals};
use crate::config::doorway::Doorway;
use crate::config::offer::Offer;
use crate::config::{Loaded, LogFormat, Refused};
use crate::control::place::Place;
use crate::control::readiness;
use crate::control::session::channel::Broken;
use crate::control::session::guest::Session;
use crate::control::session::message::{Estate, LogForm, Refusal, Said, Told};
use crate::observe::access::AccessLog;

/// A process whose sites another one serves.
#[derive(Debug)]
pub struct Guest {
    source: Source,
    heed: Heed,
    offered: Offered,
    /// What the holder looks at.
    asked: Option<Offered>,
    afterwards: Afterwards,
    files: FileWatch,
    lines: Lines,
    signals: Signals,
    place: Place,
    /// Of the last holder, which tells of what it finishes.
    former: Option<Session>,
}

/// What was last sent to the holder.
#[derive(Debug, Clone)]
pub struct Offered {
    pub offer: Offer,
    pub loaded: Loaded,
}

impl Offered {
    /// The same at a door that was there before.
    ///
    /// # Errors
    /// All problems at once.
    pub fn at(&self, doorway: &Doorway) -> Result<Loaded, Refused> {
        let loaded = self.offer.read_at(Some(doorway), Some(&self.loaded))?;
        Ok(Loaded {
            watched: self.loaded.watched.clone(),
            ..loaded
        })
    }

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

/// Whether the files are to be read once more when the holder has answered, or another one has the door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Afterwards {
    Rest,
    ReadAgain,
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
    Late(Result<Told, Broken>),
    Reload,
    Reopen,
    Stop,
}

impl Guest {
    /// Is told nothing yet.
    ///
    /// # Errors
    /// When the system gives no signals, or the access log cannot be opened.
    pub fn new(
        source: Source,
        heed: Heed,
        offered: Offered,
        place: Place,
    ) -> Result<Self, StartError> {
        let lines = Lines(access_log(&offered.loaded.config).map_err(StartError::Log)?);
        let files = FileWatch::of(&offered.loaded);
        Ok(Self {
            source,
            heed,
            offered,
            asked: None,
            afterwards: Afterwards::Rest,
            files,
            lines,
            signals: Signals::new().map_err(StartError::System)?,
            place,
            former: None,
        })
    }

    /// What the sites are served by.
    #[must_use]
    pub fn offered(&self) -> &Offered {
        &self.offered
    }

    /// Gives the signals that nobody has heard yet to whoever is to hear them instead.
    ///
    /// # Errors
    /// When the system gives no others.
    pub fn give_signals(&mut self) -> io::Result<Signals> {
        Ok(std::mem::replace(&mut self.signals, Signals::new()?))
    }

    /// Listens to the holder until that ends, we are told to stop, or `until` ends.
    pub async fn run(
        &mut self,
        mut session: Session,
        mut revision: u64,
        until: impl Future<Output = ()>,
    ) -> Parting {
        let mut until = std::pin::pin!(until);
        // Nobody will answer what another holder was asked, and a change meanwhile may have been lost with it.
        self.asked = None;
        self.afterwards = Afterwards::ReadAgain;
        self.announce();
        loop {
            let wake = match self.afterwards {
                Afterwards::ReadAgain if self.asked.is_none() => Wake::Reload,
                Afterwards::ReadAgain | Afterwards::Rest => {
                    self.wake(&mut session, until.as_mut()).await
                }
            };
            match wake {
                Wake::Told(Ok(Told::Inherit(estate))) => {
                    match self.inherit(&mut session, *estate).await {
                        Some(Ok(heritage)) => {
                            return Parting::Heir {
                                heritage: Box::new(heritage),
                                session: Box::new(session),
                            };
                        }
                        Some(Err(parting)) => return parting,
                        None => {}
                    }
                }
                Wake::Told(Ok(Told::Moved { pid })) => {
                    tracing::info!(pid, "the door is passed on");
                    self.former = Some(session);
                    return Parting::Orphaned;
                }
                Wake::Told(Ok(told)) => {
                    if let Some(parting) = self.hear(told, &mut revision) {
                        return parting;
                    }
                }
                Wake::Late(Ok(Told::Lines(lines))) => self.lines.write(lines),
                // Its other words are about what it no longer has.
                Wake::Late(Ok(_stale)) => {}
                Wake::Late(Err(_ended)) => self.former = None,
                Wake::Told(Err(broken)) => {
                    tracing::warn!(%broken, "the holder is gone");
                    return Parting::Orphaned;
                }
                Wake::Reload => {
                    if let Some(said) = self.offer_again(revision)
                        && session.say(&said).await.is_err()
                    {
                        return Parting::Orphaned;
                    }
                }
                Wake::Reopen => self.lines.reopen(),
                Wake::Stop => {
                    // A holder that is gone needs no goodbye.
                    let _gone = session.say(&Said::Leave).await;
                    return Parting::Left;
                }
            }
        }
    }

    async fn wake(
        &mut self,
        session: &mut Session,
        mut until: std::pin::Pin<&mut impl Future<Output = ()>>,
    ) -> Wake {
        let Signals {
            reload,
            reopen,
            restart,
            farewell,
            attendance: _,
        } = &mut self.signals;
        let ours = self.heed == Heed::Ours;
        loop {
            return tokio::select! {
                told = session.next() => Wake::Told(told),
                late = late(self.former.as_mut()) => Wake::Late(late),
                () = self.files.changed() => Wake::Reload,
                _some = reload.recv(), if ours => Wake::Reload,
                _some = reopen.recv(), if ours => Wake::Reopen,
                _some = restart.recv(), if ours => {
                    tracing::warn!("not restarted: another process has the door");
                    continue;
                }
                () = farewell.said(), if ours => Wake::Stop,
                () = &mut until => Wake::Stop,
            };
        }
    }

    /// What is to be said of a change of the files. One change is answered before the next is read.
    fn offer_again(&mut self, based_on: u64) -> Option<Said> {
        if self.asked.is_some() {
            self.afterwards = Afterwards::ReadAgain;
            return None;
        }
        self.afterwards = Afterwards::Rest;
        let offered = self.read_again()?;
        let offer = offered.offer.clone();
        self.asked = Some(offered);
        Some(Said::Offer { offer, based_on })
    }

    fn hear(&mut self, told: Told, revision: &mut u64) -> Option<Parting> {
        match told {
            Told::Lines(lines) => self.lines.write(lines),
            Told::Note(note) => tracing::info!("{note}"),
            Told::Accepted(accepted) => {
                *revision = accepted.revision;
                if let Some(offered) = self.asked.take() {
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
            // It is about to end; the next one is asked again.
            Told::Refused(refusal) if refusal.error == Refusal::BUSY => {}
            Told::Refused(refusal) => {
                self.asked = None;
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

    /// What the holder leaves to us, unless somebody else has it by now. None: it is of no use, as the holder is told.
    async fn inherit(
        &mut self,
        session: &mut Session,
        estate: Estate,
    ) -> Option<Result<Heritage, Parting>> {
        let descriptors = session.take_descriptors(descriptors_of(&estate));
        match Heritage::open(self.place.clone(), estate, descriptors) {
            Ok(heritage) => {
                let overtaken = self.overtaken(session).await;
                Some(overtaken.map_or(Ok(heritage), Err))
            }
            Err(error) => {
                let problem = error.to_string();
                // Without us the holder asks the next guest.
                let _gone = session.say(&Said::CannotTake { problem }).await;
                None
            }
        }
    }

    /// What was said behind the words that gave us the door: one who slept too long finds that somebody else has it.
    async fn overtaken(&mut self, session: &mut Session) -> Option<Parting> {
        let mut revision = 0;
        while let Ok(told) = tokio::time::timeout(Duration::ZERO, session.next()).await {
            match told {
                Ok(told) => {
                    if let Some(parting) = self.hear(told, &mut revision) {
                        return Some(parting);
                    }
                }
                Err(broken) => {
                    tracing::warn!(%broken, "the holder is gone");
                    return Some(Parting::Orphaned);
                }
            }
        }
        None
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

async fn late(former: Option<&mut Session>) -> Result<Told, Broken> {
    match former {
        Some(former) => former.next().await,
        None => std::future::pending().await,
    }
}

/// Where the access-log lines of the own sites go: by a thread of its own, for a terminal that stands still must not keep us from hearing
/// the holder.
#[derive(Debug)]
struct Lines(Option<Arc<AccessLog>>);

impl Lines {
    fn write(&self, lines: String) {
        if let Some(log) = &self.0 {
            log.hand_on(lines);
        }
    }

    fn reopen(&self) {
        if let Some(log) = &self.0
            && let Err(error) = log.reopen()
        {
            tracing::error!(%error, "access log not reopened, the old file goes on");
        }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        if let Some(log) = &self.0 {
            close(log);
        }
    }
}

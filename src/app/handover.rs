//! Leaving with the ports: the listening sockets, the lock and the leases go to another process before this one ends.

use std::io;
use std::os::fd::OwnedFd;
use std::process::ExitStatus;
use std::time::Duration;

use tokio::process::{Child, Command as Program};
use tokio::signal::unix::Signal;
use tokio::sync::oneshot;
use tokio::time::{self, Instant};

use super::commands::{Next, not_allowed};
use super::start::spoken;
use super::stop::Hurry;
use super::{App, Heed};
use crate::config::doorway::Doorway;
use crate::control::command::{COMMANDS_MAX, Command, Line, Outgoing, Reply};
use crate::control::health::Listening;
use crate::control::leases::LeaseId;
use crate::control::owner::Owner;
use crate::control::readiness;
use crate::control::session::message::{Estate, Inherited, Refusal, Told};
use crate::ports::bind::Origin;

/// How long a guest may take until it serves; after that the next one is asked.
pub(super) const HEIR_TIME: Duration = Duration::from_secs(2);
/// How long a process that was started for it may take, from its start until it serves.
pub(super) const SUCCESSOR_TIME: Duration = Duration::from_secs(60);
/// Says to a process that it was started to take over the door.
pub const SUCCEED: &str = "ONEDOOR_SUCCEED";
/// The number that a successor goes by, which is no lease.
const SUCCESSOR: LeaseId = LeaseId(u32::MAX);
/// Commands that are kept until a hand-over has failed.
const KEPT_MAX: usize = COMMANDS_MAX;

/// A process that was started to take over.
#[derive(Debug)]
pub(super) struct Successor {
    /// None: whoever attends us starts it, and tells us if it fails.
    child: Option<Child>,
    reply: Option<Reply<Result<u32, Refusal>>>,
    until: Instant,
}

/// How a successor failed.
#[derive(Debug)]
pub(super) enum Failed {
    Ended(io::Result<ExitStatus>),
    /// By whoever started it for us.
    Told,
    Late,
}

/// Where the words of a process are that we started.
const ELSEWHERE: &str = "it said why in the terminal or log of this one";

impl App {
    /// Starts this program anew, to take over.
    pub(super) fn restart(&mut self, reply: Option<Reply<Result<u32, Refusal>>>) {
        let started = match (&self.successor, self.heed) {
            (Some(_under_way), _) => Err(io::Error::other("a restart is under way")),
            (None, Heed::Callers) => Err(io::Error::other(
                "`onedoor run` holds the door, and would start its command once more: stop it, and the oldest guest goes on",
            )),
            (None, Heed::Ours) => start_successor(),
        };
        match started {
            Ok(child) => {
                let until = Instant::now() + SUCCESSOR_TIME;
                self.successor = Some(Successor {
                    child,
                    reply,
                    until,
                });
            }
            Err(error) => {
                tracing::error!(%error, "not restarted");
                answer(reply, Err(restart_failed(&error.to_string())));
            }
        }
    }

    /// A process that was started for it wants to take over.
    pub(super) async fn succeed(
        &mut self,
        owner: &Owner,
        line: Line,
        reply: Reply<Result<LeaseId, Refusal>>,
    ) -> Next {
        if self.successor.is_none() {
            let refused = Err(not_allowed("nobody asked for a successor"));
            drop(reply.send(refused));
            return Next::GoOn;
        }
        if reply.send(Ok(SUCCESSOR)).is_err() {
            return Next::GoOn;
        }
        let handed = self
            .bequeath(SUCCESSOR, owner.pid, &line, SUCCESSOR_TIME)
            .await;
        let successor = self.successor.take();
        let (mut child, asked) = successor.map_or((None, None), |known| (known.child, known.reply));
        match handed {
            Ok(()) => {
                tracing::info!(pid = owner.pid, "handed over to the new process");
                answer(asked, Ok(owner.pid));
                if let Err(error) = readiness::succeeded_by(owner.pid) {
                    tracing::warn!(%error, "the service manager was not told");
                }
                self.attended = child;
                self.move_guests(SUCCESSOR, owner.pid);
                Next::PassedOn
            }
            Err(problem) => {
                tracing::error!(problem, "not handed over: this process goes on");
                answer(asked, Err(restart_failed(&problem)));
                if let Some(child) = &mut child {
                    // It ended by itself, or it never will.
                    let _ended = child.start_kill();
                }
                Next::GoOn
            }
        }
    }

    /// The process that was started to take over will not.
    pub(super) fn give_up_successor(&mut self, failed: Failed) {
        let Some(mut successor) = self.successor.take() else {
            return;
        };
        let problem = match failed {
            Failed::Ended(Ok(status)) => {
                format!("the new process ended ({status}) before it served; {ELSEWHERE}")
            }
            Failed::Ended(Err(error)) => format!("the new process cannot be waited for: {error}"),
            Failed::Told => {
                format!("the new process did not start, or ended before it served; {ELSEWHERE}")
            }
            Failed::Late => format!("the new process did not serve within {SUCCESSOR_TIME:?}"),
        };
        if let Some(child) = &mut successor.child {
            // It may have ended meanwhile.
            let _ended = child.start_kill();
        }
        tracing::error!(problem, "not restarted: this process goes on");
        answer(successor.reply, Err(restart_failed(&problem)));
    }

    /// Hands the door to the oldest guest that takes it. Whether one did.
    pub(super) async fn leave_to_guest(&mut self) -> bool {
        for (heir, line) in self.guests.heirs() {
            let pid = self
                .guests
                .table
                .lease(heir)
                .map_or(0, |lease| lease.owner.pid);
            match self.bequeath(heir, pid, &line, HEIR_TIME).await {
                Ok(()) => {
                    tracing::info!(pid, "the door is handed over to the oldest guest");
                    self.move_guests(heir, pid);
                    return true;
                }
                Err(problem) => {
                    tracing::warn!(pid, problem, "a guest did not take the door");
                }
            }
        }
        false
    }

    /// Gives everything to one process and waits until it serves. Other commands wait meanwhile.
    async fn bequeath(
        &mut self,
        heir: LeaseId,
        pid: u32,
        line: &Line,
        patience: Duration,
    ) -> Result<(), String> {
        let (estate, descriptors) = self.estate(heir).map_err(|error| error.to_string())?;
        let told = Told::Inherit(Box::new(estate));
        let sent = line.try_send(Outgoing { told, descriptors });
        sent.map_err(|_gone| "it does not listen".to_owned())?;
        let end = Instant::now() + patience;
        let mut kept = Vec::new();
        let ended = loop {
            match time::timeout_at(end, self.commands.recv()).await {
                Ok(Some(Command::Took(who))) if who == heir => {
                    break self.claim.pass_on(pid).map_err(|error| error.to_string());
                }
                Ok(Some(Command::CannotTake { lease, problem })) if lease == heir => {
                    break Err(problem);
                }
                Ok(Some(Command::Lost(who) | Command::Left(who))) if who == heir => {
                    break Err("it ended".to_owned());
                }
                Ok(Some(other)) if kept.len() < KEPT_MAX => kept.push(other),
                // Whoever asked hears that nobody answers.
                Ok(Some(_too_many)) => {}
                Ok(None) => break Err("nobody listens".to_owned()),
                Err(_late) => break Err(format!("it did not serve within {patience:?}")),
            }
        };
        if ended.is_err() {
            self.postponed.extend(kept);
        } else {
            let told = Told::Moved { pid };
            let descriptors = Vec::new();
            // Without the word it finds its number in the lock.
            let _unheard = line.try_send(Outgoing { told, descriptors });
            self.answering.stop_accepting();
        }
        ended
    }

    fn estate(&self, heir: LeaseId) -> io::Result<(Estate, Vec<OwnedFd>)> {
        let sockets = self.listeners.duplicates()?;
        let mut descriptors = Vec::with_capacity(2 + sockets.len());
        descriptors.push(self.claim.lock()?);
        descriptors.push(self.control.try_clone()?.into());
        let mut listeners = Vec::with_capacity(sockets.len());
        for (spec, origin, descriptor) in sockets {
            listeners.push(Inherited {
                asked: Listening {
                    address: spec.address,
                    kind: spoken(spec.kind),
                },
                passed: matches!(origin, Origin::Passed { .. }),
            });
            descriptors.push(descriptor);
        }
        let estate = Estate {
            revision: self.revision(),
            doorway: if heir == SUCCESSOR {
                self.doorway.clone()
            } else {
                Some(Doorway::of(&self.own.config))
            },
            next_lease: self.guests.next,
            storage: self.storage.folder().to_owned(),
            listeners,
            guests: self.guests.legacy(heir),
        };
        Ok((estate, descriptors))
    }

    /// Keeps what was inherited, if it is ours: by the former holder's `word`, or else by what it wrote into the lock.
    pub fn keep_door(&mut self, word: Option<bool>) -> bool {
        let is_ours = word.unwrap_or_else(|| self.claim.names_us());
        if is_ours {
            self.claim.keep();
        }
        is_ours
    }

    /// Gives up what was inherited and never became ours.
    pub async fn withdraw(self) {
        tracing::warn!("the door went to somebody else meanwhile");
        self.answering.stop_accepting();
        self.stop(Hurry::Already).await;
    }

    /// Tells everybody but the heir where the door is now.
    fn move_guests(&self, heir: LeaseId, pid: u32) {
        for (guest, _line) in self.guests.connected() {
            if guest != heir {
                self.guests.tell(guest, Told::Moved { pid });
            }
        }
    }

    /// Ends every guest's lease with the door.
    pub(super) fn end_guests(&self, reason: &str) {
        for (guest, _line) in self.guests.connected() {
            let reason = reason.to_owned();
            self.guests.tell(guest, Told::Ended { reason });
        }
    }
}

/// Resolves when the process that was started ends, when whoever started it for us says so, or when it takes too long; never
/// without one.
pub(super) async fn successor_fails(
    successor: Option<&mut Successor>,
    attendant: &mut Signal,
) -> Failed {
    let Some(Successor { child, until, .. }) = successor else {
        return std::future::pending().await;
    };
    let late = time::sleep_until(*until);
    match child {
        Some(child) => tokio::select! {
            ended = child.wait() => Failed::Ended(ended),
            () = late => Failed::Late,
        },
        None => tokio::select! {
            _some = attendant.recv() => Failed::Told,
            () = late => Failed::Late,
        },
    }
}

/// This program once more, from the same file, with the same arguments; or by whoever attends us already.
fn start_successor() -> io::Result<Option<Child>> {
    if super::attend::is_attended() {
        super::attend::ask_attendant()?;
        return Ok(None);
    }
    super::attend::program()?.spawn().map(Some)
}

pub(super) fn successor_of(mut program: std::process::Command) -> Program {
    program.env(SUCCEED, "1");
    Program::from(program)
}

fn answer(reply: Option<Reply<Result<u32, Refusal>>>, with: Result<u32, Refusal>) {
    if let Some(reply) = reply {
        // Who asked may be gone.
        let _gone = oneshot::Sender::send(reply, with);
    }
}

fn restart_failed(problem: &str) -> Refusal {
    Refusal {
        error: "not-restarted".to_owned(),
        text: format!(
            "error[not-restarted]: {problem}\n  note: the running process goes on as before\n"
        ),
        exit: 1,
    }
}

//! What others ask of the holder on its control socket, one thing after another.

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::App;
use super::reload::Why;
use super::start::timestamp;
use crate::control::command::{Command, Extent, Reply};
use crate::control::leases::{self, Conflict};
use crate::control::owner::Owner;
use crate::control::session::message::{LogForm, Refusal, Welcome};
use crate::hostname::HostPattern;
use crate::observe::record::Format;

/// What obeying a command leads to.
pub(super) enum Next {
    GoOn,
    /// The holder ends; with [`Extent::Door`] its guests do too.
    Stop(Extent),
    /// Another process has the door.
    PassedOn,
}

impl App {
    /// Does what is asked and answers. Whoever asked may be gone by then.
    pub(super) async fn obey(&mut self, command: Command) -> Next {
        match command {
            Command::Join {
                join,
                uid,
                line,
                reply,
            } => {
                let answer = Box::pin(self.join(*join, uid, line)).await;
                self.answer_join(answer, reply);
            }
            Command::Offer {
                lease,
                offer,
                based_on,
                reply,
            } => {
                let answer = Box::pin(self.offer(lease, *offer, based_on)).await;
                let _gone = reply.send(answer);
            }
            Command::Left(lease) => Box::pin(self.end_lease(lease, "left")).await,
            Command::Lost(lease) => {
                if self.guests.party(lease).is_some() {
                    self.guests.lost(lease, Instant::now());
                }
            }
            // Nobody was asked.
            Command::Took(_) | Command::CannotTake { .. } => {}
            Command::Succeed { owner, line, reply } => {
                return Box::pin(self.succeed(&owner, line, reply)).await;
            }
            Command::Status(reply) => drop(reply.send(self.status())),
            Command::Explain { url, reply } => drop(reply.send(self.explain(&url))),
            Command::Watch { host, log, reply } => self.let_watch(host, log, reply),
            Command::Reload(reply) => {
                let answer = self.reload_for_somebody().await;
                drop(reply.send(answer));
            }
            Command::Restart(reply) => self.restart(Some(reply)),
            Command::Stop { extent, reply } => {
                let _gone = reply.send(());
                return Next::Stop(extent);
            }
            Command::Save {
                saved,
                based_on,
                uid,
                reply,
            } => {
                let answer = Box::pin(self.save(*saved, based_on, uid)).await;
                drop(reply.send(answer));
            }
            Command::Remove {
                name,
                based_on,
                uid,
                reply,
            } => {
                let answer = Box::pin(self.remove(&name, based_on, uid)).await;
                drop(reply.send(answer));
            }
        }
        Next::GoOn
    }

    /// A guest that did not wait for the answer is away from the start.
    fn answer_join(
        &mut self,
        answer: Result<Welcome, Refusal>,
        reply: Reply<Result<Welcome, Refusal>>,
    ) {
        let lease = answer.as_ref().ok().map(|welcome| welcome.lease);
        if reply.send(answer).is_err()
            && let Some(lease) = lease
        {
            self.guests.lost(lease, Instant::now());
        }
    }

    /// Without an answer it is heard that nobody is to be watched, or that too many watch.
    fn let_watch(&self, host: Option<String>, log: LogForm, reply: Reply<mpsc::Receiver<Bytes>>) {
        let host = host.map(|host| HostPattern::parse(&host)).transpose();
        if let Ok(host) = host
            && let Ok(lines) = self.taps.watch(host, format_of(log))
        {
            drop(reply.send(lines));
        }
    }

    async fn reload_for_somebody(&mut self) -> Result<u64, Refusal> {
        self.reload(Why::Asked).await;
        match &self.last_refusal {
            None => Ok(self.revision()),
            Some(problem) => Err(Refusal {
                error: "bad-config".to_owned(),
                text: format!(
                    "error: {problem}\n  note: the holder told the whole in its own terminal; the old configuration stays in service\n"
                ),
                exit: 2,
            }),
        }
    }

    pub(super) fn revision(&self) -> u64 {
        self.current.table.routes.revision
    }
}

pub(super) fn format_of(log: LogForm) -> Format {
    match log {
        LogForm::Text => Format::Text,
        LogForm::Json => Format::Json,
        LogForm::Combined => Format::Combined,
    }
}

pub(super) fn owner_in_words(owner: &Owner) -> String {
    let Owner {
        pid,
        command,
        folder,
        ..
    } = owner;
    format!("pid {pid} (`{command}` in {})", folder.display())
}

pub(super) fn conflict(conflicts: &[Conflict]) -> Refusal {
    Refusal {
        error: "name-conflict".to_owned(),
        text: leases::render(conflicts, timestamp()),
        exit: 3,
    }
}

pub(super) fn too_many(full: &leases::Full) -> Refusal {
    Refusal::new(
        "too-many-leases",
        format!("error[too-many-leases]: {full}\n"),
    )
}

/// More than one other user may have.
pub(super) fn too_many_of(most: usize) -> Refusal {
    let text = format!(
        "error[too-many-leases]: one other user has {most} leases at most: end one of them\n"
    );
    Refusal::new("too-many-leases", text)
}

pub(super) fn stale(revision: u64) -> Refusal {
    Refusal {
        error: "stale-revision".to_owned(),
        text: format!("error[stale-revision]: the door has moved on to revision {revision}\n"),
        exit: 1,
    }
}

pub(super) fn not_allowed(why: &str) -> Refusal {
    Refusal {
        error: "not-allowed".to_owned(),
        text: format!("error[not-allowed]: {why}\n"),
        exit: 1,
    }
}

//! The holder's side of a session: what `app` tells goes to the guest, what the guest says goes to `app`.

use std::future::pending;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{self, Instant};

use super::channel::{self, Bounds, Broken, Reader, Writer};
use super::message::{Accepted, Refusal, Said, Told, Welcome};
use crate::config::offer::Offer;
use crate::control::command::{Command, Outgoing};
use crate::control::leases::LeaseId;

/// Octets of an offer as JSON.
pub const OFFER_BYTES_MAX: usize = 32 << 20;
/// How long a guest may read nothing of what waits for it.
pub const GUEST_WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// Octets of log lines that are sent as one.
const LINES_BYTES_MAX: usize = 64 << 10;

/// A guest passes no descriptors.
const BOUNDS: Bounds = Bounds {
    line_bytes: OFFER_BYTES_MAX,
    descriptors: 0,
};

/// Talks with a guest until it is lost or `app` drops its line. `ahead` was read from the stream already.
pub(in crate::control) async fn host(
    stream: UnixStream,
    ahead: &[u8],
    mut guest: Guest,
    welcome: Option<Box<Welcome>>,
) {
    let (reader, mut writer) = channel::open(stream, ahead, BOUNDS);
    let welcomed = welcome.map_or(Ok(()), |welcome| push(&mut writer, Told::Welcome(welcome)));
    let ended = match welcomed {
        Ok(()) => guest.converse(reader, writer).await,
        Err(broken) => Err(broken),
    };
    let lease = guest.lease;
    match ended {
        Err(broken) if !guest.left => {
            tracing::debug!(%lease, %broken, "control socket: lost a guest");
            // A guest that is back by then has another line.
            guest.line.close();
            guest.command(Command::Lost(lease)).await;
        }
        Ok(()) | Err(_) => {}
    }
}

/// A guest as `app` knows it.
#[derive(Debug)]
pub(in crate::control) struct Guest {
    lease: LeaseId,
    commands: mpsc::Sender<Command>,
    line: mpsc::Receiver<Outgoing>,
    /// The offer that `app` looks at.
    answer: Option<oneshot::Receiver<Result<Accepted, Refusal>>>,
    /// One that came meanwhile; nothing is read as long as there is one.
    next: Option<(Box<Offer>, u64)>,
    left: bool,
}

enum Event {
    Said(Bytes),
    Answered(Result<Accepted, Refusal>),
    /// None: `app` has nothing more to say.
    Told(Option<Outgoing>),
    Sent,
}

impl Guest {
    pub(in crate::control) fn new(
        lease: LeaseId,
        commands: mpsc::Sender<Command>,
        line: mpsc::Receiver<Outgoing>,
    ) -> Self {
        Self {
            lease,
            commands,
            line,
            answer: None,
            next: None,
            left: false,
        }
    }

    /// Ends well when `app` dropped the line and all is sent.
    async fn converse(&mut self, mut reader: Reader, mut writer: Writer) -> Result<(), Broken> {
        let mut overdue = Instant::now() + GUEST_WRITE_TIMEOUT;
        loop {
            let idle = writer.is_idle();
            let event = tokio::select! {
                biased;
                sent = time::timeout_at(overdue, writer.advance()), if !idle => {
                    sent.unwrap_or(Err(Broken::TimedOut))?;
                    Event::Sent
                }
                answered = answered(&mut self.answer) => Event::Answered(answered),
                line = reader.line(), if self.next.is_none() => Event::Said(line?),
                told = self.line.recv(), if idle => Event::Told(told),
            };
            match event {
                Event::Sent => {}
                Event::Told(None) => return Ok(()),
                Event::Told(Some(outgoing)) => self.tell(outgoing, &mut writer)?,
                Event::Said(line) => {
                    let said = serde_json::from_slice(&line).map_err(Broken::Garbage)?;
                    self.listen(said).await;
                    continue;
                }
                Event::Answered(answer) => {
                    self.answer = None;
                    push(
                        &mut writer,
                        answer.map_or_else(Told::Refused, Told::Accepted),
                    )?;
                    if let Some((offer, based_on)) = self.next.take() {
                        self.offer(offer, based_on).await;
                    }
                    if !idle {
                        continue;
                    }
                }
            }
            overdue = Instant::now() + GUEST_WRITE_TIMEOUT;
        }
    }

    async fn listen(&mut self, said: Said) {
        let lease = self.lease;
        match said {
            Said::Offer { offer, based_on } => {
                let offer = Box::new(offer);
                match self.answer {
                    Some(_) => self.next = Some((offer, based_on)),
                    None => self.offer(offer, based_on).await,
                }
            }
            Said::Took => self.command(Command::Took(lease)).await,
            Said::CannotTake { problem } => {
                self.command(Command::CannotTake { lease, problem }).await;
            }
            Said::Leave => {
                self.left = true;
                self.command(Command::Left(lease)).await;
            }
        }
    }

    async fn offer(&mut self, offer: Box<Offer>, based_on: u64) {
        let (reply, answer) = oneshot::channel();
        self.answer = Some(answer);
        let lease = self.lease;
        self.command(Command::Offer {
            lease,
            offer,
            based_on,
            reply,
        })
        .await;
    }

    /// A word of a guest is never dropped: it waits for `app`.
    async fn command(&self, command: Command) {
        // Without `app` the process is about to end.
        let _taken = self.commands.send(command).await;
    }

    /// Log lines that wait behind each other become one message.
    fn tell(&mut self, first: Outgoing, writer: &mut Writer) -> Result<(), Broken> {
        let mut last = first;
        while let Told::Lines(lines) = &mut last.told
            && lines.len() < LINES_BYTES_MAX
            && let Ok(next) = self.line.try_recv()
        {
            if let Told::Lines(more) = &next.told {
                lines.push_str(more);
            } else {
                send(writer, std::mem::replace(&mut last, next))?;
            }
        }
        send(writer, last)
    }
}

/// Never, as long as nothing was asked.
async fn answered(
    answer: &mut Option<oneshot::Receiver<Result<Accepted, Refusal>>>,
) -> Result<Accepted, Refusal> {
    match answer {
        Some(answer) => answer
            .await
            .unwrap_or_else(|_unanswered| Err(Refusal::busy())),
        None => pending().await,
    }
}

fn push(writer: &mut Writer, told: Told) -> Result<(), Broken> {
    let descriptors = Vec::new();
    send(writer, Outgoing { told, descriptors })
}

fn send(writer: &mut Writer, Outgoing { told, descriptors }: Outgoing) -> Result<(), Broken> {
    let line = serde_json::to_vec(&told).map_err(Broken::Garbage)?;
    writer.push(line, descriptors)
}

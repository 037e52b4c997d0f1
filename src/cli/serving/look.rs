//! Looking for the door: it is joined where somebody has it, and taken where nobody does.

use std::future::pending;
use std::time::Duration;

use tokio::time::{self, Instant};

use super::{Begun, JOIN_TIME, Joining};
use crate::app::guest::{Guest, Offered};
use crate::cli::{Exit, say, up};
use crate::control::claim::Claim;
use crate::control::client;
use crate::control::session::guest::{self as session, NotJoined, Session};
use crate::control::session::message::{Join, Refusal, Versions, Welcome};

/// How long a holder may take from its lock to its socket before we give up.
const HOLDER_STARTS_MAX: Duration = Duration::from_secs(15);
/// How long it is waited before the door is looked for again, at least and at most: guests that lose their holder must not march in step.
const LOOK_AGAIN_MILLIS: std::ops::Range<u64> = 5..50;

pub(super) enum Found {
    Lock(Claim),
    Holder(Box<Joined>),
}

/// A holder that serves what it was offered.
pub(super) struct Joined {
    pub(super) welcome: Welcome,
    pub(super) session: Session,
    pub(super) offered: Offered,
}

impl Begun {
    /// Joins the holder, or takes the lock; unless we are told to stop first.
    pub(super) async fn look(&mut self, until: impl Future<Output = ()>) -> Result<Found, Exit> {
        let mut guest = self.guest.take();
        let known = guest.as_ref().map(|guest| guest.offered().clone());
        let found = tokio::select! {
            found = self.seek(known) => found,
            () = told_to_go(guest.as_mut()) => Err(Exit::Fine),
            () = until => Err(Exit::Fine),
        };
        self.guest = guest;
        found
    }

    /// A holder that is only starting, or just went, is waited for.
    async fn seek(&self, known: Option<Offered>) -> Result<Found, Exit> {
        let end = Instant::now() + HOLDER_STARTS_MAX;
        loop {
            if self.joining == Joining::Allowed
                && let Some(joined) = self.join(known.as_ref()).await?
            {
                return Ok(Found::Holder(Box::new(joined)));
            }
            match Claim::attempt(&self.place) {
                Ok(Some(claim)) => return Ok(Found::Lock(claim)),
                Ok(None) if self.joining == Joining::Refused || Instant::now() > end => {
                    let held = match Claim::take(&self.place).await {
                        Ok(claim) => return Ok(Found::Lock(claim)),
                        Err(held) => held,
                    };
                    return Err(up::not_claimed(&held));
                }
                Ok(None) => {
                    let millis = fastrand::u64(LOOK_AGAIN_MILLIS);
                    time::sleep(Duration::from_millis(millis)).await;
                }
                Err(problem) => return Err(up::not_claimed(&problem)),
            }
        }
    }

    /// None: nobody is there, or nobody who answers yet.
    async fn join(&self, known: Option<&Offered>) -> Result<Option<Joined>, Exit> {
        if !client::is_there(&self.place).await {
            return Ok(None);
        }
        let offered = match known {
            Some(offered) => offered.clone(),
            None => self.offered()?,
        };
        let join = self.request(&offered);
        match session::join(&self.place, &join, JOIN_TIME).await {
            Ok((welcome, session)) => Ok(Some(Joined {
                welcome,
                session,
                offered,
            })),
            // One that is about to end, or only just begins.
            Err(NotJoined::NobodyThere | NotJoined::Broken(_)) => Ok(None),
            Err(NotJoined::Refused(refusal)) if refusal.error == Refusal::BUSY => Ok(None),
            Err(NotJoined::Refused(refusal)) => {
                say::err(&refusal.text);
                Err(Exit::As(refusal.exit))
            }
            Err(problem) => {
                say::error("control", &problem);
                Err(Exit::Failed)
            }
        }
    }

    fn offered(&self) -> Result<Offered, Exit> {
        let offered = self.source.offer(Some(&self.loaded));
        let (offer, loaded) = offered.map_err(|refused| {
            say::refused(&refused);
            Exit::Configuration
        })?;
        Ok(Offered { offer, loaded })
    }

    fn request(&self, offered: &Offered) -> Join {
        Join {
            versions: Versions::own(),
            owner: self.owner.clone(),
            offer: offered.offer.clone(),
            insistence: self.insistence,
            log: offered.log(),
            token: self.token.clone(),
        }
    }
}

/// Never, if we were nobody's guest: until then a signal ends us by itself.
async fn told_to_go(guest: Option<&mut Guest>) {
    match guest {
        Some(guest) => guest.told_to_go().await,
        None => pending().await,
    }
}

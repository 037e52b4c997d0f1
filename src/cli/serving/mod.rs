//! Serving sites, whoever has the door: as its holder, as a guest of the holder, and as its heir.

mod holding;
mod wish;

use std::path::Path;
use std::time::Duration;

use tokio::time::{self, Instant};

use super::{Exit, say, up};
use crate::app::guest::{Guest, Offered, Parting};
use crate::app::handover::SUCCEED;
use crate::app::heritage::{Heritage, descriptors_of};
use crate::app::source::Source;
use crate::app::storing::Depot;
use crate::app::{Beginning, Heed};
use crate::config::Loaded;
use crate::config::doorway::Doorway;
use crate::control::claim::{Claim, ClaimProblem};
use crate::control::client;
use crate::control::leases::Insistence;
use crate::control::owner::Owner;
use crate::control::place::Place;
use crate::control::session::guest::{self as session, NotJoined, Session};
use crate::control::session::message::{Join, Told, Versions, Welcome};
use crate::ports::passed::Passed;
pub(super) use wish::{Greeting, Joining, Served, Wish, insistence, owner};

/// How long a holder may take from its lock to its socket before we give up.
const HOLDER_STARTS_MAX: Duration = Duration::from_secs(15);
/// How long a holder may take to put our sites into service. One that is stuck is not waited for any longer.
const JOIN_TIME: Duration = Duration::from_secs(12);
/// How long a person waits before they are told for whom.
const WAIT_UNTOLD_MAX: Duration = Duration::from_secs(1);
/// How long it is waited before the door is looked for again, at least and at most: guests that lose their holder must not march in step.
const LOOK_AGAIN_MILLIS: std::ops::Range<u64> = 5..50;

/// Serves the sites until we are told to stop or `until` ends. `served` is called once they are, and whenever somebody else serves them.
pub(in crate::cli) async fn serve(
    wish: Wish,
    loaded: Loaded,
    until: impl Future<Output = ()>,
    served: &mut dyn FnMut(Served),
) -> Exit {
    let mut until = std::pin::pin!(until);
    let owner = owner();
    let mut passed = Some(wish.passed);
    let mut begun = Begun {
        source: wish.source,
        heed: wish.heed,
        loaded,
        place: wish.place,
        storage: wish.storage,
        joining: wish.joining,
        insistence: wish.insistence,
        greeting: wish.greeting,
        owner,
        guest: None,
        token: None,
        doorway: None,
        greeted: false,
    };
    if std::env::var_os(SUCCEED).is_some() {
        return match begun.succeed().await {
            Ok((heritage, session)) => {
                let origin = Beginning::Inherited(Box::new(heritage));
                let ended = begun.hold(origin, Some(session), until, served).await;
                ended.unwrap_or(Exit::Failed)
            }
            Err(problem) => {
                say::err(&format!("error[not-restarted]: {problem}\n"));
                Exit::Failed
            }
        };
    }
    loop {
        let place = begun.place.clone();
        match told_of_wait(&place, begun.look()).await {
            Ok(Found::Lock(claim)) => {
                let passed = passed.take().unwrap_or_else(Passed::none);
                let origin = Beginning::Fresh { claim, passed };
                let ended = begun.hold(origin, None, until.as_mut(), served).await;
                if let Some(exit) = ended {
                    return exit;
                }
            }
            Ok(Found::Holder(joined)) => {
                let (welcome, session) = *joined;
                served(Served::by(&welcome));
                match begun.be_guest(&welcome, session, until.as_mut()).await {
                    Ok(Parting::Left) => return Exit::Fine,
                    Ok(Parting::Ended { reason }) => {
                        say::err(&format!("these sites are served no more: {reason}\n"));
                        return Exit::Fine;
                    }
                    Ok(Parting::Orphaned) => {}
                    Ok(Parting::Heir { heritage, session }) => {
                        let origin = Beginning::Inherited(heritage);
                        let former = Some(*session);
                        let ended = begun.hold(origin, former, until.as_mut(), served).await;
                        if let Some(exit) = ended {
                            return exit;
                        }
                    }
                    Err(exit) => return exit,
                }
            }
            Err(exit) => return exit,
        }
    }
}

/// Says whom we wait for, if it takes so long that a person wonders.
async fn told_of_wait<T>(place: &Place, waiting: impl Future<Output = T>) -> T {
    let mut waiting = std::pin::pin!(waiting);
    if let Ok(done) = time::timeout(WAIT_UNTOLD_MAX, waiting.as_mut()).await {
        return done;
    }
    match Claim::holder(place) {
        Some(pid) => say::err(&format!("waiting for pid {pid}, which has the door\n")),
        None => say::err("waiting for another onedoor, which has the door\n"),
    }
    waiting.await
}

/// What is known of our sites, whoever serves them.
struct Begun {
    source: Source,
    heed: Heed,
    loaded: Loaded,
    place: Place,
    storage: Depot,
    joining: Joining,
    insistence: Insistence,
    greeting: Greeting,
    owner: Owner,
    /// Kept over the times without a holder.
    guest: Option<Guest>,
    /// Takes our lease up again.
    token: Option<String>,
    /// Of the door that served us.
    doorway: Option<Doorway>,
    greeted: bool,
}

enum Found {
    Lock(Claim),
    Holder(Box<(Welcome, Session)>),
}

impl Begun {
    /// Joins the holder, or takes the lock. A holder that is only starting, or just went, is waited for.
    async fn look(&mut self) -> Result<Found, Exit> {
        let end = Instant::now() + HOLDER_STARTS_MAX;
        loop {
            if self.joining == Joining::Allowed
                && let Some(joined) = self.join().await?
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
                // The door of another user, which served us and may come back.
                Err(ClaimProblem::Folder(_))
                    if self.token.is_some()
                        && self.place.owner().is_ok()
                        && Instant::now() < end =>
                {
                    let millis = fastrand::u64(LOOK_AGAIN_MILLIS);
                    time::sleep(Duration::from_millis(millis)).await;
                }
                Err(problem) => return Err(up::not_claimed(&problem)),
            }
        }
    }

    /// None: nobody is there, or nobody who answers yet.
    async fn join(&mut self) -> Result<Option<(Welcome, Session)>, Exit> {
        if !client::is_there(&self.place).await {
            return Ok(None);
        }
        let offered = match &self.guest {
            Some(guest) => guest.offered().clone(),
            None => self.offered()?,
        };
        let join = self.request(&offered);
        match session::join(&self.place, &join, JOIN_TIME).await {
            Ok(joined) => {
                self.become_guest(offered)?;
                Ok(Some(joined))
            }
            // One that is about to end, or only just begins.
            Err(NotJoined::NobodyThere | NotJoined::Broken(_)) => Ok(None),
            Err(NotJoined::Refused(refusal)) if refusal.error == "busy" => Ok(None),
            Err(NotJoined::Refused(refusal)) => {
                say::err(&refusal.text);
                Err(Exit::As(refusal.exit))
            }
            Err(NotJoined::TimedOut) => Err(up::not_answered(&self.place)),
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

    fn become_guest(&mut self, offered: Offered) -> Result<(), Exit> {
        if self.guest.is_some() {
            return Ok(());
        }
        let guest = Guest::new(self.source.clone(), self.heed, offered, self.place.clone());
        self.guest = Some(guest.map_err(|error| up::not_started(&error))?);
        Ok(())
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

    async fn be_guest(
        &mut self,
        welcome: &Welcome,
        session: Session,
        until: impl Future<Output = ()>,
    ) -> Result<Parting, Exit> {
        let Some(mut guest) = self.guest.take() else {
            return Ok(Parting::Orphaned);
        };
        self.token = Some(welcome.token.clone());
        self.storage = self.storage.heir_of(&welcome.storage);
        self.doorway.clone_from(&welcome.doorway);
        self.greet(welcome);
        let parting = Box::pin(guest.run(session, welcome.accepted.revision, until)).await;
        self.loaded = guest.offered().loaded.clone();
        self.guest = Some(guest);
        Ok(parting)
    }

    fn greet(&mut self, welcome: &Welcome) {
        for note in &welcome.accepted.notes {
            say::err(&format!("note: {note}\n"));
        }
        if self.greeting == Greeting::Silent {
            return;
        }
        if std::mem::replace(&mut self.greeted, true) {
            say::out(&format!("served by pid {} now\n", welcome.pid));
            return;
        }
        say::out(&welcome.accepted.table);
        say::out(&format!("served by pid {}\n", welcome.pid));
        if let Some(root) = &welcome.local_ca {
            say::out(&trust(root));
        }
    }

    /// Asks the holder that started us for the door.
    async fn succeed(&mut self) -> Result<(Heritage, Session), String> {
        let mut session = session::succeed(&self.place, &self.owner, JOIN_TIME)
            .await
            .map_err(|error| error.to_string())?;
        loop {
            match session.next().await.map_err(|error| error.to_string())? {
                Told::Inherit(estate) => {
                    let descriptors = session.take_descriptors(descriptors_of(&estate));
                    let heritage = Heritage::open(self.place.clone(), *estate, descriptors)
                        .map_err(|error| error.to_string())?;
                    return Ok((heritage, session));
                }
                Told::Ended { reason } => return Err(reason),
                Told::Welcome(_)
                | Told::Accepted(_)
                | Told::Refused(_)
                | Told::Lines(_)
                | Told::Note(_)
                | Told::Moved { .. } => {}
            }
        }
    }
}

fn trust(root: &Path) -> String {
    format!("clients must trust the local CA: {}\n", root.display())
}

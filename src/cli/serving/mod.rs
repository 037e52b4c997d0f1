//! Serving sites, whoever has the door: as its holder, as a guest of the holder, and as its heir.

mod wait;
mod wish;

use std::path::{Path, PathBuf};
use std::process;
use std::time::Duration;

use tokio::time::{self, Instant};

use super::{Exit, say, up};
use crate::app::guest::{Guest, Offered, Parting};
use crate::app::handover::{Heritage, SUCCEED, descriptors_of};
use crate::app::source::Source;
use crate::app::{App, Beginning, Ending, Heed, Setup, StartError, attend};
use crate::config::Loaded;
use crate::config::doorway::Doorway;
use crate::control::claim::{Claim, ClaimProblem};
use crate::control::client;
use crate::control::leases::Insistence;
use crate::control::owner::Owner;
use crate::control::place::Place;
use crate::control::session::guest::{self as session, NotJoined, Session};
use crate::control::session::message::{Join, Said, Told, Versions, Welcome};
use crate::ports::passed::Passed;
use crate::storage::files::Storage;
use wait::told_of_wait;
pub(super) use wish::{Greeting, Joining, Served, Wish, insistence, owner};

/// How long a holder may take from its lock to its socket before we give up.
const HOLDER_STARTS_MAX: Duration = Duration::from_secs(15);
/// How long a holder may take to put our sites into service. One that is stuck is not waited for any longer.
const JOIN_TIME: Duration = Duration::from_secs(12);
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
                begun
                    .hold(
                        Beginning::Inherited(Box::new(heritage)),
                        Some(session),
                        until,
                        served,
                    )
                    .await
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
                return begun
                    .hold(Beginning::Fresh { claim, passed }, None, until, served)
                    .await;
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
                        return begun.hold(origin, Some(*session), until, served).await;
                    }
                    Err(exit) => return exit,
                }
            }
            Err(exit) => return exit,
        }
    }
}

/// What is known of our sites, whoever serves them.
struct Begun {
    source: Source,
    heed: Heed,
    loaded: Loaded,
    place: Place,
    storage: PathBuf,
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
        self.guest = Some(guest.map_err(|error| {
            say::error("access-log", &error);
            Exit::Configuration
        })?);
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
        self.storage.clone_from(&welcome.storage);
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

    /// Has the door until it ends for us. `former` waits for the word that we serve.
    async fn hold(
        self,
        origin: Beginning,
        former: Option<Session>,
        until: impl Future<Output = ()>,
        served: &mut dyn FnMut(Served),
    ) -> Exit {
        let (storage, doorway) = match &origin {
            Beginning::Fresh { .. } => (self.storage, self.doorway),
            Beginning::Inherited(heritage) => {
                (heritage.storage().to_owned(), heritage.doorway().cloned())
            }
        };
        let (source, mut loaded) = match self.guest {
            Some(guest) => guest.into_parts(),
            None => (self.source, self.loaded),
        };
        if doorway.is_some() {
            match source.load_at(doorway.as_ref(), Some(&loaded)) {
                Ok(there) => loaded = there,
                Err(refused) => return not_held(&StartError::Config(refused), former).await,
            }
        }
        let app = App::start(Setup {
            source,
            heed: self.heed,
            doorway,
            loaded,
            storage: Storage::at(storage),
            owner: self.owner,
            insistence: self.insistence,
            origin,
        });
        let app = match Box::pin(app).await {
            Ok(app) => app,
            Err(error) => return not_held(&error, former).await,
        };
        served(Served {
            holder: process::id(),
            urls: app.own_urls(),
            storage: app.storage(),
            local_ca: app.local_ca_path().map(Path::to_owned),
        });
        let is_heir = former.is_some();
        if let Some(mut former) = former {
            // A holder that is gone already needs no word.
            let _gone = former.say(&Said::Took).await;
        }
        if self.greeting == Greeting::Table {
            greet_as_holder(&app, is_heir && self.greeted);
        }
        match app.run(until).await {
            Ending::Stopped => Exit::Fine,
            Ending::PassedOn(child) => attended(child).await,
        }
    }
}

/// Says why the door cannot be had, to the person here and to the former holder, who goes on or asks somebody else.
async fn not_held(error: &StartError, former: Option<Session>) -> Exit {
    let exit = up::not_started(error);
    if let Some(mut former) = former {
        let problem = "it did not start; it said why in its own terminal".to_owned();
        // One that is gone needs no word.
        let _gone = former.say(&Said::CannotTake { problem }).await;
    }
    exit
}

fn greet_as_holder(app: &App, was_guest: bool) {
    if was_guest {
        say::out("this onedoor has the door now\n");
        return;
    }
    say::out(&app.banner());
    if let Some(root) = app.local_ca_path() {
        say::out(&trust(root));
    }
}

fn trust(root: &Path) -> String {
    format!("clients must trust the local CA: {}\n", root.display())
}

/// Whoever started us waits for us; the new process serves.
async fn attended(child: tokio::process::Child) -> Exit {
    if std::env::var_os("NOTIFY_SOCKET").is_some() {
        // The service manager was told whom to wait for.
        return Exit::Fine;
    }
    match attend::attend(child).await {
        Ok(code) => Exit::As(code),
        Err(error) => {
            say::error("system", &error);
            Exit::Failed
        }
    }
}

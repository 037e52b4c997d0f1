//! Serving sites, whoever has the door: as its holder, as a guest of the holder, and as its heir.

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
use crate::config::doorway::Doorway;
use crate::config::{Loaded, Refused};
use crate::control::claim::Claim;
use crate::control::leases::Insistence;
use crate::control::owner::Owner;
use crate::control::place::Place;
use crate::control::session::guest::{self as session, NotJoined, Session};
use crate::control::session::message::{Join, LogForm, Refusal, Said, Told, Versions, Welcome};
use crate::ports::passed::Passed;
use crate::storage::files::Storage;
pub(super) use wish::{Greeting, Joining, Served, Wish, insistence, owner};

/// How long a holder may take from its lock to its socket before we give up.
const HOLDER_STARTS_MAX: Duration = Duration::from_secs(15);
/// How long a holder may take to put our sites into service.
const JOIN_TIME: Duration = Duration::from_secs(30);
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
                Box::pin(begun.hold(origin, Some(session), until, served)).await
            }
            Err(problem) => {
                say::err(&format!("error[not-restarted]: {problem}\n"));
                Exit::Failed
            }
        };
    }
    loop {
        match begun.look(until.as_mut()).await {
            Ok(Found::Lock(claim)) => {
                let passed = passed.take().unwrap_or_else(Passed::none);
                let origin = Beginning::Fresh { claim, passed };
                return Box::pin(begun.hold(origin, None, until, served)).await;
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
                        let held = begun.hold(origin, Some(*session), until, served);
                        return Box::pin(held).await;
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
    /// Joins the holder, or takes the lock; unless we are told to stop first.
    async fn look(&mut self, until: impl Future<Output = ()>) -> Result<Found, Exit> {
        let mut guest = match self.guest.take() {
            Some(guest) => guest,
            None => self.guest()?,
        };
        let join = self.request(guest.offered().offer.clone(), guest.log());
        let found = tokio::select! {
            found = self.seek(&join) => found,
            () = guest.told_to_go() => Err(Exit::Fine),
            () = until => Err(Exit::Fine),
        };
        self.guest = Some(guest);
        found
    }

    /// As which we join, if there is somebody to be joined.
    fn guest(&self) -> Result<Guest, Exit> {
        let (offer, loaded) = self.source.offer(Some(&self.loaded)).map_err(|refused| {
            say::refused(&refused);
            Exit::Configuration
        })?;
        let offered = Offered { offer, loaded };
        let guest = Guest::new(self.source.clone(), self.heed, offered, self.place.clone());
        guest.map_err(|error| up::not_started(&error))
    }

    /// A holder that is only starting, or just went, is waited for.
    async fn seek(&self, join: &Join) -> Result<Found, Exit> {
        let end = Instant::now() + HOLDER_STARTS_MAX;
        loop {
            if self.joining == Joining::Allowed
                && let Some(joined) = self.join(join).await?
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
    async fn join(&self, join: &Join) -> Result<Option<(Welcome, Session)>, Exit> {
        match session::join(&self.place, join, JOIN_TIME).await {
            Ok(joined) => Ok(Some(joined)),
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

    fn request(&self, offer: crate::config::offer::Offer, log: LogForm) -> Join {
        Join {
            versions: Versions::own(),
            owner: self.owner.clone(),
            offer,
            insistence: self.insistence,
            log,
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
        let (source, offered, signals) = match self.guest {
            Some(guest) => {
                let (source, offered, signals) = guest.into_parts();
                (source, Some(offered), Some(signals))
            }
            None => (self.source, None, None),
        };
        let loaded = match (&doorway, &offered) {
            (None, _) => Ok(self.loaded),
            (Some(doorway), None) => source.load_at(Some(doorway), Some(&self.loaded)),
            (Some(doorway), Some(offered)) => there(&source, offered, doorway),
        };
        let loaded = match loaded {
            Ok(loaded) => loaded,
            Err(refused) => return not_held(&StartError::Config(refused), former).await,
        };
        let app = App::start(Setup {
            source,
            heed: self.heed,
            doorway,
            loaded,
            storage: Storage::at(storage),
            owner: self.owner,
            insistence: self.insistence,
            origin,
            signals,
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

/// Our configuration at the door that served us; as it was last served if the files cannot be read now.
fn there(source: &Source, offered: &Offered, doorway: &Doorway) -> Result<Loaded, Refused> {
    source
        .load_at(Some(doorway), Some(&offered.loaded))
        .or_else(|refused| {
            let loaded = offered.at(doorway)?;
            say::refused(&refused);
            say::err("note: the configuration stays in service as it was before\n");
            Ok(loaded)
        })
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

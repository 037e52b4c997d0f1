//! Serving sites, whoever has the door: as its holder, as a guest of the holder, and as its heir.

mod look;
mod wish;

use std::path::{Path, PathBuf};
use std::process;
use std::time::Duration;

use super::{Exit, say, up};
use crate::app::guest::{Guest, Offered, Parting};
use crate::app::handover::{Heritage, SUCCEED, descriptors_of};
use crate::app::source::Source;
use crate::app::{App, Beginning, Ending, Heed, Setup, StartError, attend};
use crate::config::doorway::Doorway;
use crate::config::{Loaded, Refused};
use crate::control::leases::Insistence;
use crate::control::owner::Owner;
use crate::control::place::Place;
use crate::control::session::guest::{self as session, Session};
use crate::control::session::message::{Said, Told, Welcome};
use crate::ports::passed::Passed;
use crate::storage::files::Storage;
use look::{Found, Joined};
pub(super) use wish::{Greeting, Joining, Served, Wish, insistence, owner};

/// How long a holder may take to put our sites into service.
const JOIN_TIME: Duration = Duration::from_secs(30);
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
                served(Served::by(&joined.welcome));
                match begun.be_guest(*joined, until.as_mut()).await {
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

impl Begun {
    async fn be_guest(
        &mut self,
        joined: Joined,
        until: impl Future<Output = ()>,
    ) -> Result<Parting, Exit> {
        let Joined {
            welcome,
            session,
            offered,
        } = joined;
        let mut guest = match self.guest.take() {
            Some(guest) => guest,
            None => Guest::new(self.source.clone(), self.heed, offered, self.place.clone())
                .map_err(|error| up::not_started(&error))?,
        };
        self.token = Some(welcome.token.clone());
        self.storage.clone_from(&welcome.storage);
        self.doorway.clone_from(&welcome.doorway);
        self.greet(&welcome);
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
        if let Some(mut former) = former {
            // A holder that is gone already needs no word.
            let _gone = former.say(&Said::Took).await;
        }
        if self.greeting == Greeting::Table {
            greet_as_holder(&app, self.greeted);
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

//! Having the door: as the first one, or as the heir of another, who may have given it to somebody else meanwhile.

use std::process;
use std::time::Duration;

use tokio::time;

use super::{Begun, Greeting, Served, trust};
use crate::app::guest::{Guest, Offered};
use crate::app::{App, Beginning, Ending, Setup, StartError};
use crate::cli::{Exit, say, up};
use crate::config::doorway::Doorway;
use crate::config::{Loaded, Refused};
use crate::control::session::guest::Session;
use crate::control::session::message::{Said, Told};

/// How long a former holder may take to say that the door is ours.
const LAST_WORD_TIME: Duration = Duration::from_secs(10);

impl Begun {
    /// Has the door until it ends for us. `former` waits for the word that we serve; without an exit it goes on itself, or gave the
    /// door to somebody else.
    pub(super) async fn hold(
        &mut self,
        origin: Beginning,
        former: Option<Session>,
        until: impl Future<Output = ()>,
        served: &mut dyn FnMut(Served),
    ) -> Option<Exit> {
        let mut app = match Box::pin(self.start(origin)).await {
            Ok(app) => app,
            Err(error) => return not_held(&error, former).await,
        };
        let is_heir = former.is_some();
        if let Some(former) = former
            && !is_given(&mut app, former).await
        {
            app.withdraw().await;
            return None;
        }
        // From here on the files are watched by the door.
        let was_guest = self.guest.take().is_some();
        served(Served {
            holder: process::id(),
            urls: app.own_urls(),
            storage: app.storage(),
            local_ca: app.local_ca_path(),
        });
        if self.greeting == Greeting::Table {
            greet_as_holder(&app, is_heir && self.greeted);
        }
        if was_guest {
            app.look().await;
        }
        match app.run(until).await {
            Ending::Stopped => Some(Exit::Fine),
            Ending::Attended(code) => Some(Exit::As(code)),
        }
    }

    async fn start(&mut self, origin: Beginning) -> Result<App, StartError> {
        let (storage, doorway) = match &origin {
            Beginning::Fresh { .. } => (self.storage.clone(), self.doorway.clone()),
            Beginning::Inherited(heritage) => (
                self.storage.heir_of(heritage.storage()),
                heritage.doorway().cloned(),
            ),
        };
        let loaded = match &doorway {
            Some(doorway) => self.load_at(doorway).map_err(StartError::Config)?,
            None => self.loaded.clone(),
        };
        let signals = self.guest.as_mut().map(Guest::give_signals);
        let signals = signals.transpose().map_err(StartError::System)?;
        App::start(Setup {
            source: self.source.clone(),
            heed: self.heed,
            doorway,
            loaded,
            storage,
            owner: self.owner.clone(),
            insistence: self.insistence,
            signals,
            origin,
        })
        .await
    }

    /// What was served by another process if there was one, whatever the files say now; else what they say.
    fn load_at(&self, doorway: &Doorway) -> Result<Loaded, Refused> {
        match &self.guest {
            Some(guest) => {
                let Offered { offer, loaded } = guest.offered();
                let read = offer.read_at(Some(doorway), Some(loaded))?;
                Ok(Loaded {
                    watched: loaded.watched.clone(),
                    ..read
                })
            }
            None => self.source.load_at(Some(doorway), Some(&self.loaded)),
        }
    }
}

/// Says why the door cannot be had, to the person here and to the former holder, who goes on or asks somebody else.
async fn not_held(error: &StartError, former: Option<Session>) -> Option<Exit> {
    let exit = up::not_started(error);
    let Some(mut former) = former else {
        return Some(exit);
    };
    let problem = "it did not start; it said why in its own terminal".to_owned();
    // One that is gone needs no word.
    let _gone = former.say(&Said::CannotTake { problem }).await;
    None
}

/// Tells the former holder that we serve, and hears whether the door is ours: it may have given it to somebody else meanwhile.
async fn is_given(app: &mut App, mut former: Session) -> bool {
    let word = async {
        former.say(&Said::Took).await.ok()?;
        loop {
            match former.next().await.ok()? {
                Told::Moved { pid } => return Some(pid == process::id()),
                Told::Ended { .. } => return Some(false),
                Told::Welcome(_)
                | Told::Accepted(_)
                | Told::Refused(_)
                | Told::Lines(_)
                | Told::Note(_)
                | Told::Inherit(_) => {}
            }
        }
    };
    let word = time::timeout(LAST_WORD_TIME, word).await;
    app.keep_door(word.ok().flatten())
}

fn greet_as_holder(app: &App, was_guest: bool) {
    if was_guest {
        say::out("this onedoor has the door now\n");
        return;
    }
    say::out(&app.banner());
    if let Some(root) = app.local_ca_path() {
        say::out(&trust(&root));
    }
}

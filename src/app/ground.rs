//! What a door stands on before anybody is let in: its storage, its sockets, and one configuration of all that is to be served.

use std::os::unix::net::UnixListener;
use std::sync::Arc;

use super::guests::Guests;
use super::heritage::Heritage;
use super::listeners::Listeners;
use super::local_ca::{Local, Missing};
use super::prepare::{Prepared, prepare, sorted};
use super::public::Keeping;
use super::start::{Beginning, LOOPBACK, Setup, StartError, tell_remarks, wall_clock};
use super::{luggage, saved};
use crate::certs::resolver::Resolver;
use crate::config::Loaded;
use crate::control::claim::Claim;
use crate::control::place::Place;
use crate::ports::passed::Passed;
use crate::routing::sockets_of;
use crate::shutdown::Shutdown;
use crate::storage::files::Storage;

pub(super) struct Ground {
    pub(super) storage: Storage,
    pub(super) resolver: Resolver,
    pub(super) local: Local,
    pub(super) shutdown: Shutdown,
    pub(super) keeping: Keeping,
    pub(super) own: Arc<Loaded>,
    pub(super) guests: Guests,
    pub(super) origin: Vec<u32>,
    pub(super) overrides: Vec<Option<u32>>,
    pub(super) prepared: Prepared,
    pub(super) claim: Claim,
    /// None: the control socket is to be opened.
    pub(super) control: Option<UnixListener>,
    pub(super) listeners: Listeners,
    pub(super) revision: u64,
}

impl Ground {
    /// Reads and binds everything.
    ///
    /// # Errors
    /// Nothing is left behind then.
    pub(super) async fn lay(setup: Setup) -> Result<Self, StartError> {
        let Setup {
            loaded,
            storage: depot,
            owner,
            insistence,
            origin,
            ..
        } = setup;
        let storage = Storage::at(depot.folder().to_owned());
        let resolver = Resolver::new();
        let shutdown = Shutdown::new();
        let keeping = Keeping::start(depot, &resolver, &shutdown).map_err(StartError::Storage)?;
        let own = sorted(loaded);
        let mut guests = Guests::new(owner, insistence);
        let luggage = luggage::of_door(&storage, origin.place());
        let begun = Begun::of(origin, &mut guests, &luggage, &own);
        saved::restore(keeping.own(), &luggage, &own, &mut guests).await;
        let composed = guests.compose(&own);
        let local = Local::new(keeping.safe().clone(), Missing::Make);
        let preparing = prepare(composed.loaded, &resolver, &local, wall_clock());
        let prepared = preparing.await.map_err(StartError::Config)?;
        tell_remarks(&prepared.remarks);
        let Begun {
            claim,
            control,
            mut listeners,
            passed,
            revision,
        } = begun;
        let wanted = sockets_of(&prepared.loaded.config, LOOPBACK);
        let (fresh, notes) = listeners
            .bind(&wanted, &prepared.loaded.config, passed)
            .map_err(StartError::Ports)?;
        notes.iter().for_each(|note| tracing::info!("{note}"));
        listeners.take_in(fresh);
        listeners.retain(&wanted);
        Ok(Self {
            storage,
            resolver,
            local,
            shutdown,
            keeping,
            own,
            guests,
            origin: composed.origin,
            overrides: composed.overrides,
            prepared,
            claim,
            control,
            listeners,
            revision,
        })
    }
}

/// What a door begins with, by whichever way.
struct Begun {
    claim: Claim,
    control: Option<UnixListener>,
    listeners: Listeners,
    passed: Passed,
    revision: u64,
}

impl Begun {
    fn of(origin: Beginning, guests: &mut Guests, luggage: &Storage, own: &Arc<Loaded>) -> Self {
        match origin {
            Beginning::Fresh { claim, passed } => Self {
                claim,
                control: None,
                listeners: Listeners::default(),
                passed,
                revision: 1,
            },
            Beginning::Inherited(heritage) => {
                let Heritage {
                    estate,
                    claim,
                    control,
                    sockets,
                } = *heritage;
                guests.take_over(&estate, luggage, own);
                Self {
                    claim,
                    control: Some(control),
                    listeners: Listeners::inherit(sockets),
                    passed: Passed::none(),
                    revision: estate.revision + 1,
                }
            }
        }
    }
}

impl Beginning {
    fn place(&self) -> &Place {
        match self {
            Self::Fresh { claim, .. } => claim.place(),
            Self::Inherited(heritage) => heritage.claim.place(),
        }
    }
}

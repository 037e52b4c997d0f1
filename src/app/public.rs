//! The keeper of public certificates, and what it is told anew at every reload.

use std::sync::Arc;
use std::time::SystemTime;

use jiff::Timestamp;

use super::App;
use super::alerts::Post;
use super::issuing::options;
use super::start::StartError;
use super::storing::{Depot, StoringError};
use crate::certs::alerts::event::Event;
use crate::certs::dns::error::DnsError;
use crate::certs::keeper::{Keeper, Outcome, Works, over_the_network};
use crate::certs::local_ca::safe::Safe;
use crate::certs::plan::{Meanwhile, Plan};
use crate::certs::resolver::{Demand, Resolver};
use crate::certs::tickets::Tickets;
use crate::clock::Clock;
use crate::config::Config;
use crate::config::acme;
use crate::config::acme::names::Ordered;
use crate::control::renewal::{Renewal, Renewer};
use crate::hostname::HostPattern;
use crate::shutdown::Shutdown;
use crate::storage::store::Store;

/// The keeper, and what it is told anew at every reload.
#[derive(Debug)]
pub(super) struct Keeping {
    depot: Depot,
    clock: Clock,
    store: Store,
    /// Of this machine alone.
    own: Store,
    safe: Safe,
    works: Arc<Works>,
    keeper: Keeper,
    post: Post,
}

impl Keeping {
    /// Starts a keeper that keeps nothing yet.
    ///
    /// # Errors
    /// When the storage cannot even be tried.
    pub(super) fn start(
        depot: Depot,
        resolver: &Resolver,
        shutdown: &Shutdown,
    ) -> Result<Self, StoringError> {
        let clock = Clock::system();
        let store = depot.open(&clock)?;
        let safe = depot.safe_of(store.clone());
        let post = Post::open(store.clone(), clock.clone(), shutdown);
        let works = Arc::new(Works::new(
            store.clone(),
            clock.clone(),
            resolver.shelf().clone(),
            resolver.challenges().clone(),
            post.listener(),
            depot.to_string(),
            over_the_network(),
        ));
        let keeper = Keeper::start(works.clone(), shutdown);
        keeper.watch(shutdown);
        shutdown.spawn_attendant(works.clone().try_storage());
        resolver
            .challenges()
            .look_into(store.clone(), clock.clone(), shutdown);
        let demanded = keeper.clone();
        resolver.obtain_by(Demand::new(move |name| {
            let keeper = demanded.clone();
            async move { keeper.demand(name).await }
        }));
        Ok(Self {
            own: depot.own(&clock),
            store,
            safe,
            depot,
            clock,
            keeper,
            works,
            post,
        })
    }

    /// Puts what is kept of the plan's names where handshakes find it.
    pub(super) async fn load(&self, plan: &Plan, config: &Config) {
        self.works.load(&names(plan, config)).await;
    }

    /// Who tells of other things, too.
    pub(super) fn post(&self) -> Post {
        self.post.clone()
    }

    /// What of this machine alone outlives the process.
    pub(super) fn own(&self) -> &Store {
        &self.own
    }

    /// Where the local CA is kept.
    pub(super) fn safe(&self) -> &Safe {
        &self.safe
    }

    /// Where everything else is kept.
    pub(super) fn depot(&self) -> &Depot {
        &self.depot
    }

    /// What is wrong with the storage, in words.
    pub(super) fn storage_problem(&self) -> Option<String> {
        self.works.storage_problem()
    }

    /// The keys of session tickets: the fleet's, if there is one.
    ///
    /// # Errors
    /// When the crypto library has no randomness.
    pub(super) async fn tickets(&self, shutdown: &Shutdown) -> Result<Tickets, StartError> {
        let tickets = Tickets::of(&self.store, &self.clock, shutdown).await;
        tickets.map_err(|_error| StartError::Tls(rustls::Error::FailedToGetRandomBytes))
    }

    /// Renews for whoever asks at the control socket.
    pub(super) fn renewer(&self) -> Renewer {
        let keeper = self.keeper.clone();
        Renewer::new(move |name| {
            let keeper = keeper.clone();
            Box::pin(async move { told(keeper.renew(name).await) })
        })
    }
}

impl App {
    /// For those who are told by `[alerts]`.
    pub(super) fn tell_refusal(&self, problem: &str) {
        self.keeping.post.tell(Event::ConfigRefused {
            problem: problem.to_owned(),
        });
    }

    /// Ends a refusal that was told.
    pub(super) fn tell_acceptance(&self) {
        self.keeping.post.tell(Event::ConfigAccepted);
    }

    /// Keeps the names of the generation in service from now on.
    ///
    /// # Errors
    /// A publisher of DNS records that cannot be used; then all stays as it was.
    pub(super) async fn keep(&self) -> Result<(), DnsError> {
        let Keeping {
            depot,
            clock,
            keeper,
            works,
            post,
            ..
        } = &self.keeping;
        if let Err(error) = post.adopt(&self.loaded.config.alerts) {
            tracing::error!(%error, "`alerts.webhook` cannot be used: nobody else is told");
        }
        let options = options(&self.loaded.config, depot, clock)?;
        let names = names(&self.current.plan, &self.loaded.config);
        works.load(&names).await;
        keeper.keep(names, Arc::new(options)).await;
        Ok(())
    }
}

fn told(outcome: Outcome) -> Renewal {
    let at = |time: SystemTime| Timestamp::try_from(time).unwrap_or(Timestamp::MAX);
    match outcome {
        Outcome::Fine { generation, until } => Renewal::Fine {
            generation,
            until: at(until),
        },
        Outcome::Renewed { generation, until } => Renewal::Renewed {
            generation,
            until: at(until),
        },
        Outcome::Failed { problem, again } => Renewal::Failed {
            problem,
            again: at(again),
        },
        Outcome::Busy => Renewal::Busy,
        Outcome::Unknown => Renewal::Unknown,
        Outcome::ServesOnly => Renewal::ServesOnly,
    }
}

/// What a name without a certificate yet is shown; none without public certificates.
pub(super) fn meanwhile(config: &Config) -> Option<Meanwhile> {
    config.acme.as_ref().map(|acme| match acme.meanwhile {
        acme::Meanwhile::Refuse => Meanwhile::Refuse,
        acme::Meanwhile::Internal => Meanwhile::LocalCa,
    })
}

/// The names that are kept from the start on.
pub(super) fn names(plan: &Plan, config: &Config) -> Vec<HostPattern> {
    let Some(acme) = &config.acme else {
        return Vec::new();
    };
    let at_start = |name: &HostPattern| acme.ordered(name) == Ok(Ordered::AtStart);
    plan.kept()
        .iter()
        .map(|kept| kept.name.clone())
        .filter(at_start)
        .collect()
}

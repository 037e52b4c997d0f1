//! Changing what is served: the new whole is composed, checked and bound; only then is it put in place of the old.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use super::App;
use super::guests::Guests;
use super::prepare::{Prepared, Sketch};
use super::start::{LOOPBACK, assemble, tell_remarks, wall_clock};
use crate::config::problem::{Color, render};
use crate::config::{Config, Loaded, Refused};
use crate::control::session::message::Refusal;
use crate::door::{Current, Order};
use crate::ports::problem::PortProblem;
use crate::routing::sockets_of;

/// How long workers are waited for that are to adopt a new whole.
const ADOPTION_TIME: Duration = Duration::from_secs(1);

/// A whole that may be served.
#[derive(Debug)]
pub(super) struct Change {
    own: Arc<Loaded>,
    guests: Guests,
    prepared: Prepared,
    origin: Vec<u32>,
    overrides: Vec<Option<u32>>,
    /// What a lease asks for and does not get, by its number.
    pub(super) notes: Vec<(u32, String)>,
}

/// Why nothing changed.
#[derive(Debug)]
pub(super) enum NotReloaded {
    Config(Refused),
    Ports(PortProblem),
    /// A guest's socket cannot be had beside those that are there.
    Clash(String),
    System(io::Error),
}

impl NotReloaded {
    pub(super) fn stopped(error: tokio::task::JoinError) -> Self {
        Self::System(io::Error::other(error))
    }

    /// The same for whoever asked from another process.
    pub(super) fn refusal(self) -> Refusal {
        let refusal = |error: &str, text, exit| Refusal {
            error: error.to_owned(),
            text,
            exit,
        };
        match self {
            Self::Config(Refused { problems, sources }) => {
                refusal("bad-config", render(&problems, &sources, Color::Never), 2)
            }
            Self::Ports(problem) => refusal("port", problem.render(), problem.exit_code()),
            Self::Clash(clash) => refusal("port", format!("error[port]: {clash}\n"), 4),
            Self::System(error) => refusal("system", format!("error[system]: {error}\n"), 1),
        }
    }
}

impl App {
    /// Composes and checks a new whole; nothing is bound or changed.
    pub(super) async fn consider(
        &self,
        own: Arc<Loaded>,
        guests: Guests,
    ) -> Result<Change, NotReloaded> {
        let resolver = self.resolver.clone();
        let considering = tokio::task::spawn_blocking(move || {
            let composed = guests.compose(&own);
            if let Some((_lease, clash)) = composed.clashes.into_iter().next() {
                return Err(NotReloaded::Clash(clash));
            }
            let sketch = Sketch::draw(composed.loaded, &resolver, wall_clock());
            Ok((
                own,
                guests,
                sketch,
                composed.origin,
                composed.overrides,
                composed.notes,
            ))
        });
        let considered = considering.await.map_err(NotReloaded::stopped)??;
        let (own, guests, sketch, origin, overrides, notes) = considered;
        let settling = sketch.settle(&self.resolver, &self.local, wall_clock());
        Ok(Change {
            own,
            guests,
            prepared: settling.await.map_err(NotReloaded::Config)?,
            origin,
            overrides,
            notes,
        })
    }

    /// Puts a new whole into service.
    ///
    /// # Errors
    /// A socket that cannot be bound; then all is as it was.
    pub(super) async fn adopt(&mut self, change: Change) -> Result<(), NotReloaded> {
        let Change {
            own,
            guests,
            prepared,
            origin,
            overrides,
            notes: _,
        } = change;
        let wanted = sockets_of(&prepared.loaded.config, LOOPBACK);
        let bound = self
            .listeners
            .bind_instead(&wanted, &prepared.loaded.config);
        if bound.is_err() {
            self.listeners
                .accept(&self.workers, &self.capacity)
                .map_err(NotReloaded::System)?;
        }
        let (fresh, notes) = bound.map_err(NotReloaded::Ports)?;
        for note in notes {
            tracing::info!("{note}");
        }
        tell_remarks(&prepared.remarks);
        for key in needs_restart(&self.own.config, &own.config) {
            tracing::warn!("`{key}` changed: it takes effect at the next start");
        }
        let revision = self.current.table.routes.revision + 1;
        let port_of = |port| self.listeners.port_of(&fresh, port);
        let (loaded, current) = assemble(
            prepared,
            &self.resolver,
            revision,
            &port_of,
            &self.current.table.common,
        );
        self.listeners.retain(&wanted);
        self.listeners.take_in(fresh);
        self.serve_by(&current).await;
        self.capacity
            .set_max(loaded.config.limits.connections.min(self.connections_max));
        self.files.follow(&own);
        (self.own, self.guests) = (own, guests);
        (self.origin, self.overrides) = (origin, overrides);
        (self.loaded, self.current) = (loaded, current);
        // The new configuration is in service by now, whatever becomes of a socket that it added.
        if let Err(error) = self.listeners.accept(&self.workers, &self.capacity) {
            tracing::error!(%error, "a new socket is bound, but nothing is accepted on it: SIGHUP tries again");
        }
        self.check_targets();
        self.attend_local_ca();
        if let Err(error) = self.keep().await {
            tracing::error!(%error, "`acme.dns` cannot be used: certificates are kept as before");
        }
        self.announce();
        Ok(())
    }

    /// Has every worker adopt it, and waits for that: whoever is told of a generation is served by it, on open connections too.
    async fn serve_by(&self, current: &Arc<Current>) {
        let mut adoptions = Vec::with_capacity(self.workers.len());
        for worker in self.workers.iter() {
            let (done, adopted) = oneshot::channel();
            let order = Order::Adopt(current.clone(), done);
            // A worker that is gone has told why.
            let _gone = worker.orders.send(order).await;
            adoptions.push(adopted);
        }
        let all = async {
            for adopted in adoptions {
                let _gone = adopted.await;
            }
        };
        if timeout(ADOPTION_TIME, all).await.is_err() {
            tracing::warn!("a worker is busy: it adopts the new configuration when it can");
        }
    }
}

/// The keys whose change a running process cannot follow.
fn needs_restart(old: &Config, new: &Config) -> Vec<&'static str> {
    let changes = [
        ("workers", old.workers != new.workers),
        ("storage", old.storage != new.storage),
        ("log", old.log != new.log),
        ("control.group", old.control.group != new.control.group),
    ];
    changes
        .into_iter()
        .filter(|(_key, changed)| *changed)
        .map(|(key, _changed)| key)
        .collect()
}

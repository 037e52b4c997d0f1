//! Reloading: the new whole is read, checked and bound; only then does anything change.

use super::App;
use super::prepare::{Prepared, prepare};
use super::start::{LOOPBACK, assemble, tell_remarks, wall_clock};
use crate::config::Config;
use crate::config::problem::{Color, render};
use crate::config::problem::{Problem, Sources};
use crate::config::{Loaded, Refused};
use crate::control::readiness;
use crate::door::Order;
use crate::ports::problem::PortProblem;
use crate::routing::sockets_of;

/// Why a reload is considered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// SIGHUP: also when nothing changed.
    Asked,
    /// A file changed; perhaps only a certificate.
    FilesChanged,
}

enum NotReloaded {
    Config(Refused),
    Ports(PortProblem),
    System(std::io::Error),
}

impl App {
    /// Reads everything again. A refused configuration changes nothing and is told with the same snippets as at the start.
    pub(super) async fn reload(&mut self, why: Why) {
        // Links may lead elsewhere now. What changes from here on is seen, even if nothing of it can be read yet.
        self.files.follow(&self.loaded);
        self.refresh_pairs();
        if let Err(error) = readiness::reloading() {
            tracing::debug!(%error, "the service manager was not told");
        }
        match self.read_again(why).await {
            Ok(None) => {}
            Ok(Some(prepared)) => match self.adopt(*prepared).await {
                Ok(()) => {
                    self.tell_acceptance();
                    let revision = self.current.table.routes.revision;
                    tracing::info!(
                        revision,
                        sites = self.loaded.config.sites.len(),
                        "configuration reloaded"
                    );
                }
                Err(refused) => self.refuse(refused),
            },
            Err(refused) => self.refuse(refused),
        }
        self.announce();
    }

    /// Pairs whose files changed are read again and swapped if they are good.
    fn refresh_pairs(&self) {
        for event in self.resolver.refresh(&self.current.plan, wall_clock()) {
            tracing::info!("{event}");
        }
    }

    async fn read_again(&self, why: Why) -> Result<Option<Box<Prepared>>, NotReloaded> {
        let (source, previous, resolver) = (
            self.source.clone(),
            self.loaded.clone(),
            self.resolver.clone(),
        );
        let reading = tokio::task::spawn_blocking(move || {
            let loaded = source.load(Some(&previous))?;
            let unchanged = why == Why::FilesChanged
                && same_texts(&loaded.sources, &previous.sources)
                && same_secrets(&loaded.config, &previous.config)
                && loaded.config.cert_dir.is_none();
            if unchanged {
                Ok(None)
            } else {
                prepare(loaded, &resolver, wall_clock())
                    .map(Box::new)
                    .map(Some)
            }
        });
        match reading.await {
            Ok(read) => read.map_err(NotReloaded::Config),
            Err(stopped) => Err(NotReloaded::System(std::io::Error::other(stopped))),
        }
    }

    async fn adopt(&mut self, prepared: Prepared) -> Result<(), NotReloaded> {
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
        tell_problems(&prepared.loaded);
        for key in needs_restart(&self.loaded.config, &prepared.loaded.config) {
            tracing::warn!("`{key}` changed: it takes effect at the next start");
        }
        let revision = self.current.table.routes.revision + 1;
        let port_of = |port| self.listeners.port_of(&fresh, port);
        let (loaded, current) = assemble(prepared, &self.resolver, revision, &port_of);
        self.listeners.retain(&wanted);
        self.listeners.take_in(fresh);
        for worker in self.workers.iter() {
            // A worker that is gone has told why.
            let _gone = worker.orders.send(Order::Adopt(current.clone())).await;
        }
        self.capacity
            .set_max(loaded.config.limits.connections.min(self.connections_max));
        self.files.follow(&loaded);
        (self.loaded, self.current) = (loaded, current);
        // The new configuration is in service by now, whatever becomes of a socket that it added.
        if let Err(error) = self.listeners.accept(&self.workers, &self.capacity) {
            tracing::error!(%error, "a new socket is bound, but nothing is accepted on it: SIGHUP tries again");
        }
        if let Err(error) = self.keep().await {
            tracing::error!(%error, "`acme.dns` cannot be used: certificates are kept as before");
        }
        Ok(())
    }

    fn refuse(&self, refused: NotReloaded) {
        match refused {
            NotReloaded::Config(Refused { problems, sources }) => {
                let first = problems
                    .first()
                    .map_or("", |problem| problem.message.as_ref());
                self.tell_refusal(first);
                tell(&problems, &sources);
                tracing::error!("configuration refused: the old one stays in service");
            }
            NotReloaded::Ports(problem) => {
                self.tell_refusal(&problem.to_string());
                tell_text(&problem.render());
                tracing::error!("configuration refused: the old one stays in service");
            }
            NotReloaded::System(error) => {
                tracing::error!(%error, "reload failed: the old configuration stays in service");
            }
        }
    }
}

/// The keys whose change a running process cannot follow.
fn needs_restart(old: &Config, new: &Config) -> Vec<&'static str> {
    let changes = [
        ("workers", old.workers != new.workers),
        ("storage", old.storage != new.storage),
        ("log", old.log != new.log),
    ];
    changes
        .into_iter()
        .filter(|(_key, changed)| *changed)
        .map(|(key, _changed)| key)
        .collect()
}

/// Texts do not show their secrets, and secrets may stand in files of their own.
fn same_secrets(old: &Config, new: &Config) -> bool {
    old.acme == new.acme && old.alerts == new.alerts
}

fn same_texts(old: &Sources, new: &Sources) -> bool {
    let texts = |sources: &'_ Sources| -> Vec<_> {
        sources
            .files
            .iter()
            .map(|file| (file.path.clone(), file.text.clone()))
            .collect()
    };
    texts(old) == texts(new)
}

/// What is wrong with included files, and what is odd.
pub(super) fn tell_problems(loaded: &Loaded) {
    let all: Vec<Problem> = loaded
        .isolated
        .iter()
        .chain(&loaded.warnings)
        .cloned()
        .collect();
    tell(&all, &loaded.sources);
    if !loaded.isolated.is_empty() {
        tracing::error!("included files refused: their sites stay as they were");
    }
}

fn tell(problems: &[Problem], sources: &Sources) {
    if problems.is_empty() {
        return;
    }
    tell_text(&render(problems, sources, Color::Never));
}

/// Snippets have several lines and belong to people: they go to standard error as they are.
#[expect(
    clippy::print_stderr,
    reason = "a snippet is no event, and the terminal is where it is read"
)]
fn tell_text(text: &str) {
    eprintln!("{}", text.trim_end());
}

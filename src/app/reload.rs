//! Reloading: the new whole is read, checked and bound; only then does anything change.

use super::App;
use super::change::{Change, NotReloaded};
use super::prepare::sorted;
use super::start::wall_clock;
use crate::config::Config;
use crate::config::named::found_the_same;
use crate::config::problem::{Color, render};
use crate::config::problem::{Problem, Sources};
use crate::config::{Loaded, Refused};
use crate::control::readiness;

/// Why a reload is considered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// SIGHUP: also when nothing changed.
    Asked,
    /// A file changed; perhaps only a certificate.
    FilesChanged,
}

impl App {
    /// Reads everything again. A refused configuration changes nothing and is told with the same snippets as at the start.
    pub(super) async fn reload(&mut self, why: Why) {
        // Links may lead elsewhere now. What changes from here on is seen, even if nothing of it can be read yet.
        self.files.follow(&self.own);
        self.refresh_pairs();
        if let Err(error) = readiness::reloading() {
            tracing::debug!(%error, "the service manager was not told");
        }
        match self.read_again(why).await {
            Ok(None) => self.accepted_again(),
            Ok(Some(change)) => match self.adopt(change).await {
                Ok(()) => {
                    self.accepted_again();
                    tell_problems(&self.own);
                    Box::pin(self.end_strangers()).await;
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

    /// Reads the own configuration anew; none if it is the same, whole.
    async fn read_again(&self, why: Why) -> Result<Option<Change>, NotReloaded> {
        let (source, previous) = (self.source.clone(), self.own.clone());
        let doorway = self.doorway.clone();
        let reading = tokio::task::spawn_blocking(move || {
            let own = source.load_at(doorway.as_ref(), Some(&previous))?;
            let unchanged = why == Why::FilesChanged
                && same_texts(&own.sources, &previous.sources)
                && same_secrets(&own.config, &previous.config)
                && found_the_same(&own.config, &previous.config)
                && own.config.cert_dir.is_none();
            Ok((!unchanged).then_some(own))
        });
        let read = reading.await.map_err(NotReloaded::stopped)?;
        let Some(own) = read.map_err(NotReloaded::Config)? else {
            return Ok(None);
        };
        let mut guests = self.guests.clone();
        if !guests.is_empty() {
            guests.claim_for_file(&own);
        }
        self.consider(sorted(own), guests).await.map(Some)
    }

    /// What the files say is in service: nothing that was refused is left.
    fn accepted_again(&mut self) {
        self.last_refusal = None;
        self.tell_acceptance();
    }

    fn refuse(&mut self, refused: NotReloaded) {
        match refused {
            NotReloaded::Config(Refused { problems, sources }) => {
                let first = problems
                    .first()
                    .map_or("", |problem| problem.message.as_ref());
                self.last_refusal = Some(first.to_owned());
                self.tell_refusal(first);
                tell(&problems, &sources);
                tracing::error!("configuration refused: the old one stays in service");
            }
            NotReloaded::Ports(problem) => {
                self.last_refusal = Some(problem.to_string());
                self.tell_refusal(&problem.to_string());
                tell_text(&problem.render());
                tracing::error!("configuration refused: the old one stays in service");
            }
            NotReloaded::Clash(clash) => {
                self.last_refusal = Some(clash.clone());
                self.tell_refusal(&clash);
                tracing::error!(clash, "configuration refused: the old one stays in service");
            }
            NotReloaded::System(error) => {
                self.last_refusal = Some(error.to_string());
                tracing::error!(%error, "reload failed: the old configuration stays in service");
            }
        }
    }
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

pub(super) fn tell(problems: &[Problem], sources: &Sources) {
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
pub(super) fn tell_text(text: &str) {
    eprintln!("{}", text.trim_end());
}

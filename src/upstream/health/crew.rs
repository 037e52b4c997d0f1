//! The probers that run: one for each endpoint and way of checking it, whoever names it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use foldhash::fast::RandomState;
use rustls::ClientConfig;
use tokio::sync::{Semaphore, watch};
use tokio::task::{AbortHandle, spawn_local};

use super::down::Downs;
use super::news::News;
use super::prober::{Mind, Prober};
use super::rhythm;
use super::standing::Standings;
use super::subject::{Subject, Turns, Wanted};
use super::verdict::{State, Verdict};
use crate::config::backends::Probe;
use crate::upstream::endpoint::Endpoint;

/// Checks at once. Enough for a thousand targets that hang, at the default times; what comes then waits, and its period is longer.
const CHECKS_MAX: usize = 256;

/// All of them, on their thread.
pub(super) struct Crew {
    running: HashMap<Subject, Running, RandomState>,
    standings: Standings,
    places: Rc<Semaphore>,
    downs: Downs,
    turns: Turns,
}

/// A prober's task, which ends with this, and what is shared with it.
struct Running {
    task: AbortHandle,
    mind: Rc<RefCell<Mind>>,
    client: Rc<RefCell<Option<Arc<ClientConfig>>>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Crew {
    pub(super) fn new(standings: Standings, downs: Downs, turns: Turns) -> Self {
        Self {
            running: HashMap::default(),
            standings,
            places: Rc::new(Semaphore::new(CHECKS_MAX)),
            downs,
            turns,
        }
    }

    /// Runs a prober for each subject that is wanted, until nobody can want anything any more.
    pub(super) async fn follow(mut self, mut seen: watch::Receiver<Vec<Wanted>>) {
        loop {
            let wanted = seen.borrow_and_update().clone();
            self.adopt(wanted);
            if seen.changed().await.is_err() {
                return;
            }
        }
    }

    fn adopt(&mut self, wanted: Vec<Wanted>) {
        let mut former = std::mem::take(&mut self.running);
        let mut newcomers = Vec::new();
        for Wanted { subject, client } in wanted {
            match former.remove(&subject) {
                Some(running) => {
                    *running.client.borrow_mut() = client;
                    self.running.insert(subject, running);
                }
                None => newcomers.push((subject, client)),
            }
        }
        let mut legacy: HashMap<(Endpoint, Probe), Subject, RandomState> = former
            .keys()
            .map(|gone| (question(gone), gone.clone()))
            .collect();
        let count = newcomers.len();
        for (subject, client) in newcomers {
            if self.running.contains_key(&subject) {
                continue;
            }
            let gone = legacy.remove(&question(&subject));
            let gone = gone.and_then(|gone| former.get_key_value(&gone));
            let mind = self.inherit(&subject, gone);
            self.start(subject, client, mind, count);
        }
        for gone in former.into_keys() {
            self.downs.forget(&gone);
        }
    }

    /// What was known of an endpoint that was asked the same question by other numbers; a new question makes it fresh.
    fn inherit(&self, subject: &Subject, gone: Option<(&Subject, &Running)>) -> Mind {
        let Some((gone, running)) = gone else {
            return Mind {
                verdict: Verdict::FRESH,
                news: News::default(),
            };
        };
        if let Some(known) = self.downs.forget(gone) {
            self.downs.keep(subject, known);
        }
        let former = *running.mind.borrow();
        Mind {
            verdict: Verdict::of(former.verdict.state),
            ..former
        }
    }

    fn start(
        &mut self,
        subject: Subject,
        client: Option<Arc<ClientConfig>>,
        mind: Mind,
        newcomers: usize,
    ) {
        let standing = self.standings.of(&subject.endpoint, Some(&subject.health));
        standing.set_up(mind.verdict.state == State::Up);
        let mind = Rc::new(RefCell::new(mind));
        let client = Rc::new(RefCell::new(client));
        let prober = Prober {
            subject: subject.clone(),
            standing,
            mind: mind.clone(),
            client: client.clone(),
            places: self.places.clone(),
            downs: self.downs.clone(),
            turns: self.turns.clone(),
        };
        let wait = rhythm::first(subject.health.every, newcomers, fastrand::f64());
        let task = spawn_local(prober.run(wait)).abort_handle();
        let running = Running { task, mind, client };
        self.running.insert(subject, running);
    }
}

fn question(subject: &Subject) -> (Endpoint, Probe) {
    (subject.endpoint.clone(), subject.health.probe.clone())
}

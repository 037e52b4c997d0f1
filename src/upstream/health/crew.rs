//! The probers that run: one for each endpoint and way of checking it, whoever names it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::pending;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use foldhash::fast::RandomState;
use tokio::sync::{Semaphore, watch};
use tokio::task::{AbortHandle, spawn_local};
use tokio::time::{Instant, sleep};

use super::down::Downs;
use super::news::News;
use super::prober::{Mind, Prober};
use super::rhythm;
use super::standing::Standings;
use super::subject::{Reports, Subject, Wanted, Way};
use super::verdict::{State, Verdict};
use crate::config::backends::Probe;
use crate::upstream::endpoint::Endpoint;
use crate::upstream::group::place::{self, Named, Place};

/// Checks at once. Enough for a thousand targets that hang, at the default times; what comes then waits, and its period is longer.
const CHECKS_MAX: usize = 256;

/// How often names are looked at for other addresses: a load each.
const NAMES_LOOKED_AT: Duration = Duration::from_secs(1);

/// All of them, on their thread.
pub(super) struct Crew {
    running: Probing,
    standings: Standings,
    began: Instant,
    places: Rc<Semaphore>,
    downs: Downs,
    reports: Reports,
}

type Probing = HashMap<Subject, Running, RandomState>;

/// A prober's task, which ends with this, and what is shared with it.
struct Running {
    task: AbortHandle,
    mind: Rc<RefCell<Mind>>,
    way: Rc<RefCell<Way>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Crew {
    pub(super) fn new(standings: Standings, downs: Downs, reports: Reports) -> Self {
        Self {
            running: HashMap::default(),
            standings,
            began: Instant::now(),
            places: Rc::new(Semaphore::new(CHECKS_MAX)),
            downs,
            reports,
        }
    }

    /// Runs a prober for each subject that is wanted, until nobody can want anything any more.
    pub(super) async fn follow(mut self, mut seen: watch::Receiver<Arc<[Wanted]>>) {
        loop {
            let wanted = seen.borrow_and_update().clone();
            let named = self.adopt(&wanted);
            tokio::select! {
                changed = seen.changed() => if changed.is_err() {
                    return;
                },
                () = moved(&named) => {}
            }
        }
    }

    fn adopt(&mut self, wanted: &[Wanted]) -> Vec<Named> {
        let mut former = std::mem::take(&mut self.running);
        let mut newcomers = Vec::new();
        let mut named = Vec::new();
        for Wanted {
            listed,
            health,
            way,
        } in wanted
        {
            let mut places = Vec::with_capacity(1);
            named.extend(place::of(listed, &way.names, &mut places));
            for Place { endpoint, .. } in places {
                let health = health.clone();
                let subject = Subject { endpoint, health };
                match former.remove(&subject) {
                    Some(running) => {
                        *running.way.borrow_mut() = way.clone();
                        self.running.insert(subject, running);
                    }
                    None => newcomers.push((subject, way.clone())),
                }
            }
        }
        self.take_in(newcomers, &former);
        former.into_keys().for_each(|gone| {
            self.downs.forget(&gone);
        });
        named
    }

    fn take_in(&mut self, newcomers: Vec<(Subject, Way)>, former: &Probing) {
        let mut legacy: HashMap<(Endpoint, Probe), Subject, RandomState> = former
            .keys()
            .map(|gone| (question(gone), gone.clone()))
            .collect();
        let count = newcomers.len();
        for (subject, way) in newcomers {
            if self.running.contains_key(&subject) {
                continue;
            }
            let gone = legacy.remove(&question(&subject));
            let gone = gone.and_then(|gone| former.get_key_value(&gone));
            let mind = self.inherit(&subject, gone);
            self.start(subject, way, mind, count);
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

    fn start(&mut self, subject: Subject, way: Way, mind: Mind, newcomers: usize) {
        let standing = self.standings.of(&subject.endpoint, Some(&subject.health));
        standing.set_up(mind.verdict.state == State::Up);
        let mind = Rc::new(RefCell::new(mind));
        let way = Rc::new(RefCell::new(way));
        let prober = Prober {
            subject: subject.clone(),
            standing,
            mind: mind.clone(),
            way: way.clone(),
            began: self.began,
            places: self.places.clone(),
            downs: self.downs.clone(),
            reports: self.reports.clone(),
        };
        let wait = rhythm::first(subject.health.every, newcomers, fastrand::f64());
        let task = spawn_local(prober.run(wait)).abort_handle();
        let running = Running { task, mind, way };
        self.running.insert(subject, running);
    }
}

/// Resolves once a name has other addresses.
async fn moved(named: &[Named]) {
    if named.is_empty() {
        return pending().await;
    }
    while named.iter().all(Named::is_current) {
        sleep(NAMES_LOOKED_AT).await;
    }
}

fn question(subject: &Subject) -> (Endpoint, Probe) {
    (subject.endpoint.clone(), subject.health.probe.clone())
}

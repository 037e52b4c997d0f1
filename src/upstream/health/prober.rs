//! Looks at one endpoint again and again, and keeps its standing.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until};

use super::check::Checker;
use super::down::Downs;
use super::finding::Finding;
use super::news::News;
use super::rhythm;
use super::standing::Standing;
use super::subject::{Report, Reports, Subject, Way};
use super::verdict::{Outcome, State, Verdict};
use crate::causes::one_line;

/// What is known of a subject: it outlives a prober whose numbers change.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mind {
    pub(super) verdict: Verdict,
    pub(super) news: News,
}

/// One prober, on the thread of all.
pub(super) struct Prober {
    pub(super) subject: Subject,
    pub(super) standing: Arc<Standing>,
    pub(super) mind: Rc<RefCell<Mind>>,
    /// Another one after a reload.
    pub(super) way: Rc<RefCell<Way>>,
    /// The first beat of all.
    pub(super) began: Instant,
    /// Checks that all probers together may make at once.
    pub(super) places: Rc<Semaphore>,
    pub(super) downs: Downs,
    pub(super) reports: Reports,
}

impl Prober {
    /// Looks for the first time after `wait`, and then for ever.
    pub(super) async fn run(self, wait: Duration) {
        let every = self.subject.health.every;
        let mut checker = Checker::default();
        let mut next = Instant::now() + wait;
        loop {
            let beat = rhythm::on_beat(next.saturating_duration_since(self.began), every);
            sleep_until(self.began + beat).await;
            // It is never closed.
            let place = self.places.acquire().await;
            let begun = Instant::now();
            let found = self.look(&mut checker).await;
            drop(place);
            match found {
                Err(finding) if finding.is_ours() => {
                    let error = &finding as &dyn std::error::Error;
                    tracing::debug!(upstream = %self.subject.endpoint, error, "the target could not be checked");
                }
                found => self.conclude(found),
            }
            next = begun + rhythm::next(every, fastrand::f64());
        }
    }

    async fn look(&self, checker: &mut Checker) -> Result<(), Finding> {
        let Subject { endpoint, health } = &self.subject;
        let way = self.way.borrow().clone();
        let checking = checker.check(endpoint, &way, &health.probe, health.timeout);
        checking.await
    }

    fn conclude(&self, found: Result<(), Finding>) {
        let mut mind = self.mind.borrow_mut();
        let before = mind.verdict;
        let outcome = match found {
            Ok(()) => Outcome::Passed,
            Err(_) => Outcome::Failed,
        };
        let after = before.after(outcome, &self.subject.health);
        mind.verdict = after;
        let why = found.err().map(|finding| one_line(&finding));
        if before.state != after.state {
            self.turn(after.state, why.as_deref());
        }
        if let (State::Down, Some(why)) = (after.state, &why) {
            self.downs.failed(&self.subject, why);
            self.standing.note_down(why);
        }
        if after.is_settled() && mind.news.is_due(after.state, Instant::now().into_std()) {
            self.reports.tell(&Report {
                subject: self.subject.clone(),
                state: after.state,
                why,
            });
        }
    }

    fn turn(&self, state: State, why: Option<&str>) {
        let endpoint = &self.subject.endpoint;
        match state {
            State::Up => {
                self.standing.set_up(true);
                self.downs.forget(&self.subject);
                tracing::info!(upstream = %endpoint, "the target is up again");
            }
            State::Down => {
                self.standing.set_up(false);
                tracing::warn!(upstream = %endpoint, why, "the target is down");
            }
        }
    }
}

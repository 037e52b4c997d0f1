//! One order from where it stands to its certificate: each step is kept before the CA can see it.

use std::time::Duration;

use instant_acme::{AuthorizationStatus, ChallengeStatus, Order, OrderStatus};
use tokio::time::{Instant, sleep};

use crate::causes::one_line;
use crate::certs::acme::chain::{self, BadChain};
use crate::certs::acme::fault::{Asked, OrderError, Side};
use crate::certs::acme::journal::{Downloaded, Journal, Placed};
use crate::certs::acme::profile;
use crate::certs::acme::request::{ChallengeKind, Issued};
use crate::certs::acme::seams::{Class, JournalKeeper};
use crate::certs::acme::session::{Seen, Session};
use crate::certs::acme::solver::{Challenge, Solver};
use crate::certs::acme::tries::Tries;

/// How long one state of an order is watched; an order that stays in it longer is gone on with later.
const STATE_TIME_MAX: Duration = Duration::from_secs(10 * 60);
/// How many states an order is followed through: a good one has five.
const STEPS_MAX: usize = 16;
const POLL_FIRST: Duration = Duration::from_secs(1);
const POLL_BACKOFF_MAX: Duration = Duration::from_secs(15);

pub(super) struct Walk<'a> {
    pub(super) session: Session,
    pub(super) solver: &'a dyn Solver,
    pub(super) keeper: &'a mut dyn JournalKeeper,
    pub(super) placed: Placed,
    /// The CA may look at what is presented at any time.
    pub(super) is_watched: bool,
}

/// A challenge to be shown: of the authorization with this number.
struct Chosen {
    number: usize,
    challenge: Challenge,
    status: ChallengeStatus,
}

impl Walk<'_> {
    /// Walks to the end. Whatever was presented, now or by an earlier process, is cleaned up, unless the CA may still look at it: then the journal has it.
    pub(super) async fn finish(mut self, mut order: Order) -> Result<Issued, OrderError> {
        let issued = self.run(&mut order).await;
        if !self.is_watched {
            self.clean().await;
        }
        issued
    }

    async fn run(&mut self, order: &mut Order) -> Result<Issued, OrderError> {
        let told = order.state().profile.clone();
        if let Err(fault) = profile::kept(self.placed.plan.profile.as_deref(), told.as_deref()) {
            return Err(self.abandon(order, fault).await);
        }
        let mut tries = Tries::default();
        for _step in 0..STEPS_MAX {
            let status = order.state().status;
            if status != OrderStatus::Pending {
                self.is_watched = false;
                self.clean().await;
            }
            match status {
                OrderStatus::Pending => self.authorize(order).await?,
                OrderStatus::Ready => self.finalize(order, &mut tries).await?,
                OrderStatus::Processing => self.outlast(order, OrderStatus::Processing).await?,
                OrderStatus::Valid => return self.download(order).await,
                OrderStatus::Invalid => return Err(self.invalid(order).await),
            }
        }
        Err(unusable("the order changes its state without an end"))
    }

    async fn authorize(&mut self, order: &mut Order) -> Result<(), OrderError> {
        let seen = self.session.look(order).await?;
        let mut chosen = Vec::new();
        for (number, authorization) in seen.iter().enumerate() {
            match authorization.status {
                AuthorizationStatus::Valid => {}
                AuthorizationStatus::Pending => match self.choose(number, authorization) {
                    Some(choice) => chosen.push(choice),
                    None => {
                        let fault = unanswerable(&authorization.name);
                        return Err(self.abandon(order, fault).await);
                    }
                },
                AuthorizationStatus::Invalid
                | AuthorizationStatus::Revoked
                | AuthorizationStatus::Expired
                | AuthorizationStatus::Deactivated => return Err(self.invalid(order).await),
            }
        }
        self.present(&chosen).await?;
        for choice in chosen {
            self.is_watched = true;
            if choice.status != ChallengeStatus::Pending {
                continue;
            }
            let kind = choice.challenge.kind;
            if let Err(fault) = self.session.set_ready(order, choice.number, kind).await {
                self.session.refresh(order).await?;
                if order.state().status == OrderStatus::Pending {
                    return Err(fault);
                }
                break;
            }
        }
        if order.state().status == OrderStatus::Pending {
            self.outlast(order, OrderStatus::Pending).await?;
        }
        Ok(())
    }

    /// The first of the wanted challenges that the CA offers and that can be answered.
    fn choose(&self, number: usize, authorization: &Seen) -> Option<Chosen> {
        let plan = &self.placed.plan;
        let suits = |kind: ChallengeKind| {
            let mut named = plan.names.iter();
            named.any(|name| name.base() == authorization.name && kind.suits(name))
        };
        let is_offered = |wanted: ChallengeKind| {
            authorization.challenges.iter().find_map(|seen| {
                let challenge = seen.challenge.clone()?;
                (challenge.kind == wanted).then_some(Chosen {
                    number,
                    challenge,
                    status: seen.status,
                })
            })
        };
        plan.challenges
            .iter()
            .copied()
            .filter(|kind| suits(*kind) && self.solver.can(*kind, &authorization.name))
            .find_map(is_offered)
    }

    async fn present(&mut self, chosen: &[Chosen]) -> Result<(), OrderError> {
        for choice in chosen {
            if !self.placed.presented.contains(&choice.challenge) {
                self.placed.presented.push(choice.challenge.clone());
            }
        }
        if chosen.is_empty() {
            return Ok(());
        }
        self.save(Journal::Challenged(self.placed.clone())).await?;
        for choice in chosen {
            let challenge = &choice.challenge;
            if let Err(error) = self.solver.present(challenge).await {
                let words = one_line(&error);
                let problem = format!("the {} challenge cannot be shown", challenge.kind);
                let mut fault = OrderError::new(Class::Validation, Side::Solver, problem);
                fault.names.push((challenge.name.clone(), words));
                return Err(fault);
            }
        }
        Ok(())
    }

    async fn clean(&mut self) {
        for challenge in std::mem::take(&mut self.placed.presented) {
            self.solver.clean(&challenge).await;
        }
    }

    /// Watches the order until it leaves `status`.
    async fn outlast(&mut self, order: &mut Order, status: OrderStatus) -> Result<(), OrderError> {
        let until = Instant::now() + STATE_TIME_MAX;
        let mut backoff = POLL_FIRST;
        while order.state().status == status {
            let asked = self.session.retry_after();
            let wait = asked.map_or(backoff, |asked| asked.max(POLL_FIRST));
            if Instant::now() + wait > until {
                let problem = format!("the order is still {status:?}").to_lowercase();
                let fault = OrderError::new(Class::Transient, Side::Ca, problem);
                return Err(OrderError {
                    retry_after: asked,
                    ..fault
                });
            }
            sleep(wait).await;
            self.session.refresh(order).await?;
            backoff = (backoff * 2).min(POLL_BACKOFF_MAX);
        }
        Ok(())
    }

    /// An answer that got lost leaves the CA at work, so the order's own state says how to go on.
    async fn finalize(&mut self, order: &mut Order, tries: &mut Tries) -> Result<(), OrderError> {
        self.save(Journal::Finalizing(self.placed.clone())).await?;
        let csr = match chain::csr(&self.placed.plan) {
            Ok(csr) => csr,
            Err(error) => {
                let fault = OrderError::new(Class::Human, Side::Storage, one_line(&error));
                return Err(self.abandon(order, fault).await);
            }
        };
        let Err(error) = order.finalize_csr(&csr).await else {
            return Ok(());
        };
        let fault = self.session.fault(&error);
        if fault.is("badCSR") || fault.is("badPublicKey") {
            return Err(self.abandon(order, fault).await);
        }
        tries.again(fault).await?;
        self.session.refresh(order).await
    }

    async fn download(&mut self, order: &mut Order) -> Result<Issued, OrderError> {
        let mut tries = Tries::default();
        let chain_pem = loop {
            let fault = match order.certificate().await {
                Ok(Some(chain_pem)) => match chain::check(&self.placed.plan, &chain_pem) {
                    Ok(()) => break chain_pem,
                    Err(bad @ BadChain::Unreadable) => unusable(&bad.to_string()),
                    Err(bad @ (BadChain::OtherKey | BadChain::Lacks(_))) => {
                        let fault = OrderError::new(Class::Human, Side::Ca, bad.to_string());
                        return Err(self.abandon(order, fault).await);
                    }
                },
                Ok(None) => unusable("the CA says both that it is done and that it is not"),
                Err(error) => self.session.fault(&error),
            };
            tries.again(fault).await?;
            self.session.refresh(order).await?;
        };
        let downloaded = Downloaded {
            plan: self.placed.plan.clone(),
            chain_pem,
            profile: order.state().profile.clone(),
        };
        self.save(Journal::Downloaded(downloaded.clone())).await?;
        Ok(downloaded.into())
    }

    /// Why the order is invalid: the CA's words for the order, and for each name that failed.
    async fn invalid(&mut self, order: &mut Order) -> OrderError {
        let now = self.session.now();
        let problem = order.state().error.clone();
        let mut fault = match &problem {
            Some(problem) => OrderError::of_problem(problem, Asked::Challenge, None, None, now),
            None => OrderError::new(Class::Validation, Side::Ca, "the order is invalid"),
        };
        fault.side = Side::Ca;
        for seen in self.session.look(order).await.unwrap_or_default() {
            let failed = seen.challenges.iter().find_map(|it| it.error.as_ref());
            if let Some(problem) = failed {
                let of_name = OrderError::of_problem(problem, Asked::Challenge, None, None, now);
                fault = fault.with_name(seen.name, of_name);
            }
        }
        self.abandon(order, fault).await
    }

    /// Ends an order that cannot become a certificate. A journal that cannot be kept leads here again, so that fault is not told.
    pub(super) async fn abandon(&mut self, order: &mut Order, fault: OrderError) -> OrderError {
        self.session.give_up(order).await;
        self.is_watched = false;
        self.clean().await;
        let _found_again = self.save(Journal::Idle).await;
        fault
    }

    async fn save(&mut self, journal: Journal) -> Result<(), OrderError> {
        let saved = self.keeper.save(&journal).await;
        saved.map_err(|error| OrderError::not_kept(&error))
    }
}

fn unanswerable(name: &str) -> OrderError {
    let problem = format!("none of the challenges that the CA offers for {name} can be answered");
    OrderError::new(Class::Human, Side::Options, problem)
}

fn unusable(problem: &str) -> OrderError {
    OrderError::new(Class::Transient, Side::Network, problem)
}

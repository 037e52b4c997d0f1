//! Orders: a new one, and one that an earlier process began.

use crate::causes::one_line;
use crate::certs::acme::ca::Ca;
use crate::certs::acme::chain;
use crate::certs::acme::fault::{OrderError, Side};
use crate::certs::acme::journal::{Journal, Placed, Plan};
use crate::certs::acme::profile;
use crate::certs::acme::request::{Issued, OrderRequest};
use crate::certs::acme::seams::{Class, JournalKeeper};
use crate::certs::acme::session::{NewlyPlaced, Session};
use crate::certs::acme::solver::Solver;
use crate::certs::acme::walk::Walk;

/// How many names one certificate has at most.
pub const NAMES_MAX: usize = 100;

impl Ca {
    /// Asks for a certificate. The journal must be idle before; it ends as [`Journal::Downloaded`], or idle if the order failed for good.
    /// In between, and after a fault that may pass, it holds what [`Ca::resume`] goes on with.
    ///
    /// # Errors
    /// Says whose fault it is and how to answer it.
    pub async fn order(
        &self,
        request: &OrderRequest,
        solver: &dyn Solver,
        keeper: &mut dyn JournalKeeper,
    ) -> Result<Issued, OrderError> {
        if request.names.is_empty() || request.names.len() > NAMES_MAX {
            let problem = format!("a certificate has 1 to {NAMES_MAX} names");
            return Err(OrderError::new(Class::Human, Side::Options, problem));
        }
        let session = self.session().await?;
        let profile = request.profile.clone().or_else(|| self.profile.clone());
        profile::offered(&session.directory, profile.as_deref())?;
        let key_pem = chain::new_key(self.key)
            .await
            .map_err(|error| OrderError::new(Class::Transient, Side::Options, one_line(&error)))?;
        let plan = Plan {
            ca: self.directory_url().to_owned(),
            key_pem,
            names: request.names.clone(),
            profile,
            replaces: request.replaces.clone(),
            challenges: request.challenges.clone(),
        };
        save(keeper, Journal::Planned(plan.clone())).await?;
        Box::pin(place(session, plan, solver, keeper)).await
    }

    /// Goes on where a journal ends. One that [`Journal::needs_order`] sends a new order.
    ///
    /// # Errors
    /// As [`Ca::order`]; also if the journal is idle or another CA's.
    pub async fn resume(
        &self,
        journal: Journal,
        solver: &dyn Solver,
        keeper: &mut dyn JournalKeeper,
    ) -> Result<Issued, OrderError> {
        let placed = match journal {
            Journal::Idle => return Err(nothing()),
            Journal::Downloaded(downloaded) => return Ok(downloaded.into()),
            Journal::Planned(plan) => {
                self.owns(&plan)?;
                let session = self.session().await?;
                return Box::pin(place(session, plan, solver, keeper)).await;
            }
            Journal::Ordered(placed)
            | Journal::Challenged(placed)
            | Journal::Finalizing(placed) => placed,
        };
        self.owns(&placed.plan)?;
        let session = self.session().await?;
        Box::pin(reopen(session, placed, solver, keeper)).await
    }

    /// Ends an order that nobody wants any more: what is pending at the CA is given up, what is presented is cleaned up.
    ///
    /// # Errors
    /// The CA cannot be reached, or the journal cannot be kept: the order may be abandoned again.
    pub async fn abandon(
        &self,
        journal: Journal,
        solver: &dyn Solver,
        keeper: &mut dyn JournalKeeper,
    ) -> Result<(), OrderError> {
        if let Journal::Ordered(placed)
        | Journal::Challenged(placed)
        | Journal::Finalizing(placed) = journal
        {
            self.owns(&placed.plan)?;
            let session = self.session().await?;
            if let Some(mut order) = session.reopen(&placed).await? {
                session.give_up(&mut order).await;
            }
            for challenge in &placed.presented {
                solver.clean(challenge).await;
            }
        }
        save(keeper, Journal::Idle).await
    }

    fn owns(&self, plan: &Plan) -> Result<(), OrderError> {
        if plan.ca == self.directory_url() {
            return Ok(());
        }
        let problem = format!("the order is at another CA: {}", plan.ca);
        Err(OrderError::new(Class::Human, Side::Options, problem))
    }
}

async fn place(
    session: Session,
    mut plan: Plan,
    solver: &dyn Solver,
    keeper: &mut dyn JournalKeeper,
) -> Result<Issued, OrderError> {
    let order = session.place(&mut plan).await?;
    let order_url = match &order {
        NewlyPlaced::Open(order) => order.url().to_owned(),
        NewlyPlaced::At(url) => url.clone(),
    };
    let placed = Placed {
        plan,
        account: session.account.id().to_owned(),
        order_url,
        presented: Vec::new(),
    };
    save(keeper, Journal::Ordered(placed.clone())).await?;
    match order {
        NewlyPlaced::Open(order) => walk(session, placed, solver, keeper).finish(*order).await,
        NewlyPlaced::At(_) => reopen(session, placed, solver, keeper).await,
    }
}

async fn reopen(
    session: Session,
    placed: Placed,
    solver: &dyn Solver,
    keeper: &mut dyn JournalKeeper,
) -> Result<Issued, OrderError> {
    if let Some(order) = session.reopen(&placed).await? {
        return walk(session, placed, solver, keeper).finish(order).await;
    }
    for challenge in &placed.presented {
        solver.clean(challenge).await;
    }
    save(keeper, Journal::Idle).await?;
    let problem = "the CA does not know the order any more";
    Err(OrderError::new(Class::Transient, Side::Ca, problem))
}

fn walk<'a>(
    session: Session,
    placed: Placed,
    solver: &'a dyn Solver,
    keeper: &'a mut dyn JournalKeeper,
) -> Walk<'a> {
    Walk {
        session,
        solver,
        keeper,
        is_watched: !placed.presented.is_empty(),
        placed,
    }
}

async fn save(keeper: &mut dyn JournalKeeper, journal: Journal) -> Result<(), OrderError> {
    let saved = keeper.save(&journal).await;
    saved.map_err(|error| OrderError::not_kept(&error))
}

fn nothing() -> OrderError {
    let problem = "no order is under way";
    OrderError::new(Class::Human, Side::Storage, problem)
}

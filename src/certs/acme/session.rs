//! The requests of one order, each tried again while it may help.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use instant_acme::{
    Account, AuthorizationStatus, CertificateIdentifier, ChallengeStatus, ChallengeType, Error,
    Identifier, NewOrder, Order, Problem,
};

use crate::certs::acme::directory::Directory;
use crate::certs::acme::fault::OrderError;
use crate::certs::acme::journal::{Placed, Plan};
use crate::certs::acme::name::CertName;
use crate::certs::acme::request::ChallengeKind;
use crate::certs::acme::solver::Challenge;
use crate::certs::acme::tries::Tries;
use crate::certs::acme::wire::Tape;
use crate::clock::Clock;

pub(super) struct Session {
    pub(super) account: Account,
    pub(super) tape: Tape,
    pub(super) clock: Clock,
    pub(super) directory: Arc<Directory>,
}

/// What came of a new order.
pub(super) enum NewlyPlaced {
    Open(Box<Order>),
    /// The CA has it, and said where, but nothing else of use.
    At(String),
}

/// An authorization as the CA told it last.
pub(super) struct Seen {
    pub(super) name: String,
    pub(super) status: AuthorizationStatus,
    pub(super) challenges: Vec<SeenChallenge>,
}

pub(super) struct SeenChallenge {
    /// None for one that we do not know.
    pub(super) challenge: Option<Challenge>,
    pub(super) status: ChallengeStatus,
    pub(super) error: Option<Problem>,
}

impl Session {
    /// Sends the order; without `replaces` if the CA will not have that.
    pub(super) async fn place(&self, plan: &mut Plan) -> Result<NewlyPlaced, OrderError> {
        let identifiers: Vec<Identifier> = plan.names.iter().map(identifier).collect();
        let mut tries = Tries::default();
        if self.directory.renewal_info.is_none() {
            plan.replaces = None;
        }
        loop {
            let error = match self.account.new_order(&new_order(plan, &identifiers)).await {
                Ok(order) => return Ok(NewlyPlaced::Open(Box::new(order))),
                Err(error) => error,
            };
            let answer = self.tape.last();
            if let Some(answer) = answer.filter(|answer| answer.status.is_success())
                && let Some(url) = answer.location()
            {
                return Ok(NewlyPlaced::At(url.to_owned()));
            }
            let fault = self.fault(&error);
            if plan.replaces.is_some() && self.refuses_replacement(&fault) {
                plan.replaces = None;
                continue;
            }
            tries.again(fault).await?;
        }
    }

    /// The order as the CA has it; none if it has it no more, or if it is another account's.
    pub(super) async fn reopen(&self, placed: &Placed) -> Result<Option<Order>, OrderError> {
        if placed.account != self.account.id() {
            return Ok(None);
        }
        let mut tries = Tries::default();
        loop {
            let error = match self.account.order(placed.order_url.clone()).await {
                Ok(order) => return Ok(Some(order)),
                Err(error) => error,
            };
            let fault = self.fault(&error);
            if self.status() == Some(404) {
                return Ok(None);
            }
            tries.again(fault).await?;
        }
    }

    pub(super) async fn refresh(&self, order: &mut Order) -> Result<(), OrderError> {
        let mut tries = Tries::default();
        while let Err(error) = order.refresh().await.map(|_state| ()) {
            tries.again(self.fault(&error)).await?;
        }
        Ok(())
    }

    /// The order's authorizations, in its order.
    pub(super) async fn look(&self, order: &mut Order) -> Result<Vec<Seen>, OrderError> {
        let mut tries = Tries::default();
        loop {
            match self.look_once(order).await {
                Ok(seen) => return Ok(seen),
                Err(error) => tries.again(self.fault(&error)).await?,
            }
        }
    }

    async fn look_once(&self, order: &mut Order) -> Result<Vec<Seen>, Error> {
        let mut all = Vec::new();
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let authorization = authorization?;
            let name = authorization.identifier().identifier.authorized(false);
            let name = name.to_string();
            let challenges = authorization.challenges.iter();
            let challenges = challenges.map(|challenge| self.seen(&name, challenge));
            all.push(Seen {
                status: authorization.status,
                challenges: challenges.collect(),
                name,
            });
        }
        Ok(all)
    }

    fn seen(&self, name: &str, challenge: &instant_acme::Challenge) -> SeenChallenge {
        let token = &challenge.token;
        let kind = kind(&challenge.r#type).filter(|_kind| is_token(token));
        SeenChallenge {
            challenge: kind.map(|kind| Challenge {
                kind,
                name: name.to_owned(),
                token: token.clone(),
                key_authorization: format!("{token}.{}", self.account.key_thumbprint()),
            }),
            status: challenge.status,
            error: challenge.error.clone(),
        }
    }

    /// Tells the CA to look at a challenge of the order's authorization with this number.
    pub(super) async fn set_ready(
        &self,
        order: &mut Order,
        number: usize,
        kind: ChallengeKind,
    ) -> Result<(), OrderError> {
        let mut tries = Tries::default();
        while let Err(error) = set_ready_once(order, number, kind).await {
            tries.again(self.fault(&error)).await?;
        }
        Ok(())
    }

    /// Gives up what is pending, as far as the CA lets us: nothing depends on it.
    pub(super) async fn give_up(&self, order: &mut Order) {
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let Ok(mut authorization) = authorization else {
                continue;
            };
            if authorization.status == AuthorizationStatus::Pending {
                let _best_effort = authorization.deactivate().await;
            }
        }
    }

    pub(super) fn fault(&self, error: &Error) -> OrderError {
        OrderError::of_request(error, self.tape.last().as_ref(), self.now())
    }

    /// What the last answer wants.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        self.tape.last()?.retry_after(self.now())
    }

    pub(super) fn now(&self) -> SystemTime {
        self.clock.now()
    }

    fn status(&self) -> Option<u16> {
        self.tape.last().map(|answer| answer.status.as_u16())
    }

    /// A certificate that was replaced already, that is another account's, or that the CA does not know.
    fn refuses_replacement(&self, fault: &OrderError) -> bool {
        matches!(self.status(), Some(404 | 409))
            || ["alreadyReplaced", "conflict", "malformed", "unauthorized"]
                .iter()
                .any(|kind| fault.is(kind))
    }
}

fn new_order<'a>(plan: &'a Plan, identifiers: &'a [Identifier]) -> NewOrder<'a> {
    let mut order = NewOrder::new(identifiers);
    if let Some(profile) = &plan.profile {
        order = order.profile(profile);
    }
    let replaces = plan.replaces.as_deref();
    if let Some((authority, serial)) = replaces.and_then(|id| id.split_once('.')) {
        order = order.replaces(CertificateIdentifier {
            authority_key_identifier: authority.into(),
            serial: serial.into(),
        });
    }
    order
}

fn identifier(name: &CertName) -> Identifier {
    match name {
        CertName::Host(_) | CertName::Wildcard(_) => Identifier::Dns(name.to_string()),
        CertName::Address(address) => Identifier::Ip(*address),
    }
}

const KINDS: [(ChallengeKind, ChallengeType); 3] = [
    (ChallengeKind::Http01, ChallengeType::Http01),
    (ChallengeKind::TlsAlpn01, ChallengeType::TlsAlpn01),
    (ChallengeKind::Dns01, ChallengeType::Dns01),
];

fn kind(found: &ChallengeType) -> Option<ChallengeKind> {
    let mut known = KINDS.into_iter();
    known.find_map(|(kind, theirs)| (theirs == *found).then_some(kind))
}

/// base64url without padding (RFC 8555 section 8.1): it becomes part of a path, so nothing else may pass.
fn is_token(token: &str) -> bool {
    const TOKEN_BYTES_MAX: usize = 256;
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    !token.is_empty() && token.len() <= TOKEN_BYTES_MAX && token.bytes().all(is_good)
}

async fn set_ready_once(
    order: &mut Order,
    number: usize,
    kind: ChallengeKind,
) -> Result<(), Error> {
    let kind = match kind {
        ChallengeKind::Http01 => ChallengeType::Http01,
        ChallengeKind::TlsAlpn01 => ChallengeType::TlsAlpn01,
        ChallengeKind::Dns01 => ChallengeType::Dns01,
    };
    let mut authorizations = order.authorizations();
    let mut at = 0;
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        if at == number {
            let Some(mut challenge) = authorization.challenge(kind) else {
                return Ok(());
            };
            return challenge.set_ready().await;
        }
        at += 1;
    }
    Ok(())
}

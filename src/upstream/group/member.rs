//! One endpoint of a group, and what is known of it.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;

use super::place::Place;
use crate::config::backends::{Backends, Balance, Role};
use crate::upstream::balance::sticky::{self, Id, Transport};
use crate::upstream::balance::{Candidate, ramp, rendezvous};
use crate::upstream::endpoint::Endpoint;
use crate::upstream::health::{Standing, Standings};

/// One that may be asked.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) endpoint: Endpoint,
    pub(super) standing: Arc<Standing>,
    pub(super) role: Role,
    /// Only where clients are bound by cookies.
    pub(super) cookie: Option<Cookie>,
    weight: u16,
    key: u64,
}

/// What binds a client to a member.
#[derive(Debug)]
pub(super) struct Cookie {
    pub(super) id: Id,
    secure: Option<HeaderValue>,
    clear: Option<HeaderValue>,
}

/// The members of a group at these places.
pub(super) fn all(
    backends: &Backends,
    places: Vec<Place<'_>>,
    standings: &Standings,
) -> Box<[Member]> {
    let mut cookies = cookies(&backends.balance, &places);
    let made = places.into_iter().map(|place| Member {
        standing: standings.of(&place.endpoint, backends.health.as_ref()),
        role: place.listed.role,
        cookie: cookies.next(),
        weight: place.listed.weight.get(),
        key: rendezvous::key([place.text.as_bytes()]),
        endpoint: place.endpoint,
    });
    made.collect()
}

fn cookies<'a>(
    balance: &'a Balance,
    places: &[Place<'_>],
) -> impl Iterator<Item = Cookie> + use<'a> {
    let name = match balance {
        Balance::Cookie(name) => Some(name),
        Balance::RoundRobin
        | Balance::LeastConn
        | Balance::Random
        | Balance::IpHash
        | Balance::Header(_) => None,
    };
    let texts = places.iter().map(|place| &*place.text);
    let ids = name.map(|name| (name, sticky::ids(texts)));
    let ids = ids.into_iter();
    ids.flat_map(|(name, ids)| {
        ids.into_iter().map(move |id| Cookie {
            id,
            secure: sticky::given(name, id, Transport::Secure),
            clear: sticky::given(name, id, Transport::Clear),
        })
    })
}

impl Member {
    pub(super) fn candidate(&self, index: usize, now: Duration) -> Candidate {
        Candidate {
            index,
            weight: ramp::weight(self.weight, self.standing.returned(), now),
            busy: self.standing.busy(),
            key: self.key,
        }
    }
}

impl Cookie {
    pub(super) fn field(&self, transport: Transport) -> Option<&HeaderValue> {
        match transport {
            Transport::Secure => self.secure.as_ref(),
            Transport::Clear => self.clear.as_ref(),
        }
    }
}

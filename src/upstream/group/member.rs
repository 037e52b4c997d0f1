//! One endpoint of a group, and what is known of it.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;

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

/// The members of a group, in the order of the text.
pub(super) fn all(backends: &Backends, standings: &Standings) -> Box<[Member]> {
    let listed = backends.members.iter();
    let (endpoints, members): (Vec<_>, Vec<_>) = listed
        .map(|member| (Endpoint::of(member.target.clone()), member))
        .unzip();
    let texts: Vec<String> = endpoints.iter().map(Endpoint::to_string).collect();
    let mut cookies = cookies(&backends.balance, &texts);
    let made = endpoints.into_iter().zip(members).zip(&texts);
    made.map(|((endpoint, member), text)| Member {
        standing: standings.of(&endpoint),
        role: member.role,
        cookie: cookies.next(),
        weight: member.weight.get(),
        key: rendezvous::key([text.as_bytes()]),
        endpoint,
    })
    .collect()
}

fn cookies<'a>(balance: &'a Balance, texts: &[String]) -> impl Iterator<Item = Cookie> + use<'a> {
    let name = match balance {
        Balance::Cookie(name) => Some(name),
        Balance::RoundRobin
        | Balance::LeastConn
        | Balance::Random
        | Balance::IpHash
        | Balance::Header(_) => None,
    };
    let ids = name.map(|name| (name, sticky::ids(texts.iter().map(String::as_str))));
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

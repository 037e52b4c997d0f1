//! What stands before a rule: who may ask, how often, and with which password. Looked at before anything is done, a redirect or a
//! fixed answer as well.

mod access;
pub mod auth;
mod debts;
mod gcra;
pub mod rates;

use std::sync::Arc;
use std::time::Duration;

use http::Response;

use super::body::Body;
use super::exchange::{Asked, Fault, own_reply};
use super::headers::{Authority, is_claim};
use super::record::Record;
use super::replies;
use crate::config::guard::{Auth, ForwardAuth, Guard, Htpasswd, Rate, RateKey};
use crate::config::site::Rule;
use crate::observe::counters::Refused;
use auth::forward::{self, Word};
use auth::passwords::Question;
use auth::{Login, Refusal};
use rates::Key;

/// What becomes of a request.
pub(super) enum Verdict {
    Pass,
    /// This is found out first.
    Wait(Wait),
    Refuse(Fault),
}

/// What is not known at once.
pub(super) enum Wait {
    /// Whether a password is right.
    Password(Arc<Htpasswd>, Question),
    /// What a server says.
    Server(Arc<ForwardAuth>),
}

/// Lets a request through, or says why not.
pub(super) fn admit(guard: &Guard, asked: &Asked, record: &mut Record) -> Verdict {
    let counters = &asked.visit.context.counters;
    if !access::is_admitted(&guard.access, asked.client.ip) {
        counters.refused(Refused::Forbidden);
        return Verdict::Refuse(Fault::Reply(replies::forbidden()));
    }
    if let Some(rate) = &guard.rate {
        let rates = &asked.table.common.rates;
        let counted = rates.count(rate, key(rate, asked, record), record.started());
        if let Err(wait) = counted {
            counters.refused(Refused::TooManyRequests);
            return Verdict::Refuse(Fault::Reply(replies::too_many_requests(whole(wait))));
        }
    }
    match &guard.auth {
        None => Verdict::Pass,
        Some(Auth::Basic(file)) => log_in(file, asked, record),
        Some(Auth::Forward(server)) => Verdict::Wait(Wait::Server(server.clone())),
    }
}

fn log_in(file: &Arc<Htpasswd>, asked: &Asked, record: &mut Record) -> Verdict {
    let common = &asked.table.common;
    let (headers, client) = (&asked.head.headers, asked.client.ip);
    match auth::login(file, headers, client, common, record.started()) {
        Login::Known(user) => {
            record.user = Some(user);
            Verdict::Pass
        }
        Login::Unproven(question) => Verdict::Wait(Wait::Password(file.clone(), question)),
        Login::Missing => Verdict::Refuse(auth::unauthorized(file)),
        Login::Wrong => {
            asked.visit.context.counters.refused(Refused::BadPassword);
            Verdict::Refuse(auth::unauthorized(file))
        }
    }
}

/// Finds out what a request had to wait for, and notes it. None: it may pass; else what the client gets.
pub(super) async fn find_out(
    wait: Wait,
    asked: &mut Asked,
    rule: &Rule,
    mut record: Box<Record>,
) -> Result<Box<Record>, Response<Body>> {
    let found = match wait {
        Wait::Password(file, question) => prove(question, &file, asked, &mut record).await,
        Wait::Server(server) => match forward::ask(&server, asked, rule, &mut record).await {
            Ok(Word::Pass(granted)) => {
                asked.granted = Some(granted);
                Ok(())
            }
            Ok(Word::Answer(question, answer, progress)) => {
                let method = &asked.head.method;
                let relayed = forward::relay(&question, method, answer, rule, progress, record);
                return Err(relayed.await);
            }
            Err(fault) => Err(fault),
        },
    };
    match found {
        Ok(()) => Ok(record),
        Err(fault) => Err(own_reply(record, fault.said_to(&asked.head))),
    }
}

async fn prove(
    question: Question,
    file: &Htpasswd,
    asked: &Asked,
    record: &mut Record,
) -> Result<(), Fault> {
    let common = &asked.table.common;
    match auth::prove(question, file, common, record.started()).await {
        Ok(user) => {
            record.user = Some(user);
            Ok(())
        }
        Err(Refusal::Wrong(fault)) => {
            asked.visit.context.counters.refused(Refused::BadPassword);
            Err(fault)
        }
        Err(Refusal::Busy(fault)) => Err(fault),
    }
}

fn key<'a>(rate: &'a Rate, asked: &'a Asked, record: &Record) -> Key<'a> {
    match &rate.key {
        RateKey::Ip => Key::Address(asked.client.ip),
        RateKey::Host => {
            let authority = asked.received.authority.as_ref();
            Key::Host(authority.map_or("", Authority::host))
        }
        RateKey::Header(name) => {
            // Who is not believed has no say in how it is counted either.
            let is_believed = record.forwarded.is_some() || !is_claim(name);
            if is_believed && asked.head.headers.contains_key(name) {
                Key::Field(&asked.head.headers, name)
            } else {
                Key::Nothing
            }
        }
    }
}

/// Whole seconds, none too few.
fn whole(wait: Duration) -> u32 {
    let more = u64::from(wait.subsec_nanos() > 0);
    u32::try_from(wait.as_secs().saturating_add(more)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_rounded_up() {
        assert_eq!(whole(Duration::from_nanos(1)), 1);
        assert_eq!(whole(Duration::from_secs(1)), 1);
        assert_eq!(whole(Duration::from_millis(1001)), 2);
        assert_eq!(whole(Duration::MAX), u32::MAX);
    }
}

//! What stands before a rule: who may ask, and how often. Looked at before anything is done, a redirect or a fixed answer as well.

mod access;
mod debts;
mod gcra;
pub mod rates;

use std::time::Duration;

use super::exchange::{Asked, Fault};
use super::headers::{Authority, is_claim};
use super::record::Record;
use super::replies;
use crate::config::guard::{Guard, Rate, RateKey};
use crate::observe::counters::Refused;
use rates::Key;

/// Lets a request through, or says why not.
///
/// # Errors
/// What the client is told.
pub(super) fn admit(guard: &Guard, asked: &Asked, record: &Record) -> Result<(), Fault> {
    let counters = &asked.visit.context.counters;
    if !access::is_admitted(&guard.access, asked.client.ip) {
        counters.refused(Refused::Forbidden);
        return Err(Fault::Reply(replies::forbidden()));
    }
    if let Some(rate) = &guard.rate {
        let rates = &asked.table.common.rates;
        let counted = rates.count(rate, key(rate, asked, record), record.started());
        if let Err(wait) = counted {
            counters.refused(Refused::TooManyRequests);
            return Err(Fault::Reply(replies::too_many_requests(whole(wait))));
        }
    }
    Ok(())
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

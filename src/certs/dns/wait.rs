//! Waits until every authoritative server of a zone shows a value: caches would tell nothing, and CAs ask the authorities, too.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use tokio::time::timeout;

use super::error::DnsError;
use super::exchange::{ExchangeError, Recursion, ask};
use super::fqdn;
use super::resolver::{Resolver, is_final};
use super::zone::{self, Authority};
use crate::clock::Clock;

/// How long a value usually gets to reach all servers.
pub const VISIBLE_WITHIN: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How many values of a server a message shows.
const VALUES_SHOWN_MAX: usize = 4;

/// A value that was not seen at all servers.
#[derive(Debug)]
pub struct Unseen {
    pub record: String,
    pub within: Duration,
    pub holdouts: Vec<Holdout>,
}

/// A server that does not show the value.
#[derive(Debug)]
pub struct Holdout {
    pub server: String,
    pub sight: Sight,
}

/// What there is instead.
#[derive(Debug)]
pub enum Sight {
    /// Its turn never came.
    Unasked,
    /// Its name has no address.
    Nowhere,
    /// There is no way to its addresses from here.
    OutOfReach,
    Silent(SocketAddr, ExchangeError),
    Refused(SocketAddr, ResponseCode),
    /// Other values, or none.
    Values(SocketAddr, Vec<String>),
}

/// Returns when all authoritative servers of the zone of `record` have shown `value` there, each asked itself at all its addresses;
/// with an error when some have not in time. Servers without a way from here are left out, unless that is all of them.
pub async fn until_visible(
    resolver: &Resolver,
    clock: &Clock,
    record: &str,
    value: &str,
    within: Duration,
) -> Result<(), DnsError> {
    let record = fqdn(record)?;
    let deadline = clock.now() + within;
    let mut watch = Watch::default();
    loop {
        let left = deadline.duration_since(clock.now()).unwrap_or_default();
        let fault = match timeout(left, watch.look(resolver, &record, value)).await {
            Ok(Ok(())) if watch.is_over() => return Ok(()),
            Ok(Err(error)) if error.is_lasting() => return Err(error),
            Ok(Err(error)) => Some(error),
            Ok(Ok(())) | Err(_) => None,
        };
        let next = clock.now() + LOOK_EVERY;
        if next >= deadline {
            let unseen = || Unseen {
                record: record.to_ascii(),
                within,
                holdouts: watch.holdouts(),
            };
            return Err(fault.unwrap_or_else(|| DnsError::NotVisible(unseen())));
        }
        clock.sleep_until(next).await;
    }
}

/// The servers of a zone and what was seen there last; `None` is the value.
#[derive(Default)]
struct Watch {
    servers: Vec<(Authority, Option<Sight>)>,
}

impl Watch {
    /// Asks those that have not shown the value before.
    async fn look(
        &mut self,
        resolver: &Resolver,
        record: &Name,
        value: &str,
    ) -> Result<(), DnsError> {
        if self.servers.is_empty() {
            let servers = zone::authorities(resolver, record).await?;
            let unasked = servers
                .into_iter()
                .map(|server| (server, Some(Sight::Unasked)));
            self.servers = unasked.collect();
        }
        for (server, sight) in &mut self.servers {
            if sight.is_some() {
                *sight = look_at(resolver, server, record, value).await;
            }
        }
        Ok(())
    }

    fn is_over(&self) -> bool {
        let mut sights = self.servers.iter().map(|(_, sight)| sight);
        let out_of_reach = |sight: &Option<Sight>| matches!(sight, Some(Sight::OutOfReach));
        sights.clone().any(Option::is_none)
            && sights.all(|sight| sight.is_none() || out_of_reach(sight))
    }

    fn holdouts(self) -> Vec<Holdout> {
        let holdout = |(server, sight): (Authority, Option<Sight>)| {
            Some(Holdout {
                server: server.name.to_ascii(),
                sight: sight?,
            })
        };
        self.servers.into_iter().filter_map(holdout).collect()
    }
}

/// Nothing when the value was shown at one address and nothing else at the others: a dead address shows nobody an old state.
async fn look_at(
    resolver: &Resolver,
    server: &Authority,
    record: &Name,
    value: &str,
) -> Option<Sight> {
    let mut shown = false;
    let mut fault = if server.addresses.is_empty() {
        Sight::Nowhere
    } else {
        Sight::OutOfReach
    };
    for address in &server.addresses {
        let address = resolver.address_of_authority(*address);
        match ask(address, record, RecordType::TXT, Recursion::Unwanted).await {
            Ok(answer) => match sight(address, &answer, record, value) {
                None => shown = true,
                other => return other,
            },
            Err(error) if error.is_out_of_reach() => {}
            Err(error) => fault = Sight::Silent(address, error),
        }
    }
    (!shown).then_some(fault)
}

fn sight(server: SocketAddr, answer: &Message, record: &Name, value: &str) -> Option<Sight> {
    let values: Vec<String> = answer
        .answers
        .iter()
        .filter_map(|answer| {
            let RData::TXT(text) = &answer.data else {
                return None;
            };
            let octets = (answer.name == *record).then(|| text.txt_data.concat())?;
            Some(String::from_utf8_lossy(&octets).into_owned())
        })
        .collect();
    let code = answer.metadata.response_code;
    if values.iter().any(|shown| shown == value) {
        None
    } else if is_final(code) {
        Some(Sight::Values(server, values))
    } else {
        Some(Sight::Refused(server, code))
    }
}

impl fmt::Display for Unseen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (record, within) = (&self.record, self.within.as_secs_f32());
        write!(
            f,
            "TXT `{record}` was not seen everywhere within {within} s: "
        )?;
        for holdout in &self.holdouts {
            write!(f, "{holdout}; ")?;
        }
        f.write_str("look whether the zone reaches all its name servers")
    }
}

impl fmt::Display for Holdout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` ", self.server)?;
        match &self.sight {
            Sight::Unasked => f.write_str("was not asked in time"),
            Sight::Nowhere => f.write_str("has no address"),
            Sight::OutOfReach => f.write_str("cannot be reached from this machine"),
            Sight::Silent(address, error) => write!(f, "({address}) gave {error}"),
            Sight::Refused(address, code) => write!(f, "({address}) answered `{code}`"),
            Sight::Values(address, values) if values.is_empty() => {
                write!(f, "({address}) has no TXT there")
            }
            Sight::Values(address, values) => {
                write!(f, "({address}) has only")?;
                for value in values.iter().take(VALUES_SHOWN_MAX) {
                    write!(f, " {value:?}")?;
                }
                match values.len().saturating_sub(VALUES_SHOWN_MAX) {
                    0 => Ok(()),
                    more => write!(f, " and {more} more"),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use hickory_proto::rr::Record;
    use hickory_proto::rr::rdata::TXT;

    use super::*;
    use crate::certs::dns::exchange::question;

    const SERVER: &str = "192.0.2.1:53";

    fn seen(values: &[&[&str]]) -> Option<Sight> {
        let name = Name::from_ascii("a.test.").unwrap();
        let mut answer = question(&name, RecordType::TXT, Recursion::Unwanted).into_response();
        for strings in values {
            let text = TXT::new(strings.iter().copied().map(str::to_owned).collect());
            answer.add_answer(Record::from_rdata(name.clone(), 60, RData::TXT(text)));
        }
        sight(SERVER.parse().unwrap(), &answer, &name, "value")
    }

    #[test]
    fn a_value_is_found_among_others_and_in_pieces() {
        assert!(seen(&[&["other"], &["value"]]).is_none());
        assert!(seen(&[&["va", "lue"]]).is_none());
        let sight = seen(&[&["a"], &["b"], &["c"], &["d"], &["e"]]).unwrap();
        let server = "ns.test.".to_owned();
        assert_eq!(
            Holdout { server, sight }.to_string(),
            "`ns.test.` (192.0.2.1:53) has only \"a\" \"b\" \"c\" \"d\" and 1 more"
        );
    }

    #[test]
    fn a_server_out_of_reach_counts_only_beside_one_that_shows_the_value() {
        let over = |sights: Vec<Option<Sight>>| {
            let server = |sight| {
                let name = Name::from_ascii("ns.test.").unwrap();
                let addresses = Vec::new();
                (Authority { name, addresses }, sight)
            };
            let servers = sights.into_iter().map(server).collect();
            Watch { servers }.is_over()
        };
        assert!(over(vec![None, None]));
        assert!(over(vec![None, Some(Sight::OutOfReach)]));
        assert!(!over(vec![Some(Sight::OutOfReach)]));
        assert!(!over(vec![None, Some(Sight::Unasked)]));
        assert!(!over(vec![None, Some(Sight::Nowhere)]));
        assert!(!over(Vec::new()));
    }
}

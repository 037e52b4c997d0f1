//! The recursive resolvers that names are looked up by: the system's, or one that was named.

use std::net::{IpAddr, SocketAddr};

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};

use super::error::{DnsError, QueryFault};
use super::exchange::{Recursion, ask};
use crate::hostname::HostName;

const CONFIGURATION: &str = "/etc/resolv.conf";
/// What the system's own resolver asks at most.
const SERVERS_MAX: usize = 3;
/// Who answers when the configuration names nobody.
const LOCAL: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), DNS_PORT);
const DNS_PORT: u16 = 53;

/// Where look-ups begin. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Resolver {
    source: Source,
    authoritative_port: u16,
}

#[derive(Debug, Clone)]
enum Source {
    System,
    At(SocketAddr),
}

impl Resolver {
    /// The system's, from a configuration that is read again at every look-up.
    #[must_use]
    pub fn system() -> Self {
        Self::starting(Source::System)
    }

    /// This one and no other.
    #[must_use]
    pub fn at(server: SocketAddr) -> Self {
        Self::starting(Source::At(server))
    }

    /// Asks authoritative servers at another port than DNS's, for networks that are set up so.
    #[must_use]
    pub fn authoritative_port(mut self, port: u16) -> Self {
        self.authoritative_port = port;
        self
    }

    fn starting(source: Source) -> Self {
        Self {
            source,
            authoritative_port: DNS_PORT,
        }
    }

    pub(super) fn address_of_authority(&self, address: IpAddr) -> SocketAddr {
        SocketAddr::new(address, self.authoritative_port)
    }

    /// Asks one server after the other. That a name or a record does not exist is an answer, too.
    pub(super) async fn look_up(&self, name: &Name, kind: RecordType) -> Result<Message, DnsError> {
        let mut fault = None;
        for server in self.servers().await {
            let found = match ask(server, name, kind, Recursion::Wanted).await {
                Ok(answer) if is_final(answer.metadata.response_code) => return Ok(answer),
                Ok(answer) => QueryFault::Answered(answer.metadata.response_code),
                Err(error) => QueryFault::Unanswered(error),
            };
            fault = Some((server, found));
        }
        let (server, fault) = fault.unwrap_or((LOCAL, QueryFault::Answered(ResponseCode::Refused)));
        Err(DnsError::Query {
            server: server.to_string(),
            name: name.to_ascii(),
            kind,
            fault,
        })
    }

    /// The addresses of a host, of both families, as far as they can be found.
    pub(super) async fn addresses(&self, host: &Name) -> Result<Vec<IpAddr>, DnsError> {
        let mut addresses = Vec::new();
        for kind in [RecordType::A, RecordType::AAAA] {
            let answer = self.look_up(host, kind).await?;
            addresses.extend(
                answer
                    .answers
                    .iter()
                    .filter_map(|record| address(&record.data)),
            );
        }
        Ok(addresses)
    }

    /// The addresses of a host, as this resolver finds them; none if it has none.
    ///
    /// # Errors
    /// When no server answers.
    pub async fn addresses_of(&self, host: &HostName) -> Result<Vec<IpAddr>, DnsError> {
        let Ok(name) = Name::from_ascii(format!("{host}.")) else {
            return Ok(Vec::new());
        };
        self.addresses(&name).await
    }

    /// Who is asked, in this order.
    pub async fn servers(&self) -> Vec<SocketAddr> {
        match self.source {
            Source::At(server) => vec![server],
            Source::System => {
                let text = tokio::fs::read_to_string(CONFIGURATION).await;
                named_servers(&text.unwrap_or_default())
            }
        }
    }
}

/// What exists, and what does not: another server would say the same.
pub(super) fn is_final(code: ResponseCode) -> bool {
    code == ResponseCode::NoError || code == ResponseCode::NXDomain
}

fn address(record: &RData) -> Option<IpAddr> {
    if let RData::A(address) = record {
        Some(IpAddr::V4(address.0))
    } else if let RData::AAAA(address) = record {
        Some(IpAddr::V6(address.0))
    } else {
        None
    }
}

fn named_servers(configuration: &str) -> Vec<SocketAddr> {
    let mut servers: Vec<SocketAddr> = configuration
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let (Some("nameserver"), Some(address)) = (words.next(), words.next()) else {
                return None;
            };
            Some(SocketAddr::new(address.parse().ok()?, DNS_PORT))
        })
        .take(SERVERS_MAX)
        .collect();
    if servers.is_empty() {
        servers.push(LOCAL);
    }
    servers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_servers_are_read() {
        let check = |text: &str, expected: &[&str]| {
            let found: Vec<String> = named_servers(text)
                .iter()
                .map(ToString::to_string)
                .collect();
            assert_eq!(found, expected);
        };
        check("", &["127.0.0.1:53"]);
        check(
            "search a.test\n# nameserver 1.1.1.1\nnameserver",
            &["127.0.0.1:53"],
        );
        check(
            "nameserver 192.0.2.1 # near\n nameserver\t2001:db8::1\noptions ndots:2",
            &["192.0.2.1:53", "[2001:db8::1]:53"],
        );
        check(&"nameserver 192.0.2.1\n".repeat(9), &["192.0.2.1:53"; 3]);
    }
}

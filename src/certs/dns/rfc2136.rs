//! Dynamic update (RFC 2136), signed by a shared key (TSIG, RFC 8945): BIND, Knot, PowerDNS, Windows DNS and many hosters.

use std::net::IpAddr;
use std::str::FromStr;
use std::time::UNIX_EPOCH;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hickory_proto::op::{Message, ResponseCode, update_message};
use hickory_proto::rr::rdata::TXT;
use hickory_proto::rr::rdata::tsig::TsigAlgorithm;
use hickory_proto::rr::{Name, RData, Record, RecordSet, RecordType, TSigner};

use super::error::DnsError;
use super::exchange::{ExchangeError, Recursion, ask_by_tcp, by_tcp, question};
use super::refusal::Refusal;
use super::secret::Secret;
use super::zone::{candidates, is_apex};
use super::{RECORD_TTL, fqdn};
use crate::clock::Clock;

/// How many seconds the clocks of both sides may differ (RFC 8945 section 10).
const FUDGE: u16 = 300;
const DNS_PORT: u16 = 53;

#[derive(Debug, Clone)]
pub struct Rfc2136Options {
    /// The primary server: `host:port`, or a host or address alone for DNS's own port.
    pub server: String,
    /// Without one the server is asked.
    pub zone: Option<String>,
    pub key: String,
    pub algorithm: Algorithm,
    /// In base64, as DNS servers write it.
    pub secret: Secret,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    HmacSha256,
    HmacSha384,
    HmacSha512,
}

/// A server that takes signed updates. All goes by TCP, which has no limit of size and no false senders.
pub struct Rfc2136 {
    server: String,
    zone: Option<Name>,
    signer: TSigner,
    clock: Clock,
}

#[derive(Clone, Copy)]
enum Change {
    Append,
    Delete,
}

impl Rfc2136 {
    /// Fails when an option cannot be used; the server is not asked yet.
    pub fn new(options: &Rfc2136Options, clock: Clock) -> Result<Self, DnsError> {
        let fault = |option, fault| DnsError::Option { option, fault };
        let server = with_port(&options.server)
            .ok_or_else(|| fault("server", "is neither a host nor `host:port`"))?;
        let zone = options.zone.as_deref().map(fqdn).transpose()?;
        let name = Name::from_ascii(&options.key)
            .ok()
            .filter(|name| !name.is_root())
            .ok_or_else(|| fault("key", "is not the name of a key"))?;
        let secret = BASE64_STANDARD
            .decode(options.secret.reveal().trim())
            .ok()
            .filter(|secret| !secret.is_empty())
            .ok_or_else(|| fault("secret", "is not base64"))?;
        let algorithm = match options.algorithm {
            Algorithm::HmacSha256 => TsigAlgorithm::HmacSha256,
            Algorithm::HmacSha384 => TsigAlgorithm::HmacSha384,
            Algorithm::HmacSha512 => TsigAlgorithm::HmacSha512,
        };
        let signer = TSigner::new(secret, algorithm, name.to_lowercase(), FUDGE)
            .map_err(|_unsupported| fault("algorithm", "is not supported"))?;
        Ok(Self {
            server,
            zone,
            signer,
            clock,
        })
    }

    pub(super) async fn append(&self, record: &Name, value: &str) -> Result<(), DnsError> {
        self.update(record, value, Change::Append).await
    }

    pub(super) async fn delete(&self, record: &Name, value: &str) -> Result<(), DnsError> {
        self.update(record, value, Change::Delete).await
    }

    async fn update(&self, record: &Name, value: &str, change: Change) -> Result<(), DnsError> {
        let zone = self.zone_of(record).await?;
        let silent = |error| DnsError::Silent {
            server: self.server.clone(),
            record: record.to_ascii(),
            error,
        };
        let answer = self
            .exchange(signed_by_nobody(record, value, &zone, change))
            .await
            .map_err(silent)?;
        let code = answer.metadata.response_code;
        if code == ResponseCode::NoError {
            return Ok(());
        }
        let signature = answer.signature.as_ref();
        Err(DnsError::Refused(Refusal {
            server: self.server.clone(),
            zone: zone.to_ascii(),
            record: record.to_ascii(),
            code,
            fault: signature.and_then(|signature| signature.data.error),
        }))
    }

    /// A consent must be signed by the server. A refusal may come without: one to an unknown key cannot be signed.
    async fn exchange(&self, mut update: Message) -> Result<Message, ExchangeError> {
        let now = self
            .clock
            .now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let garbled = |_| ExchangeError::Garbled;
        let verifier = update
            .finalize(&self.signer, now.as_secs())
            .map_err(garbled)?;
        let octets = update.to_vec().map_err(garbled)?;
        let answer = by_tcp(&self.server, &octets).await?;
        let message = Message::from_vec(&answer).map_err(|_| ExchangeError::Garbled)?;
        if message.metadata.id != update.metadata.id {
            return Err(ExchangeError::Garbled);
        }
        if message.metadata.response_code == ResponseCode::NoError {
            let mut verifier = verifier.ok_or(ExchangeError::Unsigned)?;
            verifier
                .verify(&answer)
                .map_err(|_| ExchangeError::Unsigned)?;
        }
        Ok(message)
    }

    async fn zone_of(&self, record: &Name) -> Result<Name, DnsError> {
        if let Some(zone) = &self.zone {
            return if zone.zone_of(record) {
                Ok(zone.clone())
            } else {
                Err(DnsError::OutsideZone {
                    record: record.to_ascii(),
                    zone: zone.to_ascii(),
                })
            };
        }
        for candidate in candidates(record) {
            let question = question(&candidate, RecordType::SOA, Recursion::Unwanted);
            let answer =
                ask_by_tcp(&self.server, &question)
                    .await
                    .map_err(|error| DnsError::Silent {
                        server: self.server.clone(),
                        record: record.to_ascii(),
                        error,
                    })?;
            if answer.metadata.authoritative && is_apex(&answer, &candidate) {
                return Ok(candidate);
            }
        }
        Err(DnsError::NotServed {
            server: self.server.clone(),
            record: record.to_ascii(),
        })
    }
}

/// The zone must be one of the record's parents.
fn signed_by_nobody(record: &Name, value: &str, zone: &Name, change: Change) -> Message {
    let text = RData::TXT(TXT::new(vec![value.into()]));
    let set = RecordSet::from(Record::from_rdata(record.clone(), RECORD_TTL, text));
    match change {
        Change::Append => update_message::append(set, zone.clone(), false, false),
        Change::Delete => update_message::delete_by_rdata(set, zone.clone(), false),
    }
}

/// `host`, `host:53`, `192.0.2.1`, `2001:db8::1` or `[2001:db8::1]:53`, always with a port.
fn with_port(server: &str) -> Option<String> {
    let bare = server.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = IpAddr::from_str(bare) {
        return Some(match address {
            IpAddr::V4(address) => format!("{address}:{DNS_PORT}"),
            IpAddr::V6(address) => format!("[{address}]:{DNS_PORT}"),
        });
    }
    let spaced = server.chars().any(|c| c.is_whitespace() || c == '/');
    match server.rsplit_once(':') {
        _ if spaced || server.is_empty() => None,
        None => Some(format!("{server}:{DNS_PORT}")),
        Some((host, port)) => {
            let known = !host.is_empty() && u16::from_str(port).is_ok_and(|port| port != 0);
            known.then(|| server.to_owned())
        }
    }
}

impl FromStr for Algorithm {
    type Err = DnsError;

    fn from_str(text: &str) -> Result<Self, DnsError> {
        match text {
            "hmac-sha256" => Ok(Self::HmacSha256),
            "hmac-sha384" => Ok(Self::HmacSha384),
            "hmac-sha512" => Ok(Self::HmacSha512),
            _ => Err(DnsError::Option {
                option: "algorithm",
                fault: "is none of `hmac-sha256`, `hmac-sha384`, `hmac-sha512`",
            }),
        }
    }
}

impl std::fmt::Debug for Rfc2136 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rfc2136")
            .field("server", &self.server)
            .field("zone", &self.zone)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> Rfc2136Options {
        Rfc2136Options {
            server: "192.0.2.1".into(),
            zone: Some("a.test".into()),
            key: "k".into(),
            algorithm: Algorithm::HmacSha512,
            secret: Secret::new("c2VjcmV0"),
        }
    }

    #[test]
    fn servers_get_a_port() {
        let check = |server, expected| assert_eq!(with_port(server).as_deref(), expected);
        check("ns.a.test", Some("ns.a.test:53"));
        check("ns.a.test:5353", Some("ns.a.test:5353"));
        check("192.0.2.1", Some("192.0.2.1:53"));
        check("2001:db8::1", Some("[2001:db8::1]:53"));
        check("[2001:db8::1]", Some("[2001:db8::1]:53"));
        check("[2001:db8::1]:5353", Some("[2001:db8::1]:5353"));
        for bad in ["", ":53", "ns:port", "ns:0", "tcp://ns", "ns a"] {
            check(bad, None);
        }
    }

    #[test]
    fn unusable_options_are_named() {
        let check = |options: &Rfc2136Options, expected: &str| {
            let error = Rfc2136::new(options, Clock::system()).unwrap_err();
            assert_eq!(error.to_string(), expected);
        };
        assert!(Rfc2136::new(&options(), Clock::system()).is_ok());
        let secret = Secret::new("not base64");
        check(
            &Rfc2136Options {
                secret,
                ..options()
            },
            "`secret` is not base64",
        );
        let key = "..".into();
        check(
            &Rfc2136Options { key, ..options() },
            "`key` is not the name of a key",
        );
    }

    #[test]
    fn secrets_are_not_shown() {
        let shown = format!(
            "{:?} {:?}",
            options(),
            Rfc2136::new(&options(), Clock::system())
        );
        assert!(
            !shown.contains("c2VjcmV0") && !shown.contains("115, 101"),
            "{shown}"
        );
    }

    #[tokio::test]
    async fn a_record_outside_the_given_zone_is_refused_before_anybody_is_asked() {
        let server = Rfc2136::new(&options(), Clock::system()).unwrap();
        let record = fqdn("_acme-challenge.b.test").unwrap();
        let error = server.append(&record, "value").await.unwrap_err();
        assert!(matches!(error, DnsError::OutsideZone { .. }), "{error}");
    }
}

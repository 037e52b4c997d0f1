//! What can go wrong with a record, in words for its operator: who was asked, what was answered, and what mends it.

use std::fmt;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use http::StatusCode;

use super::exchange::ExchangeError;
use super::exec::{Ending, Failure};
use super::refusal::Refusal;
use super::wait::Unseen;
use crate::causes::one_line;
use crate::certs::http::error::HttpError;

/// Why a value was not published, not seen, or not taken away.
#[derive(Debug)]
pub enum DnsError {
    /// An option of a publisher cannot be used. The operator's fault, as the ones down to `OutsideZone`.
    Option {
        option: &'static str,
        fault: &'static str,
    },
    /// No name that a record for a challenge can have.
    BadName {
        name: String,
    },
    /// No value that a challenge can have.
    BadValue {
        name: String,
    },
    Delegation {
        name: String,
        fault: DelegationFault,
    },
    /// Neither the name nor one of its parents is where a zone begins.
    NoZone {
        record: String,
    },
    /// The zone has no name servers.
    NoServers {
        zone: String,
    },
    /// The server to be updated serves no zone that the record lies in.
    NotServed {
        server: String,
        record: String,
    },
    OutsideZone {
        record: String,
        zone: String,
    },
    /// The server would not change its zone.
    Refused(Refusal),
    /// The server said nothing that can be trusted.
    Silent {
        server: String,
        record: String,
        error: ExchangeError,
    },
    /// A name could not be looked up.
    Query {
        server: String,
        name: String,
        kind: RecordType,
        fault: QueryFault,
    },
    /// The provider could not be asked.
    Http {
        url: String,
        record: String,
        error: Box<HttpError>,
    },
    /// The provider said no.
    Provider {
        url: String,
        record: String,
        status: StatusCode,
        answer: String,
        remedy: &'static str,
    },
    Program(Failure),
    NotVisible(Unseen),
}

/// What is wrong with a chain of CNAMEs.
#[derive(Debug)]
pub enum DelegationFault {
    Loop {
        at: String,
    },
    TooLong {
        steps: usize,
    },
    /// It does not lead to the name that the provider's account may change.
    Elsewhere {
        to: String,
        subdomain: String,
    },
}

/// Why a question has no answer.
#[derive(Debug)]
pub enum QueryFault {
    Unanswered(ExchangeError),
    Answered(ResponseCode),
}

impl DnsError {
    /// Whether it stays until somebody changes the configuration, the zone or the provider's account: trying again does not help.
    #[must_use]
    pub fn is_lasting(&self) -> bool {
        match self {
            Self::Option { .. }
            | Self::BadName { .. }
            | Self::BadValue { .. }
            | Self::Delegation { .. }
            | Self::NoZone { .. }
            | Self::NoServers { .. }
            | Self::NotServed { .. }
            | Self::OutsideZone { .. } => true,
            Self::Refused(refusal) => refusal.is_lasting(),
            Self::Provider { status, .. } => {
                !status.is_server_error() && *status != StatusCode::TOO_MANY_REQUESTS
            }
            Self::Program(failure) => matches!(failure.ending, Ending::NotStarted(_)),
            Self::Silent { .. } | Self::Query { .. } | Self::Http { .. } | Self::NotVisible(_) => {
                false
            }
        }
    }
}

impl fmt::Display for DnsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Option { option, fault } => write!(f, "`{option}` {fault}"),
            Self::BadName { name } => write!(
                f,
                "`{name}` cannot have a record for a challenge: only letters, digits, `-` and `_` may stand between its dots"
            ),
            Self::BadValue { name } => {
                write!(
                    f,
                    "the value for `{name}` is not that of a DNS-01 challenge"
                )
            }
            Self::Delegation { name, fault } => write!(f, "`{name}` {fault}"),
            Self::NoZone { record } => write!(
                f,
                "no zone was found for `{record}`: does its domain exist in DNS?"
            ),
            Self::NoServers { zone } => write!(f, "zone `{zone}` has no NS records"),
            Self::NotServed { server, record } => write!(
                f,
                "`{server}` serves no zone that `{record}` lies in: check `server`, or set `zone`"
            ),
            Self::OutsideZone { record, zone } => write!(
                f,
                "`{record}` does not lie in zone `{zone}`: correct `zone`, or leave it away to have it found"
            ),
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Silent {
                server,
                record,
                error,
            } => write!(
                f,
                "`{server}` was to change TXT `{record}`: {error}: check `server`, and whether it takes TCP there"
            ),
            Self::Query {
                server,
                name,
                kind,
                fault,
            } => write!(
                f,
                "resolver `{server}` was asked for {kind} `{name}`: {fault}: check what this machine resolves names by"
            ),
            Self::Http { url, record, error } => {
                write!(
                    f,
                    "{url} was asked to change TXT `{record}`: {}: check the address, and the way to it",
                    one_line(error.as_ref())
                )
            }
            Self::Provider {
                url,
                record,
                answer,
                remedy,
                ..
            } => write!(
                f,
                "{url} would not change TXT `{record}` and answered {answer}: {remedy}"
            ),
            Self::Program(failure) => failure.fmt(f),
            Self::NotVisible(unseen) => unseen.fmt(f),
        }
    }
}

impl fmt::Display for DelegationFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loop { at } => write!(
                f,
                "is delegated in a circle by the CNAME to `{at}`: take one of them away"
            ),
            Self::TooLong { steps } => write!(
                f,
                "is delegated by more than {steps} CNAMEs in a row: let it point to the last name"
            ),
            Self::Elsewhere { to, subdomain } => write!(
                f,
                "leads to `{to}`, which is not the name of the acme-dns account: add a CNAME from it to `{subdomain}` below the domain of the acme-dns server"
            ),
        }
    }
}

impl fmt::Display for QueryFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unanswered(error) => error.fmt(f),
            Self::Answered(code) => write!(f, "it answered `{code}`"),
        }
    }
}

impl std::error::Error for DnsError {}

//! How a DNS server refuses an update, and what mends it.

use std::fmt;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::tsig::TsigError;

/// The answer of a server that would not change its zone.
#[derive(Debug)]
pub struct Refusal {
    pub server: String,
    pub zone: String,
    pub record: String,
    pub code: ResponseCode,
    /// What is wrong with the signature.
    pub fault: Option<TsigError>,
}

impl Refusal {
    /// A server that is in trouble itself may take the same update later.
    pub(super) fn is_lasting(&self) -> bool {
        self.code != ResponseCode::ServFail
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            server,
            zone,
            record,
            code,
            fault,
        } = self;
        write!(
            f,
            "`{server}` would not change TXT `{record}` in zone `{zone}` and answered `{code}`"
        )?;
        if let Some(fault) = fault {
            write!(f, " ({})", said(fault))?;
        }
        write!(f, ": {}", remedy(*code, fault.as_ref()))
    }
}

fn said(fault: &TsigError) -> &'static str {
    match fault {
        TsigError::BadSig => "BADSIG",
        TsigError::BadKey => "BADKEY",
        TsigError::BadTime => "BADTIME",
        TsigError::BadTrunc => "BADTRUNC",
        TsigError::Unknown(_) => "an unknown fault of the signature",
    }
}

fn remedy(refusal: ResponseCode, fault: Option<&TsigError>) -> &'static str {
    match (fault, refusal) {
        (Some(TsigError::BadSig), _) => "it has another secret for this key: correct `secret`",
        (Some(TsigError::BadKey), _) => {
            "it has no such key for this algorithm: correct `key` or `algorithm`"
        }
        (Some(TsigError::BadTime), _) => {
            "its clock and this machine's are minutes apart: set them right"
        }
        (_, ResponseCode::NotAuth) => {
            "it is not the zone's primary server, or its rules keep the key from this zone"
        }
        (_, ResponseCode::Refused) => {
            "let its rules for updates allow the key to change TXT records at this name"
        }
        (_, ResponseCode::NotZone) => "correct `zone`",
        (_, ResponseCode::NotImp) => "it takes no updates: switch them on, or name another server",
        (_, _) => "its own log says more",
    }
}

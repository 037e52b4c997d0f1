//! Certificates and their windows.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, IsCa, Issuer, KeyPair,
    SanType, SerialNumber,
};
use serde_json::json;

use super::reply::Reply;
use super::state::{State, missing};
use crate::certs::acme::ari::certificate_id;

/// A leaf begins in the past, for clients whose clocks are late.
const BACKDATED: Duration = Duration::from_secs(60 * 60);
const LOOK_AGAIN: Duration = Duration::from_secs(6 * 60 * 60);
const SHORT_LIFE: Duration = Duration::from_secs(10 * 24 * 60 * 60);

pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

pub(super) struct Certificate {
    pub(super) account: usize,
    pub(super) id: String,
    pub(super) names: BTreeSet<String>,
    pub(super) chain_pem: String,
    pub(super) incident: Option<(SystemTime, String)>,
    not_before: SystemTime,
    not_after: SystemTime,
}

impl Authority {
    pub(super) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            issuer: Issuer::new(params, key),
            pem,
        }
    }
}

impl Certificate {
    /// As Boulder has it: a fiftieth of the life around two thirds of it, or around its middle if it is short.
    pub(super) fn window(&self) -> (SystemTime, SystemTime) {
        if let Some((at, _)) = &self.incident {
            let start = *at - Duration::from_secs(60 * 60);
            return (start, start + Duration::from_secs(30 * 60));
        }
        let life = self.not_after.duration_since(self.not_before).unwrap();
        let from_end = if life < SHORT_LIFE {
            life / 2
        } else {
            life / 3
        };
        let ideal = self.not_after - from_end;
        (ideal - life / 100, ideal + life / 100)
    }
}

impl State {
    pub(super) fn issue(
        &mut self,
        account: usize,
        names: BTreeSet<String>,
        profile: Option<&str>,
        mut csr: CertificateSigningRequestParams,
    ) -> Certificate {
        let of_profile = profile.and_then(|it| self.behaviour.profiles.get(it).copied());
        let validity = of_profile.unwrap_or(self.behaviour.validity);
        let not_before = self.now() - BACKDATED;
        let not_after = not_before + validity;
        csr.params.not_before = not_before.into();
        csr.params.not_after = not_after.into();
        csr.params.serial_number = Some(SerialNumber::from_slice(&self.octets()));
        csr.params.use_authority_key_identifier_extension = true;
        let leaf = csr.signed_by(&self.authority.issuer).unwrap();
        Certificate {
            account,
            id: certificate_id(leaf.der()).unwrap(),
            names,
            chain_pem: format!("{}{}", leaf.pem(), self.authority.pem),
            incident: None,
            not_before,
            not_after,
        }
    }

    pub(super) fn window(&self, id: &str) -> Reply {
        let Some(number) = self.index.certificates.get(id) else {
            return missing();
        };
        let certificate = &self.certificates[*number];
        let (start, end) = certificate.window();
        let mut json = json!({ "suggestedWindow": { "start": text(start), "end": text(end) } });
        if let Some((_, explanation)) = &certificate.incident {
            json["explanationURL"] = json!(explanation);
        }
        Reply::json(200, &json).retry_after(LOOK_AGAIN)
    }
}

pub(super) fn san_text(san: &SanType) -> String {
    match san {
        SanType::DnsName(name) => name.as_str().to_owned(),
        SanType::IpAddress(address) => address.to_string(),
        SanType::Rfc822Name(_) | SanType::URI(_) | SanType::OtherName(_) | _ => {
            format!("{san:?}")
        }
    }
}

fn text(at: SystemTime) -> String {
    Timestamp::try_from(at).unwrap().to_string()
}

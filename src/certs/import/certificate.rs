//! Judges one certificate and its key as they were found.

use std::time::SystemTime;

use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::certificate::X509Certificate;

use crate::certs::bundle::Secret;
use crate::certs::facts::Facts;
use crate::certs::import::fault::{Fault, Warning};
use crate::certs::import::findings::{FoundCertificate, Tool};
use crate::certs::import::known;
use crate::certs::import::sections::Sections;
use crate::certs::import::staging;
use crate::certs::pem::{Contents, Key};

/// What a tool keeps of one certificate.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) tool: Tool,
    pub(super) place: String,
    /// The leaf and its chain.
    pub(super) chain: Part,
    pub(super) key: Part,
    /// The names that the tool has it for; none if it does not say.
    pub(super) said: Vec<String>,
    pub(super) directory: Option<String>,
    pub(super) account: Option<usize>,
}

/// One of its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    Absent,
    Text(Vec<u8>),
    /// Why it is not there, as a sentence.
    Unreadable(String),
}

impl Part {
    pub(super) fn sections(&self) -> Sections {
        match self {
            Self::Text(text) => Sections::of(text),
            Self::Absent | Self::Unreadable(_) => Sections::default(),
        }
    }

    fn unreadable(&self) -> Option<Fault> {
        match self {
            Self::Unreadable(why) => Some(Fault::Unreadable(why.clone())),
            Self::Absent | Self::Text(_) => None,
        }
    }
}

impl Draft {
    pub(super) fn judged(self, now: SystemTime) -> FoundCertificate {
        let (chain, key) = (self.chain.sections(), self.key.sections());
        let certificates = Contents::parse(chain.certificates.as_bytes())
            .map(|contents| contents.certificates)
            .map_err(|_damaged| Fault::BrokenPem);
        let parsed = certificates
            .as_deref()
            .map_err(Clone::clone)
            .and_then(parse);
        let parsed = parsed.and_then(|parsed| match parsed.is_empty() {
            true => Err(Fault::NoCertificate),
            false => Ok(parsed),
        });
        let facts = parsed.as_deref().ok().and_then(<[_]>::first).map(Facts::of);
        let fault = self.chain.unreadable();
        let fault = fault.or_else(|| self.key.unreadable());
        let fault = fault.or_else(|| match &parsed {
            Ok(parsed) => key_fault(&key, parsed),
            Err(fault) => Some(fault.clone()),
        });
        let fault = fault.or_else(|| facts.as_ref().and_then(|facts| facts_fault(facts, now)));
        let guessed = || known::directory_of_issuer(&facts.as_ref()?.issuer).map(str::to_owned);
        let told = self.directory.filter(|directory| !directory.is_empty());
        let (told, odd) = match told {
            Some(directory) if !known::is_url(&directory) => (None, Some(directory)),
            told => (told, None),
        };
        let directory = told.or_else(guessed);
        let mut warnings: Vec<Warning> = match (&parsed, &facts) {
            (Ok(parsed), Some(facts)) => {
                warnings(parsed, facts, directory.as_deref(), &self.said, now).collect()
            }
            _unreadable => Vec::new(),
        };
        warnings.extend(odd.map(Warning::OddDirectory));
        let names = match &facts {
            Some(facts) => facts.names.iter().map(ToString::to_string).collect(),
            None => self.said,
        };
        FoundCertificate {
            tool: self.tool,
            place: self.place,
            names,
            chain: chain.certificates,
            key: Secret(key.key),
            facts,
            directory,
            account: self.account,
            fault,
            warnings,
        }
    }
}

fn parse<'a>(chain: &'a [CertificateDer<'static>]) -> Result<Vec<X509Certificate<'a>>, Fault> {
    let one = |(index, der)| match x509_parser::parse_x509_certificate(der) {
        Ok((_rest, certificate)) => Ok(certificate),
        Err(_unparsable) => Err(Fault::BrokenCertificate(index + 1)),
    };
    chain
        .iter()
        .map(AsRef::as_ref)
        .enumerate()
        .map(one)
        .collect()
}

fn key_fault(key: &Sections, certificates: &[X509Certificate<'_>]) -> Option<Fault> {
    let key = match private_key(key) {
        Ok(key) => key,
        Err(fault) => return Some(fault),
    };
    let Ok(key) = any_supported_type(&key) else {
        return Some(Fault::UnusableKey);
    };
    let own = key.public_key()?;
    let is_of = |certificate: &X509Certificate<'_>| certificate.public_key().raw == own.as_ref();
    match certificates.iter().position(is_of) {
        Some(0) => None,
        Some(index) => Some(Fault::LeafNotFirst(index + 1)),
        None => Some(Fault::KeyMismatch),
    }
}

/// The key of a text, of any kind.
pub(super) fn private_key(key: &Sections) -> Result<PrivateKeyDer<'static>, Fault> {
    if key.key_is_encrypted {
        return Err(Fault::EncryptedKey);
    }
    let contents = Contents::parse(key.key.as_bytes()).map_err(|_damaged| Fault::BrokenPem)?;
    match contents.key {
        Key::Plain(key) => Ok(key),
        Key::Encrypted => Err(Fault::EncryptedKey),
        Key::Absent => Err(Fault::NoKey),
    }
}

/// Of a key, as a certificate has it (SubjectPublicKeyInfo).
pub(super) fn public_key(key: &Sections) -> Option<Vec<u8>> {
    let key = any_supported_type(&private_key(key).ok()?).ok()?;
    Some(key.public_key()?.to_vec())
}

/// Of the first certificate.
pub(super) fn leaf_public_key(chain: &Sections) -> Option<Vec<u8>> {
    let contents = Contents::parse(chain.certificates.as_bytes()).ok()?;
    let (_rest, leaf) = x509_parser::parse_x509_certificate(contents.certificates.first()?).ok()?;
    Some(leaf.public_key().raw.to_vec())
}

fn facts_fault(facts: &Facts, now: SystemTime) -> Option<Fault> {
    if facts.names.is_empty() {
        return Some(Fault::NamesNoHost);
    }
    (facts.not_after <= now).then_some(Fault::Expired(facts.not_after))
}

fn warnings(
    chain: &[X509Certificate<'_>],
    facts: &Facts,
    directory: Option<&str>,
    said: &[String],
    now: SystemTime,
) -> impl Iterator<Item = Warning> {
    let is_staging = staging::is_staging_issuer(&facts.issuer)
        || directory.is_some_and(staging::is_staging_directory);
    let differing = differing(facts, said);
    [
        is_staging.then_some(Warning::Staging),
        (now < facts.not_before).then_some(Warning::NotYetValid(facts.not_before)),
        chain_warning(chain),
        (!differing.is_empty()).then_some(Warning::NamesDiffer(differing)),
    ]
    .into_iter()
    .flatten()
}

fn chain_warning(chain: &[X509Certificate<'_>]) -> Option<Warning> {
    if let [alone] = chain {
        return Some(match is_self_signed(alone) {
            true => Warning::SelfSigned,
            false => Warning::NoChain,
        });
    }
    let broken = chain
        .windows(2)
        .position(|link| link[0].issuer().as_raw() != link[1].subject().as_raw())?;
    Some(Warning::ChainBroken(broken + 1))
}

pub(super) fn is_self_signed(certificate: &X509Certificate<'_>) -> bool {
    certificate.issuer().as_raw() == certificate.subject().as_raw()
}

fn differing(facts: &Facts, said: &[String]) -> Vec<String> {
    let names: Vec<String> = facts.names.iter().map(ToString::to_string).collect();
    let is_other = |said: &&String| {
        let plain = crate::hostname::HostPattern::parse(said).map(|name| name.to_string());
        !plain.is_ok_and(|plain| names.contains(&plain))
    };
    said.iter().filter(is_other).cloned().collect()
}

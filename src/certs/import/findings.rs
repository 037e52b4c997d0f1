//! What was found of other tools' certificates and accounts, in our words. What is wrong with one of them is said of it alone.

use std::fmt;

use crate::certs::bundle::Secret;
use crate::certs::facts::Facts;
use crate::certs::import::fault::{AccountFault, Fault, Warning};
use crate::certs::import::known;

/// All that was found, in an order that is the same each time.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    /// Whose work was recognised.
    pub tools: Vec<Tool>,
    pub certificates: Vec<FoundCertificate>,
    pub accounts: Vec<FoundAccount>,
    /// What else the reader should know: what was left out, and why.
    pub remarks: Vec<String>,
}

/// Who laid the files out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tool {
    Caddy,
    Traefik,
    Certbot,
    ProxyManager,
    Lego,
    AcmeSh,
    Companion,
    Dehydrated,
    Acmetool,
    Kubernetes,
    /// A certificate and a key that nobody signed for.
    Plain,
}

/// One certificate with its key, as far as both are there.
#[derive(Debug, Clone)]
pub struct FoundCertificate {
    pub tool: Tool,
    /// Where it lies, for people.
    pub place: String,
    /// The leaf's own names; what the tool says of it where the leaf cannot be read.
    pub names: Vec<String>,
    /// PEM, the leaf first, byte for byte as the tool would serve it; empty if there is none.
    pub chain: String,
    /// PEM, as the tool keeps it; empty if there is none.
    pub key: Secret,
    /// None if there is no leaf that can be read.
    pub facts: Option<Facts>,
    /// The URL of the directory that it was ordered from, where the tool tells it or the issuer has but one.
    pub directory: Option<String>,
    /// Its account's place in [`Findings::accounts`].
    pub account: Option<usize>,
    /// Why it cannot be taken over.
    pub fault: Option<Fault>,
    /// What is odd about it; it can be taken over all the same.
    pub warnings: Vec<Warning>,
}

/// One account at a CA.
#[derive(Debug, Clone)]
pub struct FoundAccount {
    pub tool: Tool,
    /// Where it lies, for people.
    pub place: String,
    /// The URL of the CA's directory.
    pub directory: Option<String>,
    /// The account's own URL, where the tool keeps it.
    pub url: Option<String>,
    /// E-mail addresses without `mailto:`.
    pub contacts: Vec<String>,
    /// None if there is none that can be read, which the fault explains.
    pub key: Option<AccountKey>,
    /// What the account was bound to when it was made.
    pub eab: Option<FoundEab>,
    /// Why it cannot be used.
    pub fault: Option<AccountFault>,
}

/// An account's key; each DER is PKCS#8, whatever the tool kept.
#[derive(Clone, PartialEq, Eq)]
pub enum AccountKey {
    P256(Vec<u8>),
    P384(Vec<u8>),
    Rsa(Vec<u8>),
    /// Of a kind that we cannot sign with, in words.
    Other(String),
}

/// An external account binding, as far as the tool kept it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundEab {
    pub kid: String,
    /// In base64url, as CAs give it.
    pub hmac: Option<Secret>,
}

impl FoundAccount {
    /// Whether it is, or may be, an account at this CA: where the tool does not keep the directory, the account's own URL tells the host.
    #[must_use]
    pub fn may_be_at(&self, directory: &str) -> bool {
        match (&self.directory, &self.url) {
            (Some(own), _) => own == directory,
            (None, Some(url)) => known::authority(url) == known::authority(directory),
            (None, None) => false,
        }
    }
}

impl AccountKey {
    /// For people.
    #[must_use]
    pub fn kind(&self) -> &str {
        match self {
            Self::P256(_) => "P-256",
            Self::P384(_) => "P-384",
            Self::Rsa(_) => "RSA",
            Self::Other(kind) => kind,
        }
    }
}

impl fmt::Debug for AccountKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AccountKey").field(&self.kind()).finish()
    }
}

impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Caddy => "Caddy",
            Self::Traefik => "Traefik",
            Self::Certbot => "certbot",
            Self::ProxyManager => "Nginx Proxy Manager",
            Self::Lego => "lego",
            Self::AcmeSh => "acme.sh",
            Self::Companion => "acme-companion",
            Self::Dehydrated => "dehydrated",
            Self::Acmetool => "acmetool",
            Self::Kubernetes => "Kubernetes",
            Self::Plain => "plain PEM files",
        })
    }
}

//! `acme`: which public certificates are wanted, from whom, and how names are proven. Nothing is asked of anyone here.

mod accounts;
pub mod directory;
pub mod dns;
pub mod names;
mod places;
mod reading;

pub(super) use places::{Places, Reached};
pub(super) use reading::read;

use super::roots::Roots;
use super::secret::SecretBytes;
use directory::Directory;
use dns::Dns;

/// What `acme` says, defaults filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acme {
    pub email: Option<Box<str>>,
    /// Who is asked first.
    pub first: Ca,
    /// Who is asked, in this order, when the first one cannot.
    pub fallback: Box<[Ca]>,
    /// In the order of the attempts; [`Acme::challenges_for`] says which of them serve a name.
    pub challenges: Box<[Challenge]>,
    pub roots: Option<Roots>,
    pub key: KeyKind,
    pub meanwhile: Meanwhile,
    pub role: Role,
    pub on_demand: Option<OnDemand>,
    pub dns: Option<Dns>,
}

/// A CA, and who we are there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ca {
    pub directory: Directory,
    pub eab: Option<Eab>,
    pub profile: Option<Box<str>>,
}

/// An account elsewhere that vouches for ours (RFC 8555 section 7.3.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Eab {
    pub kid: Box<str>,
    /// Decoded.
    pub hmac: SecretBytes,
}

/// How the control of a name is proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Challenge {
    TlsAlpn01,
    Http01,
    Dns01,
}

/// The keys that certificates are made for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum KeyKind {
    #[default]
    P256,
    P384,
    Rsa2048,
}

/// What a name without a certificate gets until it has one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Meanwhile {
    /// Its handshakes are refused.
    #[default]
    Refuse,
    /// The local CA serves it.
    Internal,
}

/// What this process does in a fleet that shares a storage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Role {
    /// It orders what nobody else orders at that moment.
    #[default]
    Issue,
    /// It serves what others order, and asks no CA for anything.
    ServeOnly,
}

/// Certificates at the first handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnDemand {
    /// The URL that is asked with `?domain=NAME`; 2xx allows.
    pub ask: Box<str>,
}

impl Acme {
    /// The first CA, then the others.
    pub fn cas(&self) -> impl Iterator<Item = &Ca> {
        std::iter::once(&self.first).chain(&self.fallback)
    }

    /// Whether any of the CAs is one whose limits everybody shares, so that orders must not be lost.
    #[must_use]
    pub fn asks_public_ca(&self) -> bool {
        self.roots.is_none() && self.cas().any(|ca| ca.directory.is_public())
    }
}

//! How one CA is used: where it is, who asks, with which keys.

use std::fmt;

/// One CA and the account there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaOptions {
    /// The URL of its directory.
    pub directory: String,
    pub email: Option<String>,
    pub eab: Option<Eab>,
    /// What orders ask for when they do not say.
    pub profile: Option<String>,
    /// PEM roots that the CA's own HTTPS may chain to, besides the system's.
    pub roots: Option<Vec<u8>>,
    /// Of the certificates' keys; the account's key is always P-256.
    pub key: KeyKind,
}

/// An external account binding (RFC 8555 section 7.3.4).
#[derive(Clone, PartialEq, Eq)]
pub struct Eab {
    pub kid: String,
    /// The raw secret, already decoded.
    pub hmac: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    P256,
    P384,
    Rsa2048,
}

impl fmt::Debug for Eab {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Eab")
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

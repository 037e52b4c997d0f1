//! Who may ask, and how often: `allow`, `deny`, `rate` and `auth`. Looked at in this order, before anything else is done.

use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;

use super::backends::Backends;
use super::network::Networks;
use super::secret::Secret;

/// What stands before a rule. A rule with nothing of it has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guard {
    pub access: Access,
    pub rate: Option<Rate>,
    pub auth: Option<Auth>,
}

/// `allow` and `deny`, on the client's address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Access {
    /// None: everybody.
    pub allow: Option<Networks>,
    /// Stronger than `allow`.
    pub deny: Networks,
}

/// `rate`: so many requests in a time, with a burst (GCRA).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rate {
    /// Requests in [`Self::per`].
    pub limit: NonZeroU32,
    pub per: Duration,
    /// Requests that may come at once after a pause.
    pub burst: NonZeroU32,
    pub key: RateKey,
    /// Rules with the same number count together: where the limit is written, it holds. Stays the same over reloads.
    pub scope: u64,
}

/// What is counted apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RateKey {
    /// Each client address; IPv6 by its /64.
    Ip,
    /// Each host asked for.
    Host,
    /// Each value of a request header; requests without it are one.
    Header(HeaderName),
}

/// `auth`
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Auth {
    Basic(Arc<Htpasswd>),
    Forward(Arc<ForwardAuth>),
}

/// The users of an htpasswd file.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Htpasswd {
    /// What browsers show: the site's name.
    pub realm: Box<str>,
    /// Shared by all sites that name the file. Empty only if the text of the configuration stands alone: nobody passes.
    pub users: Arc<HashMap<Box<str>, PasswordHash>>,
}

/// A user's password, hashed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PasswordHash {
    /// `$2a$`, `$2b$`, `$2x$`, `$2y$`
    Bcrypt(Secret),
    /// A PHC string of argon2i, argon2d or argon2id.
    Argon2(Secret),
}

/// `auth.forward`: another server says who may pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardAuth {
    /// The one server.
    pub backends: Arc<Backends>,
    /// Path and query of the question.
    pub path: http::uri::PathAndQuery,
    /// Fields of a 2xx answer that are set on the request; the client's own are removed.
    pub copy: Box<[HeaderName]>,
}

impl Guard {
    /// The server that is asked who may pass, if there is one.
    #[must_use]
    pub fn asks(&self) -> Option<&Arc<Backends>> {
        match &self.auth {
            Some(Auth::Forward(forward)) => Some(&forward.backends),
            Some(Auth::Basic(_)) | None => None,
        }
    }
}

/// How many users, not who: the order of a table says nothing, and the names are nobody's business.
impl fmt::Debug for Htpasswd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Htpasswd")
            .field("realm", &self.realm)
            .field("users", &self.users.len())
            .finish()
    }
}

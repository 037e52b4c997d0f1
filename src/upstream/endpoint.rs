//! One address of a target: what is dialed, pooled, watched and spared.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::config::target::Target;

/// A target, and of one that is a name, one of its addresses. Equal endpoints share connections and health.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    pub target: Arc<Target>,
    /// Of a target that is a name; none for all others, which say where they are.
    pub address: Option<SocketAddr>,
}

impl Endpoint {
    /// A target that says where it is.
    #[must_use]
    pub fn of(target: Arc<Target>) -> Self {
        Self {
            target,
            address: None,
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.target.fmt(f)?;
        self.address
            .map_or(Ok(()), |address| write!(f, " ({})", address.ip()))
    }
}

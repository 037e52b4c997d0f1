//! What the configuration says of public certificates, as the keeper goes by it.

use std::sync::Arc;

use crate::certs::acme::options::CaOptions;
use crate::certs::acme::request::ChallengeKind;
use crate::certs::keeper::demand::Ask;
use crate::certs::keeper::held::Held;
use crate::certs::keeper::records::Records;

/// What a host of a fleet does for its certificates.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Role {
    /// Orders and renews, whoever of the fleet comes first.
    #[default]
    Issue,
    /// Serves what others order.
    ServeOnly,
}

/// How certificates are come by: what the configuration says. A reload brings another.
#[derive(Debug, Default)]
pub struct Options {
    /// In the order in which they are asked; the others when the first cannot.
    pub cas: Vec<CaOptions>,
    /// In the order of preference; a wildcard takes DNS-01 alone.
    pub challenges: Vec<ChallengeKind>,
    /// Who shows DNS-01 records; nobody: wildcards cannot be had.
    pub dns: Option<Arc<dyn Records>>,
    /// Who is asked before a name that nobody has written down gets a certificate; nobody: none does.
    pub on_demand: Option<Ask>,
    pub role: Role,
    /// Why nothing is ordered from a public CA; none: it is.
    pub held: Option<Held>,
}

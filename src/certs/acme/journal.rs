//! How far an order has come: enough to go on after a crash at any point without asking for a second certificate.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::certs::acme::name::CertName;
use crate::certs::acme::request::{ChallengeKind, Issued};
use crate::certs::acme::solver::Challenge;

/// The one journal of a certificate. It is kept before each step that the CA can see.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Journal {
    /// Nothing is under way.
    #[default]
    Idle,
    /// The key exists; the order may have been sent.
    Planned(Plan),
    /// The CA has the order.
    Ordered(Placed),
    /// Challenges may be presented, and must be cleaned up.
    Challenged(Placed),
    /// The CSR may have been sent.
    Finalizing(Placed),
    /// The certificate is here and was checked; whoever stores it writes [`Journal::Idle`] afterwards.
    Downloaded(Downloaded),
}

/// What is asked for, and the key it is asked with.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The URL of the CA's directory.
    pub ca: String,
    pub key_pem: String,
    pub names: Vec<CertName>,
    #[serde(default)]
    pub profile: Option<String>,
    #[serde(default)]
    pub replaces: Option<String>,
    pub challenges: Vec<ChallengeKind>,
}

/// A plan that the CA knows as an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placed {
    pub plan: Plan,
    /// The URL of the account that has the order.
    pub account: String,
    pub order_url: String,
    #[serde(default)]
    pub presented: Vec<Challenge>,
}

/// The end of a good order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Downloaded {
    pub plan: Plan,
    pub chain_pem: String,
    /// As the CA says.
    #[serde(default)]
    pub profile: Option<String>,
}

impl Journal {
    /// What is asked for; none if nothing is.
    #[must_use]
    pub fn plan(&self) -> Option<&Plan> {
        match self {
            Self::Idle => None,
            Self::Planned(plan) => Some(plan),
            Self::Ordered(placed) | Self::Challenged(placed) | Self::Finalizing(placed) => {
                Some(&placed.plan)
            }
            Self::Downloaded(downloaded) => Some(&downloaded.plan),
        }
    }

    /// Whether going on sends a new order, which the ledger must admit first.
    #[must_use]
    pub fn needs_order(&self) -> bool {
        match self {
            Self::Planned(_) => true,
            Self::Idle
            | Self::Ordered(_)
            | Self::Challenged(_)
            | Self::Finalizing(_)
            | Self::Downloaded(_) => false,
        }
    }
}

impl From<Downloaded> for Issued {
    fn from(downloaded: Downloaded) -> Self {
        let plan = downloaded.plan;
        Self {
            chain_pem: downloaded.chain_pem,
            key_pem: plan.key_pem,
            names: plan.names,
            profile: downloaded.profile,
            ca: plan.ca,
        }
    }
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan")
            .field("ca", &self.ca)
            .field("names", &self.names)
            .field("profile", &self.profile)
            .field("replaces", &self.replaces)
            .field("challenges", &self.challenges)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed() -> Placed {
        Placed {
            plan: Plan {
                ca: "https://ca.test/dir".to_owned(),
                key_pem: "secret".to_owned(),
                names: vec![CertName::parse("a.test").unwrap()],
                profile: None,
                replaces: Some("a.b".to_owned()),
                challenges: vec![ChallengeKind::TlsAlpn01, ChallengeKind::Http01],
            },
            account: "https://ca.test/account/1".to_owned(),
            order_url: "https://ca.test/order/1".to_owned(),
            presented: Vec::new(),
        }
    }

    #[test]
    fn every_state_survives_json() {
        let downloaded = Downloaded {
            plan: placed().plan,
            chain_pem: "chain".to_owned(),
            profile: Some("classic".to_owned()),
        };
        for journal in [
            Journal::Idle,
            Journal::Planned(placed().plan),
            Journal::Ordered(placed()),
            Journal::Challenged(placed()),
            Journal::Finalizing(placed()),
            Journal::Downloaded(downloaded),
        ] {
            let json = serde_json::to_string(&journal).unwrap();
            assert_eq!(serde_json::from_str::<Journal>(&json).unwrap(), journal);
        }
    }

    #[test]
    fn only_a_plan_sends_a_new_order() {
        assert!(Journal::Planned(placed().plan).needs_order());
        assert!(!Journal::Ordered(placed()).needs_order());
        assert!(!Journal::Idle.needs_order());
    }

    #[test]
    fn the_key_is_not_shown() {
        let shown = format!("{:?}", Journal::Ordered(placed()));
        assert!(!shown.contains("secret"), "{shown}");
    }

    #[test]
    fn unknown_fields_are_stepped_over() {
        let json = r#"{"state":"idle","later":1}"#;
        assert_eq!(
            serde_json::from_str::<Journal>(json).unwrap(),
            Journal::Idle
        );
    }
}

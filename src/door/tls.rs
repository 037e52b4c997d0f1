//! Opening TLS: one configuration a policy, and a copy of it with the one certificate that a handshake shows.
//!
//! A copy costs a few reference counts and lives as long as the handshake; so a hundred thousand sites need no configuration of
//! their own, and no resolver has to guess the site again.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use ::aws_lc_rs::digest::{Context, SHA256};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{
    NoServerSessionStorage, ProducesTickets, ResolvesServerCert, VerifierBuilderError,
    WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};

use crate::certs::tickets::Tickets;
use crate::config::site::{ClientAuth, Demand, Tls, TlsVersion};
use crate::routing::ACME_TLS_ALPN;

/// Tickets given to a client after a handshake.
const TICKETS: usize = 1;

/// The TLS policies there are. Each has ticket keys of its own, so no session crosses from one to another; the keys rotate. Equal
/// policies of processes that share a storage have the same.
///
/// So a session that was opened without a certificate, or with one that other authorities signed, is never resumed where another
/// is asked for: neither at another site, nor after a change of `client_ca`.
#[derive(Debug)]
pub struct Policies {
    /// Clients are not asked who they are.
    open: Versions,
    /// One for each demand that a configuration in use makes.
    demanding: Mutex<Vec<Demanding>>,
    tickets: Tickets,
}

#[derive(Debug)]
struct Demanding {
    demand: Arc<ClientAuth>,
    versions: Arc<Versions>,
}

#[derive(Debug)]
struct Versions {
    from_1_2: ServerConfig,
    only_1_3: ServerConfig,
}

/// Why there is no policy for a demand.
#[derive(Debug)]
pub enum NoPolicy {
    /// A certificate of an authority that is none.
    Authority(rustls::Error),
    Authorities(VerifierBuilderError),
    Tls(rustls::Error),
}

impl Policies {
    /// Fails only when the crypto library has no randomness.
    ///
    /// # Errors
    /// As rustls says.
    pub fn new(tickets: Tickets) -> Result<Self, rustls::Error> {
        let verifier = WebPkiClientVerifier::no_client_auth();
        Ok(Self {
            open: Versions::new(&verifier, &tickets, "open")?,
            demanding: Mutex::default(),
            tickets,
        })
    }

    /// What a handshake for a site goes by.
    ///
    /// # Errors
    /// When the site demands certificates of authorities that cannot be.
    pub fn handshake(
        &self,
        tls: &Tls,
        certificate: Arc<CertifiedKey>,
    ) -> Result<Arc<ServerConfig>, NoPolicy> {
        let mut config = match &tls.client_auth {
            None => self.open.of(tls.min).clone(),
            Some(demand) => self.demanding(demand)?.of(tls.min).clone(),
        };
        config.alpn_protocols = tls.alpn.iter().map(|name| name.to_vec()).collect();
        config.cert_resolver = Arc::new(Chosen(certificate));
        Ok(Arc::new(config))
    }

    /// What a handshake that is a CA's question goes by: nothing is agreed but the question itself.
    #[must_use]
    pub fn answer(&self, certificate: Arc<CertifiedKey>) -> Arc<ServerConfig> {
        let mut config = self.open.from_1_2.clone();
        config.alpn_protocols = vec![ACME_TLS_ALPN.to_vec()];
        config.cert_resolver = Arc::new(Chosen(certificate));
        config.send_tls13_tickets = 0;
        Arc::new(config)
    }

    /// The policies for a demand: made at its first handshake, and kept for equal ones of later configurations.
    fn demanding(&self, demand: &Arc<ClientAuth>) -> Result<Arc<Versions>, NoPolicy> {
        let mut known = self
            .demanding
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(same) = known
            .iter()
            .find(|known| Arc::ptr_eq(&known.demand, demand))
        {
            return Ok(same.versions.clone());
        }
        if let Some(equal) = known.iter_mut().find(|known| known.demand == *demand) {
            equal.demand = demand.clone();
            return Ok(equal.versions.clone());
        }
        let versions = Versions::new(&verifier(demand)?, &self.tickets, &label(demand));
        let versions = versions.map_err(NoPolicy::Tls)?;
        let versions = Arc::new(versions);
        // What no configuration demands any more has no other owner.
        known.retain(|known| Arc::strong_count(&known.demand) > 1);
        known.push(Demanding {
            demand: demand.clone(),
            versions: versions.clone(),
        });
        Ok(versions)
    }
}

fn verifier(demand: &ClientAuth) -> Result<Arc<dyn ClientCertVerifier>, NoPolicy> {
    let mut roots = RootCertStore::empty();
    for root in &demand.roots {
        let root = CertificateDer::from(root.to_vec());
        roots.add(root).map_err(NoPolicy::Authority)?;
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let builder = match demand.demand {
        Demand::Require => builder,
        Demand::Request => builder.allow_unauthenticated(),
    };
    builder.build().map_err(NoPolicy::Authorities)
}

/// The same for equal demands, in whichever process.
fn label(demand: &ClientAuth) -> String {
    let mut digest = Context::new(&SHA256);
    digest.update(match demand.demand {
        Demand::Require => b"require",
        Demand::Request => b"request",
    });
    for root in &demand.roots {
        digest.update(&u64::try_from(root.len()).unwrap_or(u64::MAX).to_be_bytes());
        digest.update(root);
    }
    let digest = digest.finish();
    let octets = digest.as_ref().iter();
    octets.map(|octet| format!("{octet:02x}")).collect()
}

impl Versions {
    fn new(
        verifier: &Arc<dyn ClientCertVerifier>,
        tickets: &Tickets,
        label: &str,
    ) -> Result<Self, rustls::Error> {
        let (old, new) = (&rustls::version::TLS12, &rustls::version::TLS13);
        Ok(Self {
            from_1_2: policy(
                &[new, old],
                verifier.clone(),
                tickets.for_policy(&format!("1.2 {label}"))?,
            )?,
            only_1_3: policy(
                &[new],
                verifier.clone(),
                tickets.for_policy(&format!("1.3 {label}"))?,
            )?,
        })
    }

    fn of(&self, min: TlsVersion) -> &ServerConfig {
        match min {
            TlsVersion::V1_2 => &self.from_1_2,
            TlsVersion::V1_3 => &self.only_1_3,
        }
    }
}

fn policy(
    versions: &[&'static rustls::SupportedProtocolVersion],
    verifier: Arc<dyn ClientCertVerifier>,
    ticketer: Arc<dyn ProducesTickets>,
) -> Result<ServerConfig, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(versions)?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(NoCertificate));
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ticketer = ticketer;
    config.send_tls13_tickets = TICKETS;
    Ok(config)
}

/// The certificate of the site that the hello was decided for.
#[derive(Debug)]
struct Chosen(Arc<CertifiedKey>);

impl ResolvesServerCert for Chosen {
    fn resolve(&self, _hello: rustls::server::ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}

/// Stands in a policy that no handshake uses as it is.
#[derive(Debug)]
struct NoCertificate;

impl ResolvesServerCert for NoCertificate {
    fn resolve(&self, _hello: rustls::server::ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        None
    }
}

impl fmt::Display for NoPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Authority(_) => "a certificate in `client_ca` is none of an authority",
            Self::Authorities(_) => "`client_ca` names no authorities",
            Self::Tls(_) => "no TLS policy could be made",
        })
    }
}

impl std::error::Error for NoPolicy {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Authority(error) | Self::Tls(error) => Some(error),
            Self::Authorities(error) => Some(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};

    use super::*;

    fn demand(demand: Demand, roots: &[Vec<u8>]) -> Arc<ClientAuth> {
        Arc::new(ClientAuth {
            roots: roots.iter().map(|root| root.as_slice().into()).collect(),
            demand,
        })
    }

    fn root() -> Vec<u8> {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    fn known(policies: &Policies) -> usize {
        policies.demanding.lock().unwrap().len()
    }

    #[test]
    fn equal_demands_share_a_policy_and_others_do_not() {
        let policies = Policies::new(Tickets::Own).unwrap();
        let roots = [root(), root()];
        let first = demand(Demand::Require, &roots[..1]);
        let made = policies.demanding(&first).unwrap();
        let equal = demand(Demand::Require, &roots[..1]);
        assert!(Arc::ptr_eq(&made, &policies.demanding(&equal).unwrap()));
        let others = [
            demand(Demand::Request, &roots[..1]),
            demand(Demand::Require, &roots[1..]),
            demand(Demand::Require, &roots),
        ];
        for other in &others {
            let policy = policies.demanding(other).unwrap();
            assert!(!Arc::ptr_eq(&made, &policy));
            let keys = |versions: &Versions| Arc::as_ptr(&versions.from_1_2.ticketer).cast::<()>();
            assert_ne!(keys(&made), keys(&policy));
            assert_ne!(keys(&policy), keys(&policies.open));
        }
        assert_eq!(known(&policies), 4);
    }

    #[test]
    fn other_demands_have_other_labels() {
        let (one, other) = (vec![1; 8], vec![2; 8]);
        let demands = [
            demand(Demand::Require, &[one.clone(), other.clone()]),
            demand(Demand::Request, &[one.clone(), other.clone()]),
            demand(Demand::Require, &[other.clone(), one.clone()]),
            demand(Demand::Require, &[[one.clone(), other].concat()]),
            demand(Demand::Require, &[one]),
        ];
        for (index, demand) in demands.iter().enumerate() {
            assert_eq!(label(demand), label(&ClientAuth::clone(demand)));
            for other in &demands[..index] {
                assert_ne!(label(demand), label(other));
            }
        }
    }

    #[test]
    fn what_nobody_demands_any_more_is_forgotten() {
        let policies = Policies::new(Tickets::Own).unwrap();
        for _ in 0..3 {
            let demand = demand(Demand::Require, &[root()]);
            policies.demanding(&demand).unwrap();
        }
        assert_eq!(known(&policies), 1);
    }

    #[test]
    fn what_is_no_authority_makes_no_policy() {
        let policies = Policies::new(Tickets::Own).unwrap();
        let refused = |roots: &[Vec<u8>]| policies.demanding(&demand(Demand::Request, roots));
        assert!(matches!(
            refused(&[b"garbage".to_vec()]),
            Err(NoPolicy::Authority(_))
        ));
        assert!(matches!(refused(&[]), Err(NoPolicy::Authorities(_))));
        assert_eq!(known(&policies), 0);
    }
}

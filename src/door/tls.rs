//! Opening TLS: one configuration a policy, and a copy of it with the one certificate that a handshake shows.
//!
//! A copy costs a few reference counts and lives as long as the handshake; so a hundred thousand sites need no configuration of
//! their own, and no resolver has to guess the site again.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::server::{NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::config::site::{Tls, TlsVersion};
use crate::routing::ACME_TLS_ALPN;

/// Tickets given to a client after a handshake.
const TICKETS: usize = 1;

/// The TLS policies there are. Each has ticket keys of its own, so no session crosses from one to another; the keys rotate.
#[derive(Debug)]
pub struct Policies {
    from_1_2: ServerConfig,
    only_1_3: ServerConfig,
}

impl Policies {
    /// Fails only when the crypto library has no randomness.
    ///
    /// # Errors
    /// As rustls says.
    pub fn new() -> Result<Self, rustls::Error> {
        Ok(Self {
            from_1_2: policy(&[&rustls::version::TLS13, &rustls::version::TLS12])?,
            only_1_3: policy(&[&rustls::version::TLS13])?,
        })
    }

    /// What a handshake for a site goes by.
    #[must_use]
    pub fn handshake(&self, tls: &Tls, certificate: Arc<CertifiedKey>) -> Arc<ServerConfig> {
        let mut config = match tls.min {
            TlsVersion::V1_2 => self.from_1_2.clone(),
            TlsVersion::V1_3 => self.only_1_3.clone(),
        };
        config.alpn_protocols = tls.alpn.iter().map(|name| name.to_vec()).collect();
        config.cert_resolver = Arc::new(Chosen(certificate));
        Arc::new(config)
    }

    /// What a handshake that is a CA's question goes by: nothing is agreed but the question itself.
    #[must_use]
    pub fn answer(&self, certificate: Arc<CertifiedKey>) -> Arc<ServerConfig> {
        let mut config = self.from_1_2.clone();
        config.alpn_protocols = vec![ACME_TLS_ALPN.to_vec()];
        config.cert_resolver = Arc::new(Chosen(certificate));
        config.send_tls13_tickets = 0;
        Arc::new(config)
    }
}

fn policy(
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> Result<ServerConfig, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(versions)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(NoCertificate));
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ticketer = aws_lc_rs::Ticketer::new()?;
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

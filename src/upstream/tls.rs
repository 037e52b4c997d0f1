//! TLS towards upstreams: one client configuration for each distinct way of verifying, built when a configuration is loaded.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

use crate::config::target::{UpstreamTls, Verification};

/// The client configurations of a whole configuration.
#[derive(Debug, Default, Clone)]
pub struct TlsClients {
    clients: HashMap<Arc<UpstreamTls>, Client>,
}

#[derive(Debug, Clone)]
struct Client {
    /// Offers HTTP/2 and HTTP/1.1.
    any: Arc<ClientConfig>,
    /// Offers HTTP/1.1 alone: what is to be upgraded cannot be multiplexed.
    http1: Arc<ClientConfig>,
}

/// What the request needs of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offer {
    Any,
    Http1Only,
}

/// Why a target's TLS options cannot be used: the operator's fault.
#[derive(Debug)]
pub enum TlsClientError {
    /// The file cannot be read as PEM, or holds nothing of the kind.
    Pem {
        path: PathBuf,
        error: rustls_pki_types::pem::Error,
    },
    /// The certificate or key is not usable.
    Unusable { path: PathBuf, error: rustls::Error },
    /// The system has no root certificates.
    NoRoots(Option<io::Error>),
}

impl TlsClients {
    /// Builds a client for each distinct set of options; equal ones share it.
    ///
    /// # Errors
    /// The first file that cannot be used.
    pub fn build<'a>(
        wanted: impl IntoIterator<Item = &'a Arc<UpstreamTls>>,
    ) -> Result<Self, TlsClientError> {
        let mut built = Self::default();
        let mut system: Option<Arc<RootCertStore>> = None;
        for options in wanted {
            if !built.clients.contains_key(options) {
                let client = client(options, &mut system)?;
                built.clients.insert(options.clone(), client);
            }
        }
        Ok(built)
    }

    /// The client for a target's options.
    #[must_use]
    pub fn client(&self, options: &UpstreamTls, offer: Offer) -> Option<&Arc<ClientConfig>> {
        let client = self.clients.get(options)?;
        Some(match offer {
            Offer::Any => &client.any,
            Offer::Http1Only => &client.http1,
        })
    }
}

fn client(
    options: &UpstreamTls,
    system: &mut Option<Arc<RootCertStore>>,
) -> Result<Client, TlsClientError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsClientError::Unusable {
            path: PathBuf::new(),
            error,
        })?;
    let builder = match options.verification {
        Verification::Skipped => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider))),
        Verification::Required => {
            builder.with_root_certificates(roots(options.ca.as_deref(), system)?)
        }
    };
    let mut any = match &options.identity {
        None => builder.with_no_client_auth(),
        Some((cert, key)) => {
            let chain = certificates(cert)?;
            let key_der =
                PrivateKeyDer::from_pem_file(key).map_err(|error| TlsClientError::Pem {
                    path: key.clone(),
                    error,
                })?;
            builder
                .with_client_auth_cert(chain, key_der)
                .map_err(|error| TlsClientError::Unusable {
                    path: cert.clone(),
                    error,
                })?
        }
    };
    any.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let mut http1 = any.clone();
    http1.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Client {
        any: Arc::new(any),
        http1: Arc::new(http1),
    })
}

fn roots(
    ca: Option<&Path>,
    system: &mut Option<Arc<RootCertStore>>,
) -> Result<Arc<RootCertStore>, TlsClientError> {
    let Some(path) = ca else {
        return match system {
            Some(known) => Ok(known.clone()),
            None => Ok(system.insert(system_roots()?).clone()),
        };
    };
    let mut store = RootCertStore::empty();
    for certificate in certificates(path)? {
        store
            .add(certificate)
            .map_err(|error| TlsClientError::Unusable {
                path: path.into(),
                error,
            })?;
    }
    Ok(Arc::new(store))
}

fn system_roots() -> Result<Arc<RootCertStore>, TlsClientError> {
    let found = rustls_native_certs::load_native_certs();
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(found.certs);
    if store.is_empty() {
        let error = found.errors.into_iter().next().map(io::Error::other);
        return Err(TlsClientError::NoRoots(error));
    }
    Ok(Arc::new(store))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsClientError> {
    let bad = |error| TlsClientError::Pem {
        path: path.into(),
        error,
    };
    let found = CertificateDer::pem_file_iter(path)
        .map_err(bad)?
        .collect::<Result<Vec<_>, _>>()
        .map_err(bad)?;
    if found.is_empty() {
        Err(bad(rustls_pki_types::pem::Error::NoItemsFound))
    } else {
        Ok(found)
    }
}

impl fmt::Display for TlsClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pem { path, .. } => write!(f, "`{}` is no usable PEM file", path.display()),
            Self::Unusable { path, .. } => write!(f, "`{}` cannot be used for TLS", path.display()),
            Self::NoRoots(_) => f.write_str(
                "this system has no root certificates to verify `https` targets with: install `ca-certificates`, or give the target a `ca`",
            ),
        }
    }
}

impl std::error::Error for TlsClientError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Pem { error, .. } => Some(error),
            Self::Unusable { error, .. } => Some(error),
            Self::NoRoots(error) => error.as_ref().map(|error| error as _),
        }
    }
}

/// `insecure = true`: encrypted towards whoever answers. Signatures are still checked, so a broken peer is found out.
#[derive(Debug)]
pub struct AnyCertificate(pub Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

//! Looking at what a server shows for a name, by a handshake that accepts anything and judges afterwards.

use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::{AlertDescription, CertificateError, ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::net::TcpStream;
use tokio::time;
use tokio_rustls::TlsConnector;

use super::entry::Source;
use super::judge::{Level, Verdict};
use super::leaf::Leaf;
use crate::certs::pem::Contents;
use crate::certs::schedule::Validity;
use crate::hostname::HostPattern;
use crate::storage::files::Storage;
use crate::upstream::tls::AnyCertificate;

/// From the first packet to the end of the handshake, for each name.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// A server to look at, and whom to trust: the roots of the system, and the local CA of this storage.
pub(super) struct Server<'a> {
    address: &'a str,
    roots: Arc<RootCertStore>,
    now: SystemTime,
}

/// Why there is no certificate to look at.
enum Fault {
    Unreachable(io::Error),
    TimedOut,
    /// It answers, and refuses the name.
    Refused(AlertDescription),
    NoTls(io::Error),
    /// The name is none to ask for.
    Name,
}

impl<'a> Server<'a> {
    pub(super) fn at(address: &'a str, storage: Option<&Storage>, now: SystemTime) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if let Some(storage) = storage
            && let Ok(Some(pem)) = storage.read("local-ca/root.pem")
            && let Ok(contents) = Contents::parse(&pem)
        {
            roots.add_parsable_certificates(contents.certificates);
        }
        Self {
            address,
            roots: Arc::new(roots),
            now,
        }
    }

    /// Looks at what is shown for a name and judges it.
    pub(super) async fn judge(&self, name: &HostPattern) -> Verdict {
        let source = Source::Connection {
            address: self.address.to_owned(),
        };
        let shown = match self.shown(name).await {
            Ok(shown) => shown,
            Err(fault) => {
                let (level, reason) = fault.judged(self.address);
                return Verdict::fine(name, source, None).add(level, reason);
            }
        };
        let leaf = shown.first().and_then(|leaf| Leaf::read(leaf, self.now));
        let Some(leaf) = leaf else {
            return Verdict::fine(name, source, None)
                .add(Level::Critical, "what is shown is no certificate");
        };
        let distrust = self.distrust(name, &shown, &leaf.validity());
        let verdict = Verdict::fine(name, source, Some(leaf)).judged(name, self.now);
        match distrust {
            Some(why) => verdict.add(
                Level::Warning,
                format!("clients of this system do not trust its chain: {why}"),
            ),
            None => verdict,
        }
    }

    async fn shown(&self, name: &HostPattern) -> Result<Vec<CertificateDer<'static>>, Fault> {
        let server = server_name(name).ok_or(Fault::Name)?;
        let provider = Arc::new(default_provider());
        let config = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| Fault::NoTls(io::Error::other(error)))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
            .with_no_client_auth();
        let connecting = async {
            let stream = TcpStream::connect(self.address).await;
            let stream = stream.map_err(Fault::Unreachable)?;
            let connector = TlsConnector::from(Arc::new(config));
            connector.connect(server, stream).await.map_err(Fault::of)
        };
        let stream = time::timeout(HANDSHAKE_TIMEOUT, Box::pin(connecting))
            .await
            .unwrap_or(Err(Fault::TimedOut))?;
        let (_socket, session) = stream.get_ref();
        let shown = session.peer_certificates().unwrap_or_default();
        Ok(shown.iter().map(|one| one.clone().into_owned()).collect())
    }

    /// Why the chain is not trusted, apart from its dates and names, which are judged by themselves.
    fn distrust(
        &self,
        name: &HostPattern,
        shown: &[CertificateDer<'_>],
        validity: &Validity,
    ) -> Option<String> {
        let (leaf, intermediates) = shown.split_first()?;
        let provider = Arc::new(default_provider());
        let verifier =
            WebPkiServerVerifier::builder_with_provider(self.roots.clone(), provider).build();
        let verifier = match verifier {
            Ok(verifier) => verifier,
            Err(error) => return Some(error.to_string()),
        };
        let within = self.now.max(validity.not_before).min(validity.not_after);
        let at = within.duration_since(SystemTime::UNIX_EPOCH);
        let at = UnixTime::since_unix_epoch(at.unwrap_or_default());
        let server = server_name(name)?;
        match verifier.verify_server_cert(leaf, intermediates, &server, &[], at) {
            Ok(_trusted) => None,
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => None,
            Err(error) => Some(error.to_string()),
        }
    }
}

fn server_name(name: &HostPattern) -> Option<ServerName<'static>> {
    match name {
        HostPattern::Exact(name) => ServerName::try_from(name.to_string()).ok(),
        HostPattern::Wildcard(_) | HostPattern::CatchAll => None,
    }
}

impl Fault {
    fn of(error: io::Error) -> Self {
        let cause = error.get_ref().and_then(|cause| cause.downcast_ref());
        match cause {
            Some(rustls::Error::AlertReceived(alert)) => Self::Refused(*alert),
            Some(_) | None => Self::NoTls(error),
        }
    }

    fn judged(self, address: &str) -> (Level, String) {
        match self {
            Self::Refused(AlertDescription::UnrecognisedName) => (
                Level::Critical,
                format!("no certificate is shown for it: {address} does not know the name"),
            ),
            Self::Refused(alert) => (
                Level::Critical,
                format!("no certificate is shown for it: {address} refuses with {alert:?}"),
            ),
            Self::Unreachable(error) => (
                Level::Unknown,
                format!("cannot connect to {address}: {error}"),
            ),
            Self::TimedOut => (Level::Unknown, format!("{address} does not answer in time")),
            Self::NoTls(error) => (
                Level::Unknown,
                format!("{address} does not complete a handshake: {error}"),
            ),
            Self::Name => (
                Level::Unknown,
                "only a single name can be asked for".to_owned(),
            ),
        }
    }
}

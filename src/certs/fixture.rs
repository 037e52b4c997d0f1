//! Certificates made for tests, and a TLS handshake in memory that judges them as a client does.

use std::fs;
use std::io::Write as _;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::client::ClientConnection;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ServerConnection;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use crate::certs::local_ca::LocalCa;
use crate::certs::local_ca::making::{RootKey, Wish};
use crate::certs::local_ca::safe::Safe;
use crate::certs::local_ca::scope::Scope;
use crate::clock::Clock;
use crate::hostname::HostName;
use crate::storage::files::Storage;
use crate::storage::store::Store;

/// The moment at which tests take place.
pub(crate) fn noon() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

pub(crate) fn days(count: u64) -> Duration {
    Duration::from_secs(count * 24 * 60 * 60)
}

/// A root that signs leaves.
pub(crate) struct Authority {
    pub(crate) der: CertificateDer<'static>,
    pub(crate) pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A leaf and its key.
pub(crate) struct Leaf {
    pub(crate) der: CertificateDer<'static>,
    pub(crate) pem: String,
    pub(crate) key_pem: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, "fixture authority");
        let root = params.self_signed(&key).unwrap();
        Self {
            der: root.der().clone(),
            pem: root.pem(),
            issuer: Issuer::new(params, key),
        }
    }

    pub(crate) fn key_pem(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    pub(crate) fn leaf(&self, names: &[&str], valid: Range<SystemTime>) -> Leaf {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_before = valid.start.into();
        params.not_after = valid.end.into();
        let key = KeyPair::generate().unwrap();
        let leaf = params.signed_by(&key, &self.issuer).unwrap();
        Leaf {
            der: leaf.der().clone(),
            pem: leaf.pem(),
            key_pem: key.serialize_pem(),
        }
    }

    /// Puts a fresh pair for `names` into `cert` and `key`, by renames.
    pub(crate) fn write_pair(
        &self,
        names: &[&str],
        valid: Range<SystemTime>,
        cert: &Path,
        key: &Path,
    ) -> Leaf {
        let leaf = self.leaf(names, valid);
        replace(key, &leaf.key_pem);
        replace(cert, &leaf.pem);
        leaf
    }
}

/// The local CA of the storage in this folder, made if there is none.
pub(crate) fn local_ca(folder: &Path) -> LocalCa {
    let store = Store::files(folder.to_owned(), Clock::system());
    let name = folder.display().to_string();
    let safe = Safe::new(store, name, Storage::at(folder.to_owned()));
    let wish = Wish {
        scope: Scope::of(&[HostName::parse("lan.example.com").unwrap()]),
        root_key: RootKey::Discard,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(safe.open(&wish, noon())).unwrap()
}

/// Puts `text` there as a careful operator does: readable by the owner alone, by a rename.
pub(crate) fn replace(path: &Path, text: &str) {
    let mut file = tempfile::NamedTempFile::new_in(path.parent().unwrap()).unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file.persist(path).unwrap();
}

pub(crate) fn make_readable_by_all(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
}

/// Shakes hands at `now` as a client that trusts `root` alone and wants `name`; gives the leaf it was shown.
pub(crate) fn shake_hands(
    certified: Arc<CertifiedKey>,
    root: &CertificateDer<'static>,
    name: &str,
    now: SystemTime,
) -> Result<CertificateDer<'static>, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    let mut roots = RootCertStore::empty();
    roots.add(root.clone())?;
    let client = ClientConfig::builder_with_details(provider, Arc::new(Fixed(now)))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut client = ClientConnection::new(Arc::new(client), name)?;
    let mut server = ServerConnection::new(Arc::new(server))?;
    while client.is_handshaking() || server.is_handshaking() {
        let mut wire = Vec::new();
        client.write_tls(&mut wire).unwrap();
        server.read_tls(&mut wire.as_slice()).unwrap();
        server.process_new_packets()?;
        let mut wire = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut wire).unwrap();
        }
        let mut wire = wire.as_slice();
        while !wire.is_empty() {
            client.read_tls(&mut wire).unwrap();
            client.process_new_packets()?;
        }
    }
    Ok(client.peer_certificates().unwrap()[0].clone())
}

#[derive(Debug)]
struct Fixed(SystemTime);

impl TimeProvider for Fixed {
    fn current_time(&self) -> Option<UnixTime> {
        let since = self.0.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        Some(UnixTime::since_unix_epoch(since))
    }
}

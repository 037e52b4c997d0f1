//! Where a store in Redis is, and as whom it is asked.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use redis::{
    Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _, ProtocolVersion,
    RedisConnectionInfo, RedisResult, TlsCertificates,
};

/// Where a store in Redis is. Shown without its password.
#[derive(Clone)]
pub struct Place {
    pub reached: Reached,
    pub database: u32,
    /// What its keys begin with: letters, digits, `-`, `_`, `.` and `:`.
    pub prefix: Box<str>,
    pub user: Option<Box<str>>,
    pub password: Option<Box<str>>,
    /// As people know it, without secrets.
    pub name: Box<str>,
}

/// The way there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reached {
    Plain {
        host: Box<str>,
        port: u16,
    },
    Tls {
        host: Box<str>,
        port: u16,
        /// PEM certificates that are trusted besides the system's.
        roots: Option<Arc<[u8]>>,
    },
    Socket(PathBuf),
}

impl Place {
    /// Whoever asks there; nothing is asked yet.
    pub(super) fn client(&self, protocol: ProtocolVersion) -> RedisResult<Client> {
        match &self.reached {
            Reached::Plain { host, port } => {
                let address = ConnectionAddr::Tcp(host.to_string(), *port);
                Client::open(self.connection(address, protocol)?)
            }
            Reached::Socket(path) => {
                Client::open(self.connection(ConnectionAddr::Unix(path.clone()), protocol)?)
            }
            Reached::Tls { host, port, roots } => {
                let address = ConnectionAddr::TcpTls {
                    host: host.to_string(),
                    port: *port,
                    insecure: false,
                    tls_params: None,
                };
                let certificates = TlsCertificates {
                    client_tls: None,
                    root_cert: roots.as_deref().map(with_those_of_the_system),
                };
                Client::build_with_tls(self.connection(address, protocol)?, certificates)
            }
        }
    }

    fn connection(
        &self,
        address: ConnectionAddr,
        protocol: ProtocolVersion,
    ) -> RedisResult<ConnectionInfo> {
        let mut login = RedisConnectionInfo::default()
            .set_db(self.database.into())
            .set_protocol(protocol);
        if let Some(user) = &self.user {
            login = login.set_username(user);
        }
        if let Some(password) = &self.password {
            login = login.set_password(password);
        }
        Ok(address.into_connection_info()?.set_redis_settings(login))
    }
}

/// Roots of our own would be trusted in place of the system's.
fn with_those_of_the_system(own: &[u8]) -> Vec<u8> {
    let mut pem = own.to_vec();
    for root in rustls_native_certs::load_native_certs().certs {
        let text = BASE64_STANDARD.encode(root);
        let block = format!("\n-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n");
        pem.extend_from_slice(block.as_bytes());
    }
    pem
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Place({self} {})", self.prefix)
    }
}

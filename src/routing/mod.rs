//! From a configuration to tables, compiled whole: which sockets there are, which site serves a name on each.
//!
//! Looking up is total: one hash by exact name, then the wildcard of the parent, then the catch-all.

mod names;
mod sockets;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::config::site::{ClientAuth, Service, TlsVersion};
use crate::config::{Config, Unknown};
use crate::hostname::HostName;
pub use names::NameTable;
pub use sockets::{Kind, Loopback, Socket, SocketSpec, kind_of, sockets_of, specs_of};

/// Everything that decides where a connection and a request go. Never edited: a reload builds another.
#[derive(Debug)]
pub struct Routes {
    /// Grows with every reload.
    pub revision: u64,
    sites: Box<[Arc<Site>]>,
    sockets: Box<[Socket]>,
    unknown: Option<Entry>,
}

/// A configured host as the door sees it.
#[derive(Debug)]
pub struct Site {
    /// The site's own name, for people and logs.
    pub name: Box<str>,
    pub service: Service,
    /// The port that `https://` clients reach it on; none for a plain site.
    pub https_port: Option<u16>,
    /// The first of its certificate slots, one a name.
    pub first_slot: u32,
}

/// What a name leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Index of the site.
    pub site: u32,
    /// Certificate slot: counts the names of all sites in order.
    pub slot: u32,
}

/// What is done with a TLS connection, once its hello is known.
#[derive(Debug, Clone)]
pub enum Decision {
    /// The hello is a CA's TLS-ALPN-01 question (RFC 8737), which is answered by itself.
    Answer,
    /// TLS ends here.
    Serve {
        site: Arc<Site>,
        slot: u32,
    },
    /// The bytes are carried to the site's target unopened.
    Tunnel(Arc<Site>),
    Refuse(Refusal),
}

/// Why a TLS connection is not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// No site of this socket has the name.
    UnknownName,
    /// The hello names no host, and the address is no site.
    NoName,
}

/// The protocol of RFC 8737: the hello asks for nothing else.
pub const ACME_TLS_ALPN: &[u8] = b"acme-tls/1";

/// What a ClientHello asks for.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The server name, lower case and without a trailing dot; none if absent or an address literal.
    pub name: Option<&'a HostName>,
    /// Whether the only protocol offered is this one.
    pub only_protocol: Option<&'a [u8]>,
}

impl Routes {
    /// Builds all tables. `port_of` tells the actual port of a socket that asked for port 0.
    #[must_use]
    pub fn compile(
        config: &Config,
        revision: u64,
        loopback: Loopback,
        port_of: &dyn Fn(u16) -> u16,
    ) -> Self {
        let mut sites = Vec::with_capacity(config.sites.len());
        let mut slot = 0_u32;
        for site in &config.sites {
            sites.push(Arc::new(Site {
                name: site
                    .names
                    .first()
                    .map_or_else(String::new, ToString::to_string)
                    .into(),
                service: site.service.clone(),
                https_port: is_secure(&site.service)
                    .then(|| https_port(&site.listen, port_of))
                    .flatten(),
                first_slot: slot,
            }));
            slot = slot.saturating_add(u32::try_from(site.names.len()).unwrap_or(u32::MAX));
        }
        let unknown = match config.unknown {
            Unknown::Reject => None,
            Unknown::Serve(index) => sites.get(index).map(|site| Entry {
                site: u32::try_from(index).unwrap_or(u32::MAX),
                slot: site.first_slot,
            }),
        };
        let sockets = sockets::compile(config, &sites, loopback);
        Self {
            revision,
            sites: sites.into(),
            sockets,
            unknown,
        }
    }

    /// The sockets, in the order of [`sockets_of`] for the same configuration.
    #[must_use]
    pub fn sockets(&self) -> &[Socket] {
        &self.sockets
    }

    /// The socket that was asked for with these words, or the one that takes in all that it would.
    #[must_use]
    pub fn socket(&self, spec: SocketSpec) -> Option<&Socket> {
        let first = |leads: &dyn Fn(SocketSpec) -> bool| {
            self.sockets.iter().find(|socket| leads(socket.spec))
        };
        first(&|own| own == spec).or_else(|| first(&|own| sockets::covers(own, spec)))
    }

    /// The narrowest words for where a connection arrived that was accepted on `socket`: they lead to its names after reloads that
    /// widen or narrow the socket, as long as its address is served.
    #[must_use]
    pub fn narrowest(&self, socket: SocketSpec, local: IpAddr) -> SocketSpec {
        let narrow = SocketSpec {
            address: SocketAddr::new(local, socket.address.port()),
            ..socket
        };
        match (self.socket(narrow), self.socket(socket)) {
            (Some(own), Some(accepted)) if own.spec != accepted.spec => socket,
            (Some(_), _) => narrow,
            (None, _) => socket,
        }
    }

    /// The site of an entry.
    #[must_use]
    pub fn site(&self, entry: Entry) -> Option<&Arc<Site>> {
        self.sites.get(entry.site as usize)
    }

    /// All sites, in the order of the configuration.
    #[must_use]
    pub fn sites(&self) -> &[Arc<Site>] {
        &self.sites
    }

    /// What a name leads to on a socket, for a connection that arrived at `local`. Falls back to `unknown`.
    #[must_use]
    pub fn find(&self, socket: &Socket, local: IpAddr, name: &str) -> Option<Entry> {
        socket.find(local, name).or(self.unknown)
    }

    /// What is done with a TLS connection.
    #[must_use]
    pub fn decide(&self, socket: &Socket, local: IpAddr, asked: Asked<'_>) -> Decision {
        if asked.only_protocol == Some(ACME_TLS_ALPN) {
            return Decision::Answer;
        }
        let found = match asked.name {
            Some(name) => self.find(socket, local, name.as_str()),
            None => self.find(socket, local, HostName::from_ip(local).as_str()),
        };
        let refusal = if asked.name.is_some() {
            Refusal::UnknownName
        } else {
            Refusal::NoName
        };
        let Some((entry, site)) = found.and_then(|entry| Some((entry, self.site(entry)?))) else {
            return Decision::Refuse(refusal);
        };
        match &site.service {
            Service::Secure(..) | Service::Tcp(..) => Decision::Serve {
                site: site.clone(),
                slot: entry.slot,
            },
            Service::Passthrough(_) => Decision::Tunnel(site.clone()),
            Service::Plain(_) => Decision::Refuse(refusal),
        }
    }
}

impl Site {
    /// The oldest TLS version; none where TLS does not end here.
    #[must_use]
    pub fn min_tls(&self) -> Option<TlsVersion> {
        match &self.service {
            Service::Secure(tls, _) | Service::Tcp(tls, _) => Some(tls.min),
            Service::Plain(_) | Service::Passthrough(_) => None,
        }
    }

    /// Which clients may connect; none: all, or it is not asked here.
    #[must_use]
    pub fn client_auth(&self) -> Option<&Arc<ClientAuth>> {
        match &self.service {
            Service::Secure(tls, _) | Service::Tcp(tls, _) => tls.client_auth.as_ref(),
            Service::Plain(_) | Service::Passthrough(_) => None,
        }
    }
}

fn is_secure(service: &Service) -> bool {
    !matches!(service, Service::Plain(_))
}

/// 443 if the site is there, else its first port.
fn https_port(
    listen: &[crate::config::listen::Listen],
    port_of: &dyn Fn(u16) -> u16,
) -> Option<u16> {
    let ports = || listen.iter().map(|entry| entry.port);
    ports()
        .find(|port| *port == 443)
        .or_else(|| ports().next())
        .map(port_of)
}

//! Who has which port.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use crate::app::LOOPBACK;
use crate::cli::doctor::judge::ports::Port;
use crate::config::Config;
use crate::ports::entry::Entry;
use crate::ports::holder::{self, Holder};
use crate::routing::sockets_of;

/// What everybody asks for sooner or later.
const USUAL: [u16; 2] = [80, 443];

/// The configuration's addresses, and the usual ports on both families.
pub(in crate::cli::doctor) fn ports(config: Option<&Config>) -> Vec<Port> {
    let specs = config.map(|config| sockets_of(config, LOOPBACK));
    let wanted: Vec<SocketAddr> = specs
        .unwrap_or_default()
        .iter()
        .map(|spec| spec.address)
        .filter(|address| address.port() != 0)
        .collect();
    let mut ports: Vec<Port> = wanted.iter().map(|address| look(*address, true)).collect();
    for port in USUAL {
        for any in [
            SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)),
            SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)),
        ] {
            let asked = wanted
                .iter()
                .any(|one| one.port() == port && one.is_ipv4() == any.is_ipv4());
            if !asked {
                ports.push(look(any, false));
            }
        }
    }
    if !has_ipv6() {
        ports.retain(|port| port.address.is_ipv4());
    }
    ports.sort_by_key(|port| (port.address.port(), port.address));
    ports
}

/// Whether this machine speaks to itself by IPv6.
pub(in crate::cli::doctor) fn has_ipv6() -> bool {
    TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok()
}

fn look(address: SocketAddr, is_wanted: bool) -> Port {
    let holder = match holder::find(address) {
        // What is left of closed connections keeps no onedoor from the port.
        Holder::Nobody(_) => None,
        held @ (Holder::Process(_) | Holder::Unseen(_)) => Some(held),
    };
    Port {
        address,
        entry: is_wanted.then(|| Entry::of(address)),
        holder,
    }
}

//! HAProxy and nginx in front of a door: they pass octets on, and say for whom.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::support::front::Front;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// What is put in front of each connection.
#[derive(Debug, Clone, Copy)]
pub(super) enum Header {
    V1,
    V2,
    /// With a checksum and what HAProxy can add.
    V2WithAdditions,
}

/// HAProxy in front of an address.
pub(super) fn haproxy(to: SocketAddr, header: Header) -> Front {
    let option = match header {
        Header::V1 => "send-proxy",
        Header::V2 => "send-proxy-v2",
        Header::V2WithAdditions => "send-proxy-v2 proxy-v2-options crc32c,unique-id",
    };
    Front::start("haproxy", &["-db", "-f"], HERE, |address| {
        format!(
            "defaults\n  mode tcp\n  timeout connect 20s\n  timeout client 20s\n  timeout server 20s\n\
             frontend front\n  bind {address}\n  unique-id-format %{{+X}}o\\ %ci:%cp\n  default_backend door\n\
             backend door\n  server door {to} {option}\n"
        )
    })
}

/// nginx in front of an address; it writes version 1.
pub(super) fn nginx(to: SocketAddr) -> Front {
    let arguments = ["-e", "stderr", "-p", ".", "-c"];
    Front::start("nginx", &arguments, HERE, |address| {
        format!(
            "load_module /usr/lib/nginx/modules/ngx_stream_module.so;\n\
             daemon off;\nmaster_process off;\npid nginx.pid;\nevents {{}}\n\
             stream {{ server {{ listen {address}; proxy_pass {to}; proxy_protocol on; }} }}\n"
        )
    })
}

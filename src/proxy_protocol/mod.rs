//! The PROXY protocol, versions 1 and 2: who is at the other end of a connection that a proxy passes on, told in front of its octets.
//!
//! After HAProxy's specification (<https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt>). Whose headers count is for the
//! caller to know: a header can be sent by anybody.

mod crc32c;
pub mod read;
pub mod write;

use std::net::SocketAddr;

/// What a header says of the connection that it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// It is passed on for `source`, who connected to `destination`. IPv4 addresses are never in their IPv6 form.
    Proxied {
        source: SocketAddr,
        destination: SocketAddr,
    },
    /// It is the proxy's own (a health check), or passed on for somebody without an IP address: its own ends count. `LOCAL`,
    /// `UNKNOWN`, `AF_UNSPEC` and `AF_UNIX` mean this.
    Local,
}

/// How a header of version 1 begins.
const V1_PREFIX: &[u8] = b"PROXY ";
/// How a header of version 2 begins.
const V2_SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// The signature, command, family and length of version 2.
const V2_HEAD_OCTETS: usize = 16;
const V2_LOCAL: u8 = 0x20;
const V2_PROXY: u8 = 0x21;
const V2_TCP4: u8 = 0x11;
const V2_TCP6: u8 = 0x21;

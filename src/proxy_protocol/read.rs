//! Reading headers, as far as they have come.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::crc32c;
use super::{
    Origin, V1_PREFIX, V2_HEAD_OCTETS, V2_LOCAL, V2_PROXY, V2_SIGNATURE, V2_TCP4, V2_TCP6,
};

/// The longest line of version 1, its end included, after the specification.
pub const V1_OCTETS_MAX: usize = 107;
/// The longest header of version 2 that is read, additions (TLVs) included. The specification has no limit; a certificate chain that
/// a proxy adds does not fit, its names and versions do.
pub const V2_OCTETS_MAX: usize = 4096;

const V2_VERSION_MASK: u8 = 0xf0;
const V2_VERSION: u8 = 0x20;
const V2_UNIX: u8 = 0x31;
const V2_UNIX_ADDRESSES_OCTETS: usize = 216;
const V2_TRANSPORT_UNSPECIFIED: u8 = 0x00;
/// Type and length in front of each addition.
const ADDITION_HEAD_OCTETS: usize = 3;
const ADDITION_CRC32C: u8 = 0x03;

/// A whole header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    pub origin: Origin,
    /// How long it was; what follows belongs to the connection.
    pub octets: usize,
}

/// Why octets are no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    NoHeader,
    TooLong,
    /// Version 1: not the words there must be, one space apart, ending in CRLF.
    BadLine,
    BadAddress,
    BadPort,
    UnknownVersion(u8),
    UnknownCommand(u8),
    /// The family and transport of version 2, of no connection that can be.
    UnknownFamily(u8),
    /// Shorter than its addresses.
    TooShort,
    /// An addition of version 2 that does not end where the header does.
    BadAddition,
    BadChecksum,
}

/// The header that `octets`, all that came so far, begin with; none: more must come first.
///
/// # Errors
/// When no octets that may follow make a header of them. There is an answer before more than [`V2_OCTETS_MAX`] octets.
pub fn header(octets: &[u8]) -> Result<Option<Header>, Fault> {
    if begins(octets, V1_PREFIX) {
        v1(octets)
    } else if begins(octets, V2_SIGNATURE) {
        v2(octets)
    } else {
        Err(Fault::NoHeader)
    }
}

/// Whether the two agree as far as both go.
fn begins(octets: &[u8], prefix: &[u8]) -> bool {
    octets.iter().zip(prefix).all(|(one, other)| one == other)
}

fn v1(octets: &[u8]) -> Result<Option<Header>, Fault> {
    let window = &octets[..octets.len().min(V1_OCTETS_MAX)];
    let Some(end) = window.iter().position(|octet| *octet == b'\n') else {
        let full = window.len() == V1_OCTETS_MAX;
        return if full { Err(Fault::TooLong) } else { Ok(None) };
    };
    let line = octets[..end].strip_suffix(b"\r").ok_or(Fault::BadLine)?;
    let line = str::from_utf8(line).map_err(|_not_text| Fault::BadLine)?;
    Ok(Some(Header {
        origin: v1_origin(line)?,
        octets: end + 1,
    }))
}

fn v1_origin(line: &str) -> Result<Origin, Fault> {
    let mut words = line.split(' ').skip(1);
    let address = match words.next() {
        // What follows is not looked at, the specification says.
        Some("UNKNOWN") => return Ok(Origin::Local),
        Some("TCP4") => v4_address,
        Some("TCP6") => v6_address,
        Some(_) | None => return Err(Fault::BadLine),
    };
    let words: [Option<&str>; 5] = std::array::from_fn(|_| words.next());
    let [Some(from), Some(to), Some(from_port), Some(to_port), None] = words else {
        return Err(Fault::BadLine);
    };
    let end = |ip, word| {
        let ip = address(ip).ok_or(Fault::BadAddress)?;
        Ok(SocketAddr::new(ip.to_canonical(), port(word)?))
    };
    Ok(Origin::Proxied {
        source: end(from, from_port)?,
        destination: end(to, to_port)?,
    })
}

fn v4_address(word: &str) -> Option<IpAddr> {
    word.parse::<Ipv4Addr>().ok().map(IpAddr::V4)
}

fn v6_address(word: &str) -> Option<IpAddr> {
    word.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
}

fn port(word: &str) -> Result<u16, Fault> {
    let digits = word.bytes().all(|octet| octet.is_ascii_digit());
    let leading_zero = word.len() > 1 && word.starts_with('0');
    if !digits || leading_zero {
        return Err(Fault::BadPort);
    }
    word.parse().map_err(|_not_a_port| Fault::BadPort)
}

fn v2(octets: &[u8]) -> Result<Option<Header>, Fault> {
    let Some((head, rest)) = octets.split_first_chunk::<V2_HEAD_OCTETS>() else {
        return Ok(None);
    };
    let [.., command, family, high, low] = *head;
    if command & V2_VERSION_MASK != V2_VERSION {
        return Err(Fault::UnknownVersion(command >> 4));
    }
    let length = usize::from(u16::from_be_bytes([high, low]));
    if V2_HEAD_OCTETS + length > V2_OCTETS_MAX {
        return Err(Fault::TooLong);
    }
    let Some(rest) = rest.get(..length) else {
        return Ok(None);
    };
    let origin = match command {
        V2_LOCAL => Origin::Local,
        V2_PROXY => v2_origin(head, family, rest)?,
        unknown => return Err(Fault::UnknownCommand(unknown & !V2_VERSION_MASK)),
    };
    Ok(Some(Header {
        origin,
        octets: V2_HEAD_OCTETS + length,
    }))
}

fn v2_origin(head: &[u8], family: u8, rest: &[u8]) -> Result<Origin, Fault> {
    let (origin, addresses) = match family {
        V2_TCP4 => {
            let (ends, _) = rest.split_first_chunk::<12>().ok_or(Fault::TooShort)?;
            let [a, b, c, d, e, f, g, h, ports @ ..] = *ends;
            let from = Ipv4Addr::new(a, b, c, d).into();
            let to = Ipv4Addr::new(e, f, g, h).into();
            (proxied(from, to, ports), ends.len())
        }
        V2_TCP6 => {
            let (ends, _) = rest.split_first_chunk::<36>().ok_or(Fault::TooShort)?;
            let ip = |at: usize| {
                let octets: [u8; 16] = std::array::from_fn(|index| ends[at + index]);
                Ipv6Addr::from(octets).to_canonical()
            };
            let [.., a, b, c, d] = *ends;
            (proxied(ip(0), ip(16), [a, b, c, d]), ends.len())
        }
        V2_UNIX if rest.len() < V2_UNIX_ADDRESSES_OCTETS => return Err(Fault::TooShort),
        V2_UNIX => (Origin::Local, V2_UNIX_ADDRESSES_OCTETS),
        // How long addresses of no family are is not said; so nothing behind them can be found.
        V2_TRANSPORT_UNSPECIFIED => return Ok(Origin::Local),
        unknown => return Err(Fault::UnknownFamily(unknown)),
    };
    let (addresses, additions) = rest.split_at(addresses);
    look_at_additions(&[head, addresses], additions)?;
    Ok(origin)
}

fn proxied(from: IpAddr, to: IpAddr, [a, b, c, d]: [u8; 4]) -> Origin {
    Origin::Proxied {
        source: SocketAddr::new(from, u16::from_be_bytes([a, b])),
        destination: SocketAddr::new(to, u16::from_be_bytes([c, d])),
    }
}

/// Skips all but a checksum of the whole header, which was taken with zeros in its place.
fn look_at_additions(before: &[&[u8]; 2], additions: &[u8]) -> Result<(), Fault> {
    let mut rest = additions;
    while let Some(([kind, high, low], behind)) = rest.split_first_chunk::<ADDITION_HEAD_OCTETS>() {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let (value, next) = behind.split_at_checked(length).ok_or(Fault::BadAddition)?;
        if *kind == ADDITION_CRC32C {
            let told: [u8; 4] = value.try_into().map_err(|_length| Fault::BadAddition)?;
            let (until, _) = additions.split_at(additions.len() - behind.len());
            let parts = [before[0], before[1], until, &[0; 4], next];
            if crc32c::checksum(&parts) != u32::from_be_bytes(told) {
                return Err(Fault::BadChecksum);
            }
        }
        rest = next;
    }
    if rest.is_empty() {
        Ok(())
    } else {
        Err(Fault::BadAddition)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoHeader => write!(formatter, "does not begin with a PROXY header"),
            Self::TooLong => write!(formatter, "the PROXY header is too long"),
            Self::BadLine => write!(formatter, "the PROXY line is malformed"),
            Self::BadAddress => write!(formatter, "the PROXY line has a bad address"),
            Self::BadPort => write!(formatter, "the PROXY line has a bad port"),
            Self::UnknownVersion(version) => {
                write!(
                    formatter,
                    "the PROXY header is of unknown version {version}"
                )
            }
            Self::UnknownCommand(command) => {
                write!(formatter, "the PROXY header has unknown command {command}")
            }
            Self::UnknownFamily(family) => {
                write!(
                    formatter,
                    "the PROXY header has family and transport {family:#04x}, which are none of a stream"
                )
            }
            Self::TooShort => write!(formatter, "the PROXY header is shorter than its addresses"),
            Self::BadAddition => write!(formatter, "the PROXY header has a malformed addition"),
            Self::BadChecksum => write!(formatter, "the PROXY header's checksum is wrong"),
        }
    }
}

impl std::error::Error for Fault {}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;

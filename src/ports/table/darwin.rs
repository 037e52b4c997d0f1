//! macOS gives the list as records of the kernel (`net.inet.tcp.pcblist_n`, which `netstat` reads too), to everyone and with the
//! processes of all users. Reading it by `sysctl` spares us a foreign function.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{ROWS_MAX, Row, State};
use crate::ports::ask::ask;

const SYSCTL: &str = "/usr/sbin/sysctl";
const LIST: &str = "net.inet.tcp.pcblist_n";

/// Octets of the record (`xinpgen`) before the list and after it.
const MARK_OCTETS: usize = 24;
/// Records begin at multiples of this.
const ALIGNMENT: usize = 8;
/// The kinds of records that are read (`XSO_SOCKET`, `XSO_INPCB`, `XSO_TCPCB` of XNU's `sys/socketvar.h`). Those of one socket
/// follow each other, the address first and the TCP state last.
const SOCKET: u32 = 0x01;
const ADDRESS: u32 = 0x10;
const TCP: u32 = 0x20;

/// Where a record's fields are; XNU packs them to multiples of four.
mod place {
    pub(super) const KIND: usize = 4;
    /// `so_uid` and `so_last_pid` of `xsocket_n`.
    pub(super) const UID: usize = 64;
    pub(super) const PID: usize = 68;
    /// `inp_lport`, `inp_vflag` and `inp_dependladdr` of `xinpcb_n`; an IPv4 address is the end of the last.
    pub(super) const PORT: usize = 18;
    pub(super) const FAMILIES: usize = 44;
    pub(super) const LOCAL: usize = 64;
    pub(super) const LOCAL_IPV4: usize = 76;
    /// `t_state` of `xtcpcb_n`.
    pub(super) const STATE: usize = 36;
}

const FAMILY_IPV4: u8 = 1;
const FAMILY_IPV6: u8 = 2;
const LISTEN: u32 = 1;
const TIME_WAIT: u32 = 10;

pub(super) fn rows() -> Option<Vec<Row>> {
    ask(SYSCTL, &["-b", LIST]).map(|octets| rows_of(&octets))
}

/// The sockets of a list, as far as it can be read.
fn rows_of(list: &[u8]) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut local = None;
    let mut owner = None;
    for record in records(list) {
        match number(record, place::KIND) {
            Some(ADDRESS) => (local, owner) = (address(record), None),
            Some(SOCKET) => owner = number(record, place::UID).zip(number(record, place::PID)),
            Some(TCP) => {
                let found = local.take().zip(owner.take()).zip(state(record));
                rows.extend(found.map(|((local, (uid, pid)), state)| Row {
                    local,
                    state,
                    uid,
                    pid: (pid != 0).then_some(pid),
                }));
            }
            Some(_) | None => {}
        }
        if rows.len() == ROWS_MAX {
            break;
        }
    }
    rows
}

/// Between the marks. A record says its own length, so later systems may append fields.
fn records(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = list.get(MARK_OCTETS..).unwrap_or_default();
    std::iter::from_fn(move || {
        let length = usize::try_from(number(rest, 0)?).ok()?;
        let record = rest.get(..length).filter(|_whole| length > MARK_OCTETS)?;
        let next = length.next_multiple_of(ALIGNMENT);
        rest = rest.get(next..).unwrap_or_default();
        Some(record)
    })
}

fn address(record: &[u8]) -> Option<SocketAddr> {
    let port = u16::from_be_bytes(octets(record, place::PORT)?);
    let [families] = octets(record, place::FAMILIES)?;
    // A dual-stack wildcard is of both families and has the address of IPv6.
    let ip: IpAddr = if families & FAMILY_IPV6 != 0 {
        Ipv6Addr::from(octets::<16>(record, place::LOCAL)?).into()
    } else if families & FAMILY_IPV4 != 0 {
        Ipv4Addr::from(octets::<4>(record, place::LOCAL_IPV4)?).into()
    } else {
        return None;
    };
    Some(SocketAddr::new(ip, port))
}

fn state(record: &[u8]) -> Option<State> {
    Some(match number(record, place::STATE)? {
        LISTEN => State::Listening,
        TIME_WAIT => State::TimeWait,
        _ => State::Connected,
    })
}

/// All of Apple's machines are little-endian.
fn number(record: &[u8], at: usize) -> Option<u32> {
    octets(record, at).map(u32::from_le_bytes)
}

fn octets<const N: usize>(record: &[u8], at: usize) -> Option<[u8; N]> {
    record.get(at..)?.first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The lengths that these records have in XNU: address, socket, two buffers, statistics, TCP state.
    const LENGTHS: [(u32, usize); 6] = [
        (ADDRESS, 104),
        (SOCKET, 76),
        (0x02, 32),
        (0x04, 32),
        (0x08, 136),
        (TCP, 204),
    ];

    #[test]
    fn a_socket_tells_its_address_state_user_and_process() {
        let list = list(&[
            (FAMILY_IPV4, "0.0.0.0:443", LISTEN, 0, 312),
            (
                FAMILY_IPV4 | FAMILY_IPV6,
                "[2001:db8::7]:80",
                TIME_WAIT,
                501,
                0,
            ),
            (FAMILY_IPV4, "127.0.0.1:5000", 4, 501, 77),
        ]);
        let rows: Vec<String> = rows_of(&list)
            .iter()
            .map(|row| format!("{} {:?} {} {:?}", row.local, row.state, row.uid, row.pid))
            .collect();
        assert_eq!(
            rows,
            [
                "0.0.0.0:443 Listening 0 Some(312)",
                "[2001:db8::7]:80 TimeWait 501 None",
                "127.0.0.1:5000 Connected 501 Some(77)",
            ]
        );
    }

    #[test]
    fn a_list_that_breaks_off_gives_what_was_whole() {
        let whole = list(&[
            (FAMILY_IPV4, "127.0.0.1:80", LISTEN, 501, 1),
            (FAMILY_IPV4, "127.0.0.1:81", LISTEN, 501, 1),
        ]);
        let one = whole.len() - MARK_OCTETS - 8;
        assert_eq!(rows_of(&whole[..one]).len(), 1);
        assert_eq!(rows_of(&whole[..MARK_OCTETS]).len(), 0);
        assert_eq!(rows_of(&[]).len(), 0);
    }

    proptest! {
        #[test]
        fn anything_is_read_without_harm(list in prop::collection::vec(any::<u8>(), 0..600)) {
            rows_of(&list);
        }
    }

    type Fact<'a> = (u8, &'a str, u32, u32, u32);

    fn list(sockets: &[Fact<'_>]) -> Vec<u8> {
        let mark = [24_u32.to_le_bytes().to_vec(), vec![0; 20]].concat();
        let mut list = mark.clone();
        for socket in sockets {
            for (kind, length) in LENGTHS {
                list.extend(record(kind, length, socket));
            }
        }
        list.extend(mark);
        list
    }

    fn record(kind: u32, length: usize, &(families, local, state, uid, pid): &Fact<'_>) -> Vec<u8> {
        let local: SocketAddr = local.parse().unwrap();
        let mut record = vec![0; length.next_multiple_of(ALIGNMENT)];
        let mut put = |at: usize, octets: &[u8]| {
            record[at..at + octets.len()].copy_from_slice(octets);
        };
        put(0, &u32::try_from(length).unwrap().to_le_bytes());
        put(place::KIND, &kind.to_le_bytes());
        match kind {
            ADDRESS => {
                put(place::PORT, &local.port().to_be_bytes());
                put(place::FAMILIES, &[families]);
                match local.ip() {
                    IpAddr::V4(ip) => put(place::LOCAL_IPV4, &ip.octets()),
                    IpAddr::V6(ip) => put(place::LOCAL, &ip.octets()),
                }
            }
            SOCKET => {
                put(place::UID, &uid.to_le_bytes());
                put(place::PID, &pid.to_le_bytes());
            }
            TCP => put(place::STATE, &state.to_le_bytes()),
            _ => {}
        }
        record
    }
}

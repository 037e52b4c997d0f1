//! Which bind is let in beside which, and who then gets the connections: what the strict binding of ports rests on.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};

use socket2::{Domain, Protocol, Socket, Type};

use super::neighbours::Stranger;

/// The options of a socket before it is bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    ReuseAddress,
    ReusePort,
    OnlyIpv6,
}

use Wish::{OnlyIpv6, ReuseAddress, ReusePort};

const ALL: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
const ALL_IPV6: SocketAddr = SocketAddr::new(std::net::IpAddr::V6(Ipv6Addr::UNSPECIFIED), 0);
const LOCAL: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
const LOCAL_IPV6: SocketAddr = SocketAddr::new(std::net::IpAddr::V6(Ipv6Addr::LOCALHOST), 0);

#[test]
fn the_oldest_of_those_who_share_a_wildcard_gets_everything() {
    let (older, newer) = both(
        ALL,
        &[ReuseAddress, ReusePort],
        ALL,
        &[ReuseAddress, ReusePort],
    );
    for _connection in 0..20 {
        arrives_at(&older, LOCAL);
    }
    assert_eq!(newer.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[test]
fn a_wildcard_is_not_bound_twice_by_reused_addresses() {
    refused(ALL, &[ReuseAddress], ALL, &[ReuseAddress]);
}

#[test]
fn a_specific_address_is_let_in_beside_a_wildcard_and_wins() {
    let (_wide, narrow) = both(ALL, &[ReuseAddress], LOCAL, &[ReuseAddress]);
    arrives_at(&narrow, LOCAL);
}

#[test]
fn a_wildcard_is_let_in_beside_a_specific_address_and_loses_there() {
    let (narrow, _wide) = both(LOCAL, &[ReuseAddress], ALL, &[ReuseAddress]);
    arrives_at(&narrow, LOCAL);
}

#[test]
fn a_dual_wildcard_is_let_in_beside_an_older_one_of_ipv4() {
    let (four, dual) = both(ALL, &[ReuseAddress], ALL_IPV6, &[ReuseAddress]);
    arrives_at(&four, LOCAL);
    arrives_at(&dual, LOCAL_IPV6);
}

#[test]
fn a_wildcard_of_ipv4_is_refused_beside_an_older_dual_one() {
    refused(ALL_IPV6, &[ReuseAddress], ALL, &[ReuseAddress]);
}

#[test]
fn the_wildcards_of_both_families_stand_side_by_side() {
    let (four, six) = both(ALL, &[], ALL_IPV6, &[OnlyIpv6]);
    arrives_at(&four, LOCAL);
    arrives_at(&six, LOCAL_IPV6);
}

#[test]
fn whoever_asks_for_no_reuse_is_refused_at_every_overlap() {
    let others: [&[Wish]; 3] = [&[], &[ReuseAddress], &[ReuseAddress, ReusePort]];
    for options in others {
        refused(ALL, options, ALL, &[]);
        refused(ALL, options, LOCAL, &[]);
        refused(LOCAL, options, ALL, &[]);
        refused(LOCAL, options, LOCAL, &[]);
        refused(ALL_IPV6, options, ALL, &[]);
    }
}

#[test]
fn another_users_process_is_let_in_beside_a_shared_wildcard() {
    let stranger = Stranger::on("0.0.0.0", 0, &["SO_REUSEPORT"]);
    let same = SocketAddr::new(ALL.ip(), stranger.port);
    assert!(listen(same, &[ReusePort]).is_ok());
    assert_eq!(
        listen(same, &[]).unwrap_err().kind(),
        ErrorKind::AddrInUse,
        "a strict bind is not"
    );
}

/// Binds the first to a port of its own and the second to the same port.
#[track_caller]
fn both(
    first: SocketAddr,
    options: &[Wish],
    second: SocketAddr,
    others: &[Wish],
) -> (TcpListener, TcpListener) {
    let first = listen(first, options).unwrap();
    let port = first.local_addr().unwrap().port();
    let second = listen(SocketAddr::new(second.ip(), port), others).unwrap();
    (first, second)
}

#[track_caller]
fn refused(first: SocketAddr, options: &[Wish], second: SocketAddr, others: &[Wish]) {
    let held = listen(first, options).unwrap();
    let port = held.local_addr().unwrap().port();
    let error = listen(SocketAddr::new(second.ip(), port), others).unwrap_err();
    assert_eq!(
        error.kind(),
        ErrorKind::AddrInUse,
        "{first} {options:?}, then {second} {others:?}"
    );
}

/// A connection to the listener's port at `ip` comes out of it.
#[track_caller]
fn arrives_at(listener: &TcpListener, ip: SocketAddr) {
    let port = listener.local_addr().unwrap().port();
    let stream = TcpStream::connect(SocketAddr::new(ip.ip(), port)).unwrap();
    listener.set_nonblocking(false).unwrap();
    let (_accepted, peer) = listener.accept().unwrap();
    listener.set_nonblocking(true).unwrap();
    assert_eq!(peer.port(), stream.local_addr().unwrap().port());
}

fn listen(address: SocketAddr, options: &[Wish]) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(options.contains(&OnlyIpv6))?;
    }
    socket.set_reuse_address(options.contains(&ReuseAddress))?;
    socket.set_reuse_port(options.contains(&ReusePort))?;
    socket.bind(&address.into())?;
    socket.listen(16)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

//! What is believed of macOS and can be seen there only: who may bind beside whom, which ports need no right, who is found behind a
//! port, and who gets through the guard of a `localhost:` listener. These tests want a user who is not root but may `sudo`, and Caddy.

mod matrix;
mod neighbours;

use std::io::Read as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};

use onedoor::ports::bind::bind;
use onedoor::ports::problem::Refusal;
use rustix::process::Signal;

use crate::support::answer::get_on;
use crate::support::backend::Backend;
use crate::support::client::{get, roots, try_tls};
use crate::support::door::{Door, Home};
use crate::support::{PATIENCE, eventually};

/// Ports below are reserved on most systems.
const RESERVED_BELOW: u16 = 1024;

#[test]
fn a_reserved_port_needs_no_right_on_every_address() {
    assert!(
        !rustix::process::geteuid().is_root(),
        "root may do anything"
    );
    let port = reserved_port();
    let both = [
        SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)),
        SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)),
    ];
    assert_eq!(bind(&both).unwrap().sockets.len(), 2);
}

#[test]
fn a_reserved_port_of_one_address_is_refused() {
    assert!(
        !rustix::process::geteuid().is_root(),
        "root may do anything"
    );
    let port = reserved_port();
    let both = [
        SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        SocketAddr::from((Ipv6Addr::LOCALHOST, port)),
    ];
    let problem = bind(&both).unwrap_err();
    assert_eq!(problem.exit_code(), 5);
    for refused in problem.refused() {
        assert!(
            matches!(refused.refusal, Refusal::NotPermitted),
            "{refused:?}"
        );
    }
}

#[test]
fn a_reserved_port_of_this_machine_alone_is_served_without_root() {
    let backend = Backend::saying("reserved");
    let port = reserved_port();
    let door = Door::up(&local(&format!("localhost:{port}"), "a.test", &backend));
    assert_eq!(get_at(&door, Ipv4Addr::LOCALHOST.into(), port), "reserved");
    assert_eq!(get_at(&door, Ipv6Addr::LOCALHOST.into(), port), "reserved");
}

#[test]
fn the_guard_closes_what_comes_from_the_network_and_says_so_once() {
    let backend = Backend::saying("guarded");
    let port = free_port();
    let door = Door::up(&local(&format!("localhost:{port}"), "a.test", &backend));
    let there = SocketAddr::new(lan_address(), port);
    for _attempt in 0..2 {
        let mut stream = TcpStream::connect(there).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        // Closed, or reset: either way without a word.
        assert_eq!(stream.read(&mut [0; 16]).unwrap_or(0), 0);
    }
    assert!(try_tls(there, &roots(&door), "a.test", &[]).is_err());
    assert_eq!(get_at(&door, Ipv4Addr::LOCALHOST.into(), port), "guarded");
    let told = eventually("the guard's word", || {
        let told = door
            .said()
            .matches("closed a connection from the network")
            .count();
        (told > 0).then_some(told)
    });
    assert_eq!(told, 1);
    assert!(door.said().contains(&format!("listen = [{port}]")));
}

#[test]
fn two_terminals_share_one_door() {
    let (first, second) = (Backend::saying("first"), Backend::saying("second"));
    let port = free_port();
    let listen = format!("localhost:{port}");
    let holder = Door::up(&local(&listen, "a.test", &first));
    let home = Home::new(&local(&listen, "b.test", &second));
    let mut command = home.command();
    command
        .arg("up")
        .env("ONEDOOR_CONTROL", holder.home().path().join("control"));
    let guest = Door::up_by(home, command);
    let at = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let served = |name: &str| {
        let mut stream = try_tls(at, &roots(&holder), name, &[]).ok()?;
        Some(get_on(&mut stream, name, "/").body)
    };
    let body = eventually("the guest's site", || served("b.test"));
    assert_eq!(
        (body.as_str(), get(&holder, "a.test", "/").as_str()),
        ("second", "first")
    );
    guest.signal(Signal::INT);
    eventually("the end of the guest's site", || {
        served("b.test").is_none().then_some(())
    });
    assert_eq!(get(&holder, "a.test", "/"), "first");
}

fn local(listen: &str, name: &str, backend: &Backend) -> String {
    format!(
        "listen = [\"{listen}\"]\nhttp = false\n[sites]\n\"{name}\" = \"{}\"\n",
        backend.address
    )
}

#[track_caller]
fn get_at(door: &Door, ip: IpAddr, port: u16) -> String {
    let mut stream = try_tls(SocketAddr::new(ip, port), &roots(door), "a.test", &[]).unwrap();
    get_on(&mut stream, "a.test", "/").body
}

/// Free on every address a moment ago.
fn free_port() -> u16 {
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// The same among the reserved ones, which the system gives to nobody by itself.
fn reserved_port() -> u16 {
    let free = |port: &u16| {
        let all = SocketAddr::from((Ipv4Addr::UNSPECIFIED, *port));
        bind(&[all]).is_ok()
    };
    let first = fastrand::u16(RESERVED_BELOW / 2..RESERVED_BELOW);
    (first..RESERVED_BELOW).find(free).unwrap()
}

/// This machine's own address in its network; nothing is sent to find it.
fn lan_address() -> IpAddr {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    socket.connect("192.0.2.1:9").unwrap();
    let ip = socket.local_addr().unwrap().ip();
    assert!(!ip.is_loopback(), "this machine is in no network");
    ip
}

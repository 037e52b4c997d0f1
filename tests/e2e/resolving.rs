//! Targets that are names: looked up, looked up again, and reached at whichever address answers.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use crate::support::backend::{ok, read_request};
use crate::support::door::{Door, Home};
use crate::support::names::{Mood, NameServer, command, own_address};
use crate::support::wire::Wire;
use crate::support::{eventually, free_port, takes_less};

const GET: &str = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";
/// Far less than waiting for somebody who says nothing takes, be it a name server or an upstream.
const BLINK: Duration = Duration::from_millis(1500);

/// Upstreams at one port of several addresses; each says which it is.
struct Upstreams {
    port: u16,
    addresses: Vec<IpAddr>,
}

impl Upstreams {
    fn at(addresses: &[Ipv4Addr]) -> Self {
        let listen = |address: &Ipv4Addr, port| TcpListener::bind((*address, port));
        let port = free_port();
        let listeners = addresses.iter().map(|at| listen(at, port).unwrap());
        listeners.for_each(serve);
        let addresses = addresses.iter().copied().map(IpAddr::from).collect();
        Self { port, addresses }
    }
}

fn serve(listener: TcpListener) {
    let text = listener.local_addr().unwrap().ip().to_string();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let text = text.clone();
            thread::spawn(move || answer(stream, &text));
        }
    });
}

fn answer(stream: TcpStream, text: &str) {
    let mut writer = stream.try_clone().unwrap();
    let mut reader = std::io::BufReader::new(stream);
    while read_request(&mut reader).is_some() {
        if std::io::Write::write_all(&mut writer, &ok(text)).is_err() {
            break;
        }
    }
}

/// Nobody answers a connection here, nor refuses it: the queue of a listener that never accepts is full.
struct BlackHole {
    _listener: Socket,
    _queue: Vec<Socket>,
}

impl BlackHole {
    fn at(address: SocketAddr) -> Self {
        let listener = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
        listener.bind(&address.into()).unwrap();
        listener.listen(0).unwrap();
        let waiting = (0..4).map(|_| {
            let client = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
            client.set_nonblocking(true).unwrap();
            let _in_progress = client.connect(&address.into());
            client
        });
        Self {
            _queue: waiting.collect(),
            _listener: listener,
        }
    }
}

/// `a.test`, whose upstream is `app.example` at this port, and who is asked where that is.
fn door(port: u16, server: &NameServer, settings: &str, hosts: &str) -> Door {
    let home = Home::new(&format!(
        "listen = [\"127.0.0.1:0\"]\nhttp = [\"127.0.0.1:0\"]\nworkers = 1\n{settings}\n\
         [sites]\n\"a.test\" = {{ to = \"http://app.example:{port}\", tls = \"off\" }}\n"
    ));
    let command = command(&home, server.address, hosts);
    Door::up_by(home, command)
}

fn said(door: &Door) -> String {
    Wire::plain(door).ask(GET).text()
}

#[test]
fn a_name_with_two_addresses_is_two_targets() {
    let upstreams = Upstreams::at(&[own_address(), own_address()]);
    let server = NameServer::saying(Mood::At(upstreams.addresses.clone(), 600));
    let door = door(upstreams.port, &server, "", "");
    said(&door);
    let mut counts = [0, 0];
    for _ in 0..20 {
        let said: IpAddr = said(&door).parse().unwrap();
        let which = upstreams.addresses.iter().position(|at| *at == said);
        counts[which.unwrap()] += 1;
    }
    assert_eq!(counts, [10, 10]);
    assert_eq!(server.asked("app.example"), 2, "once for each family");
}

#[test]
fn when_its_ttl_ends_a_name_may_be_elsewhere() {
    let upstreams = Upstreams::at(&[own_address(), own_address()]);
    let [old, new] = [upstreams.addresses[0], upstreams.addresses[1]];
    let server = NameServer::saying(Mood::At(vec![old], 1));
    let door = door(upstreams.port, &server, "", "");
    assert_eq!(said(&door), old.to_string());
    server.says(Mood::At(vec![new], 1));
    eventually("the new address is used", || {
        (said(&door) == new.to_string()).then_some(())
    });
    assert_eq!(said(&door), new.to_string());
}

#[test]
fn a_host_of_both_families_is_left_when_it_is_elsewhere() {
    let upstreams = Upstreams::at(&[own_address(), own_address()]);
    let [old, new] = [upstreams.addresses[0], upstreams.addresses[1]];
    // Nobody is there: what answers is the other family's address.
    let v6 = IpAddr::from(std::net::Ipv6Addr::LOCALHOST);
    let server = NameServer::saying(Mood::At(vec![v6, old], 1));
    let door = door(upstreams.port, &server, "", "");
    assert_eq!(said(&door), old.to_string());
    server.says(Mood::At(vec![v6, new], 1));
    // Kept connections that never rest lead to the old one.
    eventually("the new address is used", || {
        (said(&door) == new.to_string()).then_some(())
    });
}

#[test]
fn a_name_is_used_on_while_nobody_says_where_it_is() {
    let upstreams = Upstreams::at(&[own_address(), own_address()]);
    let [old, new] = [upstreams.addresses[0], upstreams.addresses[1]];
    let server = NameServer::saying(Mood::At(vec![old], 1));
    let door = door(upstreams.port, &server, "", "");
    assert_eq!(said(&door), old.to_string());
    server.says(Mood::Silent);
    let kept = "its last addresses are used";
    eventually("it is told", || {
        door.home().read("err").contains(kept).then_some(())
    });
    assert_eq!(said(&door), old.to_string());
    server.says(Mood::At(vec![new], 60));
    eventually("the new address is used", || {
        (said(&door) == new.to_string()).then_some(())
    });
    assert_eq!(door.home().read("err").matches(kept).count(), 1);
    eventually("it is told, too", || {
        let said = door.home().read("err");
        said.contains("the name is found again").then_some(())
    });
}

#[test]
fn a_name_that_is_not_there_is_refused_at_once_and_found_once_it_is() {
    let upstreams = Upstreams::at(&[own_address()]);
    let server = NameServer::saying(Mood::NoSuchName);
    let door = door(upstreams.port, &server, "", "");
    takes_less(BLINK, "twenty refusals", || {
        let started = Instant::now();
        for _ in 0..20 {
            let answer = Wire::plain(&door).ask(GET);
            assert_eq!(answer.status(), 502);
            let text = answer.text();
            assert!(text.contains("upstream-unknown-name"), "{text}");
            assert!(
                text.contains("app.example: there is no such name"),
                "{text}"
            );
        }
        started.elapsed()
    });
    let asked = server.asked("app.example");
    assert!(asked < 20, "not for every request, but {asked} times");
    server.says(Mood::At(upstreams.addresses.clone(), 60));
    eventually("the name is found", || {
        (said(&door) == upstreams.addresses[0].to_string()).then_some(())
    });
}

#[test]
fn an_address_that_says_nothing_costs_a_quarter_of_a_second_at_most() {
    let [silent, well] = [own_address(), own_address()];
    let upstreams = Upstreams::at(&[well]);
    let _hole = BlackHole::at((silent, upstreams.port).into());
    let server = NameServer::saying(Mood::At(vec![silent.into(), well.into()], 600));
    let door = door(upstreams.port, &server, "", "");
    // Every other one begins with the silent address; two such that waited for it to the end would take longer.
    takes_less(4 * BLINK, "six answers", || {
        let started = Instant::now();
        for _ in 0..6 {
            assert_eq!(said(&door), well.to_string());
        }
        started.elapsed()
    });
}

#[test]
fn the_hosts_file_comes_first() {
    let upstreams = Upstreams::at(&[own_address()]);
    let at = upstreams.addresses[0].to_string();
    let server = NameServer::saying(Mood::NoSuchName);
    let door = door(upstreams.port, &server, "", &format!("{at} app.example"));
    assert_eq!(said(&door), at);
    assert_eq!(server.asked("app.example"), 0);
}

#[test]
fn the_systems_resolver_is_asked_when_told() {
    let upstreams = Upstreams::at(&[own_address()]);
    let server = NameServer::saying(Mood::At(upstreams.addresses.clone(), 60));
    let door = door(upstreams.port, &server, "resolver = \"system\"", "");
    assert_eq!(said(&door), upstreams.addresses[0].to_string());
    assert!(server.asked("app.example") > 0);
}

#[test]
fn name_servers_may_change_while_running() {
    let upstreams = Upstreams::at(&[own_address(), own_address()]);
    let [old, new] = [upstreams.addresses[0], upstreams.addresses[1]];
    let first = NameServer::saying(Mood::At(vec![old], 1));
    let second = NameServer::saying(Mood::At(vec![new], 60));
    let door = door(upstreams.port, &first, "", "");
    assert_eq!(said(&door), old.to_string());
    // In place: it is the file behind the mount that changes.
    let settings = format!("nameserver {}\n", second.address);
    std::fs::write(door.home().path().join("resolv.conf"), settings).unwrap();
    eventually("the new server is asked", || {
        (said(&door) == new.to_string()).then_some(())
    });
}

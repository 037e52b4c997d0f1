//! `connections_per_ip`: nobody has more connections than allowed, and all places come back.

use std::net::{SocketAddr, TcpStream};

use socket2::{Domain, Socket, Type};

use super::door;
use crate::support::backend::Backend;
use crate::support::client::plain;
use crate::support::door::Door;
use crate::support::wire::Wire;
use crate::support::{PATIENCE, eventually};

const GET_B: &str = "GET / HTTP/1.1\r\nHost: b.test\r\n\r\n";
const HERE: [u8; 4] = [127, 0, 0, 1];

/// A connection from an address of this machine that has been answered, or the end of it.
fn from(address: [u8; 4], door: &Door) -> Option<Wire> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((address, 0)).into()).unwrap();
    socket.connect(&door.plain().into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut wire = Wire::over(stream);
    // It may be closed before it is asked.
    let _closed = wire.try_send(GET_B);
    (wire.try_answer().ok()?.status() == 200).then_some(wire)
}

#[test]
fn a_client_has_no_more_connections_than_connections_per_ip() {
    let backend = Backend::saying("yes");
    let door = door(&backend, "connections_per_ip = 3", "");
    let mut here = vec![from(HERE, &door).unwrap(), from(HERE, &door).unwrap()];
    let mut secure = Wire::tls(&door, "a.test");
    for _ in 0..3 {
        assert!(from(HERE, &door).is_none());
        Wire::over(plain(door.tls())).closes();
    }
    assert!(from([127, 0, 0, 2], &door).is_some());
    // Whoever is here is not disturbed.
    assert_eq!(here[0].ask(GET_B).text(), "yes");
    let request = GET_B.replace("b.test", "a.test");
    assert_eq!(secure.ask(request).text(), "yes");
    here.pop();
    here.push(eventually("a free place", || from(HERE, &door)));
    assert!(from(HERE, &door).is_none());
    let told = "closed a connection: this client has as many";
    assert_eq!(door.said().matches(told).count(), 1, "{}", door.said());
}

#[test]
fn a_trusted_proxy_stands_for_many_clients() {
    let backend = Backend::saying("yes");
    let limits = "connections_per_ip = 1\n[trust]\nproxies = [\"127.0.0.2\"]";
    let door = door(&backend, limits, "");
    let here = from(HERE, &door).unwrap();
    assert!(from(HERE, &door).is_none());
    let proxy = [127, 0, 0, 2];
    let many: Vec<_> = (0..4).map(|_| from(proxy, &door).unwrap()).collect();
    drop((here, many));
}

#[test]
fn places_of_a_client_are_free_again_however_its_connections_end() {
    let backend = Backend::saying("yes");
    let door = door(&backend, "connections_per_ip = 2", "");
    let beginnings: [&[u8]; 5] = [
        b"",
        b"garbage",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/1.1\r\nHost: nobody.test\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: b.test\r\nContent-Length: 10\r\n\r\nabc",
    ];
    for beginning in beginnings {
        for to in [door.tls(), door.plain()] {
            for _ in 0..3 {
                let _closed = Wire::over(plain(to)).try_send(beginning);
            }
        }
        eventually("both places", || {
            from(HERE, &door).and_then(|_first| from(HERE, &door))
        });
    }
}

#[test]
fn another_connections_per_ip_counts_from_the_reload_on() {
    let backend = Backend::saying("yes");
    let config = |limits: &str| {
        format!(
            r#"
            listen = ["127.0.0.1:0"]
            http = ["127.0.0.1:0"]
            {limits}
            [sites]
            "b.test" = {{ to = "{}", tls = "off" }}
            "#,
            backend.address
        )
    };
    let door = Door::up(&config(""));
    let uncounted = [from(HERE, &door).unwrap(), from(HERE, &door).unwrap()];
    door.reload(&config("limits.connections_per_ip = 1"));
    let _first = from(HERE, &door).unwrap();
    assert!(from(HERE, &door).is_none());
    door.reload(&config("limits.connections_per_ip = 2"));
    let _second = from(HERE, &door).unwrap();
    assert!(from(HERE, &door).is_none());
    door.reload(&config(""));
    assert!(from(HERE, &door).is_some());
    drop(uncounted);
}

#[test]
fn behind_a_balancer_connections_are_counted_for_whom_they_are() {
    let backend = Backend::saying("yes");
    let door = Door::up(&format!(
        r#"
        listen = ["127.0.0.1:0"]
        http = ["127.0.0.1:0"]
        limits.connections_per_ip = 1
        trust.proxy_protocol = ["127.0.0.1"]
        [sites]
        "b.test" = {{ to = "{}", tls = "off" }}
        "#,
        backend.address
    ));
    let open = |client: &str| {
        let mut wire = Wire::plain(&door);
        let family = if client.contains(':') { "TCP6" } else { "TCP4" };
        let own = if client.contains(':') {
            "::1"
        } else {
            "127.0.0.1"
        };
        let _closed = wire.try_send(format!("PROXY {family} {client} {own} 1 80\r\n{GET_B}"));
        (wire.try_answer().ok()?.status() == 200).then_some(wire)
    };
    let _here = ["192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8:0:1::1"]
        .map(|client| open(client).unwrap());
    for client in ["192.0.2.1", "192.0.2.2", "2001:db8::2", "::ffff:192.0.2.1"] {
        assert!(open(client).is_none(), "{client}");
    }
}

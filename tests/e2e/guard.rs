//! `allow`, `deny` and `rate`: who may ask, and how often.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::support::backend::Backend;
use crate::support::client::{curl, plain};
use crate::support::door::{Door, Home};
use crate::support::eventually;
use crate::support::wire::{Answer, Wire};

/// Sites in clear text on both loopback addresses. Loopback peers say who the client is.
fn door(sites: &str) -> Door {
    Door::up(&config(sites))
}

fn config(sites: &str) -> String {
    format!(
        "listen = [\"127.0.0.1:0\"]\nhttp = [\"127.0.0.1:0\", \"[::1]:0\"]\nworkers = 2\ntrust.proxies = [\"127.0.0.1\"]\n\
         [sites]\n{sites}"
    )
}

fn of_client(wire: &mut Wire, client: &str, path: &str) -> Answer {
    ask(wire, path, &format!("X-Forwarded-For: {client}\r\n"))
}

fn ask(wire: &mut Wire, path: &str, fields: &str) -> Answer {
    wire.ask(format!(
        "GET {path} HTTP/1.1\r\nHost: a.test\r\n{fields}\r\n"
    ))
}

/// The statuses of this many requests of a client.
fn statuses(wire: &mut Wire, count: usize, fields: &str) -> Vec<u16> {
    (0..count)
        .map(|_| ask(wire, "/", fields).status())
        .collect()
}

const PASSED: u16 = 204;

/// Answered by ourselves.
const FIXED: &str = "respond = { status = 204 }";

#[test]
fn allow_and_deny_are_about_the_clients_address() {
    let door = door(&format!(
        "\"a.test\" = {{ {FIXED}, tls = \"off\", allow = [\"192.0.2.0/24\", \"2001:db8::/32\"], deny = [\"192.0.2.7\"] }}"
    ));
    let mut wire = Wire::plain(&door);
    for (client, status) in [
        ("192.0.2.8", PASSED),
        ("192.0.2.7", 403),
        ("::ffff:192.0.2.8", PASSED),
        ("::ffff:192.0.2.7", 403),
        ("198.51.100.1", 403),
        ("2001:db8::1", PASSED),
        ("2001:db9::1", 403),
        // The client wrote the first one, a trusted proxy the last.
        ("192.0.2.8, 198.51.100.1", 403),
        ("198.51.100.1, 192.0.2.8", PASSED),
    ] {
        assert_eq!(
            of_client(&mut wire, client, "/").status(),
            status,
            "{client}"
        );
    }
    let refused = ask(&mut wire, "/", "Accept: application/json\r\n");
    assert_eq!(refused.status(), 403);
    let body: serde_json::Value = serde_json::from_slice(&refused.body).unwrap();
    assert_eq!(body["error"], "forbidden");
}

#[test]
fn both_families_are_kept_apart() {
    let door = door(&format!(
        "\"a.test\" = {{ {FIXED}, tls = \"off\", allow = [\"127.0.0.1\"] }}\n\
         \"b.test\" = {{ {FIXED}, tls = \"off\", deny = [\"127.0.0.0/8\"] }}"
    ));
    let addresses = door.listeners("plain");
    let at = |ip: std::net::IpAddr| *addresses.iter().find(|address| address.ip() == ip).unwrap();
    let status = |address: SocketAddr, host: &str| {
        let mut wire = Wire::over(plain(address));
        wire.ask(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"))
            .status()
    };
    let (four, six) = (
        at(Ipv4Addr::LOCALHOST.into()),
        at(Ipv6Addr::LOCALHOST.into()),
    );
    assert_eq!(
        (status(four, "a.test"), status(six, "a.test")),
        (PASSED, 403)
    );
    assert_eq!(
        (status(four, "b.test"), status(six, "b.test")),
        (403, PASSED)
    );
}

#[test]
fn no_action_is_reached_by_those_who_are_kept_out() {
    let backend = Backend::saying("yes");
    let to = backend.address;
    let door = door(&format!(
        "\"a.test\" = {{ to = \"{to}\", tls = \"off\", deny = [\"192.0.2.0/24\"], paths = {{ \
         \"/old\" = {{ redirect = \"/new\" }}, \"/fixed\" = {{ {FIXED} }}, \"/open\" = {{ to = \"{to}\", deny = false }} }} }}"
    ));
    let mut wire = Wire::plain(&door);
    for (path, admitted) in [("/", 200), ("/old", 308), ("/fixed", PASSED)] {
        assert_eq!(
            of_client(&mut wire, "192.0.2.7", path).status(),
            403,
            "{path}"
        );
        assert_eq!(
            of_client(&mut wire, "198.51.100.1", path).status(),
            admitted,
            "{path}"
        );
    }
    assert_eq!(of_client(&mut wire, "192.0.2.7", "/open").status(), 200);
    assert_eq!(backend.seen().len(), 2);
    // A body that nobody wants does not keep the next request from being read.
    wire.send("POST / HTTP/1.1\r\nHost: a.test\r\nX-Forwarded-For: 192.0.2.7\r\nContent-Length: 4\r\n\r\nbody");
    assert_eq!(wire.answer().status(), 403);
    assert_eq!(
        of_client(&mut wire, "198.51.100.1", "/fixed").status(),
        PASSED
    );
}

#[test]
fn a_burst_is_served_and_the_rest_is_told_when_to_come_again() {
    let door = door(&format!(
        "\"a.test\" = {{ {FIXED}, tls = \"off\", rate = {{ limit = \"60/h\", burst = 3 }} }}"
    ));
    let mut wire = Wire::plain(&door);
    let of = |client: &str| format!("X-Forwarded-For: {client}\r\n");
    assert_eq!(
        statuses(&mut wire, 4, &of("192.0.2.7")),
        [PASSED, PASSED, PASSED, 429]
    );
    let refused = of_client(&mut wire, "192.0.2.7", "/");
    assert!(
        refused
            .text()
            .starts_with("429 Too Many Requests: too-many-requests\n"),
        "{}",
        refused.text()
    );
    let seconds: u64 = refused.field("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
    // Others have bursts of their own, and all of an IPv6 network have one.
    assert_eq!(statuses(&mut wire, 2, &of("192.0.2.8")), [PASSED, PASSED]);
    assert_eq!(statuses(&mut wire, 2, &of("2001:db8::1")), [PASSED, PASSED]);
    assert_eq!(statuses(&mut wire, 2, &of("2001:db8::ffff")), [PASSED, 429]);
    assert_eq!(statuses(&mut wire, 1, &of("2001:db8:0:1::1")), [PASSED]);
}

#[test]
fn who_waits_as_told_is_served() {
    let door = door(&format!(
        "\"a.test\" = {{ {FIXED}, tls = \"off\", rate = {{ limit = \"2/s\", burst = 1 }} }}"
    ));
    let mut wire = Wire::plain(&door);
    assert_eq!(statuses(&mut wire, 2, ""), [PASSED, 429]);
    eventually("half a second", || {
        (ask(&mut wire, "/", "").status() == PASSED).then_some(())
    });
}

#[test]
fn limits_hold_for_every_action_and_where_they_are_written() {
    let backend = Backend::saying("yes");
    let to = backend.address;
    let door = door(&format!(
        "\"a.test\" = {{ to = \"{to}\", tls = \"off\", rate = {{ limit = \"3/h\", burst = 3 }}, paths = {{ \
         \"/old\" = {{ redirect = \"/new\" }}, \"/fixed\" = {{ {FIXED} }}, \
         \"/own\" = {{ {FIXED}, rate = {{ limit = \"1/h\", burst = 1 }} }}, \"/open\" = {{ {FIXED}, rate = false }} }} }}"
    ));
    let mut wire = Wire::plain(&door);
    let mut status = |path| ask(&mut wire, path, "").status();
    // Rules that inherit the limit count together; the one with a limit of its own does not.
    assert_eq!(
        ["/own", "/own", "/", "/old", "/fixed"].map(&mut status),
        [PASSED, 429, 200, 308, PASSED]
    );
    assert_eq!(
        ["/", "/old", "/fixed", "/own", "/open"].map(&mut status),
        [429, 429, 429, 429, PASSED]
    );
    assert_eq!(backend.seen().len(), 1);
}

#[test]
fn hosts_and_fields_are_counted_apart() {
    let door = door(&format!(
        "\"*.h.test\" = {{ {FIXED}, tls = \"off\", rate = {{ limit = \"1/h\", burst = 2, key = \"host\" }} }}\n\
         \"k.test\" = {{ {FIXED}, tls = \"off\", rate = {{ limit = \"1/h\", burst = 2, key = {{ header = \"X-Api-Key\" }} }} }}"
    ));
    let mut wire = Wire::plain(&door);
    let mut three = |host: &str, fields: &str| {
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n");
        [(); 3].map(|()| wire.ask(&request).status())
    };
    let spent = [PASSED, PASSED, 429];
    assert_eq!(three("a.h.test", ""), spent);
    assert_eq!(
        three("A.H.test:80", "X-Forwarded-For: 192.0.2.7\r\n"),
        [429; 3]
    );
    assert_eq!(three("b.h.test", ""), spent);
    assert_eq!(three("k.test", "X-Api-Key: a\r\n"), spent);
    assert_eq!(three("k.test", "X-Api-Key: b\r\n"), spent);
    assert_eq!(three("k.test", ""), spent);
}

#[test]
fn workers_and_versions_count_together_and_a_reload_forgets_nothing() {
    let site = |more: &str| {
        config(&format!(
            "\"a.test\" = {{ {FIXED}, rate = {{ limit = \"9/h\", burst = 9 }} }}\n{more}"
        ))
    };
    let door = Door::up_in(Home::new(&site("")), &["up"]);
    let mut served = 0;
    for round in 0..10 {
        if round == 5 {
            door.reload(&site(&format!("\"c.test\" = {{ {FIXED} }}")));
        }
        // A connection each: whichever worker takes it.
        served += usize::from(ask(&mut Wire::tls(&door, "a.test"), "/", "").status() == PASSED);
        let (code, _text) = curl(&door, "a.test", "/", &["--http2", "--fail"]);
        served += usize::from(code == 0);
    }
    assert_eq!(served, 9);
}

#[test]
fn limits_that_are_none_are_explained() {
    for (rule, said) in [
        ("rate = \"often\"", "rate"),
        ("rate = { limit = \"5/m\", key = \"cookie\" }", "key"),
        ("allow = [\"10.0.0\"]", "allow"),
        ("deny = [\"10.0.0.0/33\"]", "deny"),
    ] {
        let home = Home::new(&config(&format!(
            "\"a.test\" = {{ {FIXED}, tls = \"off\", {rule} }}"
        )));
        let (code, out, error) = home.run(&["check"]);
        assert_ne!(code, 0, "{rule}");
        assert!(
            format!("{out}{error}").contains(said),
            "{rule}: {out}{error}"
        );
    }
    let home = Home::new(&config("").replace("\"127.0.0.1\"]\n", "\"somewhere\"]\n"));
    let (code, out, error) = home.run(&["check"]);
    assert_ne!(code, 0);
    assert!(
        format!("{out}{error}").contains("somewhere"),
        "{out}{error}"
    );
}

#[test]
fn fifty_thousand_clients_take_a_few_megabytes() {
    const CLIENTS: u32 = 50_000;
    let door = door(&format!(
        "\"a.test\" = {{ {FIXED}, tls = \"off\", log = false, rate = {{ limit = \"1/h\", burst = 1 }} }}"
    ));
    let mut wire = Wire::plain(&door);
    let mut all = |status: u16| {
        for first in (0..CLIENTS).step_by(500) {
            let requests = (first..first + 500).map(|number| {
                let client = Ipv4Addr::from((198 << 24) + number);
                format!("GET / HTTP/1.1\r\nHost: a.test\r\nX-Forwarded-For: {client}\r\n\r\n")
            });
            wire.send(requests.collect::<String>());
            for _ in 0..500 {
                assert_eq!(wire.answer().status(), status);
            }
        }
    };
    let before = door.resident();
    all(PASSED);
    let grown = door.resident().saturating_sub(before);
    assert!(grown < 20 << 20, "{grown}");
    // All of them are known.
    all(429);
}

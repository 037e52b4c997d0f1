//! `[trust]`: what trusted proxies say of the client, and what others say.

mod front;

use std::net::SocketAddr;

use crate::support::backend::{Backend, Seen, ok};
use crate::support::client::{curl, plain};
use crate::support::door::Door;
use crate::support::eventually;
use crate::support::wire::{Answer, Wire};

/// `a.test` over TLS and `b.test` in clear text before an upstream, with the template facts in fields of their own.
fn door(backend: &Backend, trusted: &str) -> Door {
    let to = backend.address;
    let facts =
        r#"{ "X-Client" = "{client_ip}", "X-Url" = "{scheme}://{host}", "X-Id" = "{request_id}" }"#;
    Door::serving(
        &format!("log.access = \"access.log\"\nlog.format = \"json\"\ntrust.proxies = {trusted}"),
        &format!(
            "\"a.test\" = {{ to = \"{to}\", headers.request = {facts} }}\n\
             \"b.test\" = {{ to = \"{to}\", tls = \"off\", headers.request = {facts} }}"
        ),
    )
}

const LOOPBACK: &str = r#"["127.0.0.0/8", "10.0.0.0/8"]"#;

fn ask(wire: &mut Wire, host: &str, fields: &str) -> Answer {
    wire.ask(format!("GET /x HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n"))
}

#[track_caller]
fn check(seen: &Seen, expected: &[(&str, &str)]) {
    for (name, value) in expected {
        assert_eq!(seen.all(name), [*value], "{name} in {}", seen.head);
    }
}

/// Everything that may be said of a client, said of somebody else.
const LIES: &str = "X-Forwarded-For: 6.6.6.6\r\nForwarded: for=6.6.6.6;host=evil.test;proto=https\r\n\
    X-Forwarded-Proto: https\r\nX-Forwarded-Host: evil.test\r\nX-Forwarded-Port: 6666\r\nX-Real-IP: 6.6.6.6\r\n\
    X-Forwarded-Prefix: /evil\r\nX-Forwarded-User: evil\r\nX-Request-Id: evil\r\n";

#[test]
fn strangers_are_not_believed_when_others_are() {
    let backend = Backend::saying("yes");
    let door = door(&backend, r#"["192.0.2.0/24", "::1"]"#);
    let mut wire = Wire::plain(&door);
    assert_eq!(ask(&mut wire, "b.test", LIES).status(), 200);
    let seen = backend.only();
    let port = door.plain().port().to_string();
    check(
        &seen,
        &[
            ("x-forwarded-for", "127.0.0.1"),
            ("x-forwarded-proto", "http"),
            ("x-forwarded-host", "b.test"),
            ("x-forwarded-port", &port),
            ("x-client", "127.0.0.1"),
            ("x-url", "http://b.test"),
        ],
    );
    assert!(
        !seen.head.contains("6.6.6.6") && !seen.head.contains("evil"),
        "{}",
        seen.head
    );
}

#[test]
fn a_chain_of_trusted_proxies_leads_to_the_client() {
    let backend = Backend::saying("yes");
    let door = door(&backend, LOOPBACK);
    let mut wire = Wire::plain(&door);
    let fields = "X-Forwarded-For: 6.6.6.6, 192.0.2.7\r\nX-Forwarded-For: 10.0.0.2\r\nX-Forwarded-Proto: https\r\n\
        X-Forwarded-Host: www.test\r\nX-Request-Id: given-1\r\nX-Forwarded-User: ada\r\n";
    ask(&mut wire, "b.test", fields);
    check(
        &backend.only(),
        &[
            ("x-forwarded-for", "6.6.6.6, 192.0.2.7, 10.0.0.2, 127.0.0.1"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "www.test"),
            ("x-forwarded-port", "443"),
            ("x-forwarded-user", "ada"),
            ("x-request-id", "given-1"),
            ("x-client", "192.0.2.7"),
            ("x-url", "https://www.test"),
            ("x-id", "given-1"),
            ("host", "b.test"),
        ],
    );
    let line = eventually("a line in the log", || {
        let log = door.home().read("access.log");
        serde_json::from_str::<serde_json::Value>(log.lines().next()?).ok()
    });
    assert_eq!(line["peer"], "192.0.2.7");
    assert_eq!(line["request_id"], "given-1");
    // Each request of a connection has a client of its own.
    ask(&mut wire, "b.test", "X-Forwarded-For: 2001:db8::7\r\n");
    ask(&mut wire, "b.test", "");
    let clients: Vec<String> = backend
        .seen()
        .iter()
        .map(|seen| seen.field("x-client").unwrap().to_owned())
        .collect();
    assert_eq!(clients, ["192.0.2.7", "2001:db8::7", "127.0.0.1"]);
}

#[test]
fn every_version_of_http_has_a_client() {
    let backend = Backend::saying("yes");
    let door = door(&backend, LOOPBACK);
    for version in [
        &["--http1.0", "--no-alpn"][..],
        &["--http1.1"],
        &["--http2"],
    ] {
        let fields = [
            "-H",
            "X-Forwarded-For: 192.0.2.7",
            "-H",
            "X-Forwarded-Proto: http",
        ];
        let (code, text) = curl(
            &door,
            "a.test",
            "/",
            &[version, &["--fail"], &fields].concat(),
        );
        assert_eq!(code, 0, "{text}");
        let seen = backend.seen().pop().unwrap();
        check(
            &seen,
            &[
                ("x-forwarded-for", "192.0.2.7, 127.0.0.1"),
                ("x-client", "192.0.2.7"),
                ("x-forwarded-proto", "http"),
                ("x-url", "http://a.test"),
            ],
        );
    }
}

#[test]
fn a_switch_of_protocols_has_a_client() {
    let backend = Backend::http(|_request| {
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n".to_vec()
    });
    let door = door(&backend, LOOPBACK);
    let mut wire = Wire::plain(&door);
    wire.send(
        "GET / HTTP/1.1\r\nHost: b.test\r\nConnection: upgrade\r\nUpgrade: x\r\nX-Forwarded-For: 192.0.2.7\r\n\
         X-Forwarded-Proto: wss\r\n\r\n",
    );
    assert_eq!(wire.head().unwrap().status(), 101);
    check(
        &backend.only(),
        &[
            ("x-forwarded-for", "192.0.2.7, 127.0.0.1"),
            ("x-client", "192.0.2.7"),
            ("x-forwarded-proto", "wss"),
        ],
    );
}

#[test]
fn forwarded_is_read_and_passed_on_with_our_hop() {
    let backend = Backend::saying("yes");
    let door = door(&backend, LOOPBACK);
    let mut wire = Wire::plain(&door);
    let fields = "Forwarded: for=\"_hidden, for=6.6.6.6, for=\"[2001:db8::7]:4711\";proto=https;host=www.test\r\n\
        Forwarded: for=10.0.0.2\r\n";
    ask(&mut wire, "b.test", fields);
    check(
        &backend.only(),
        &[
            ("x-forwarded-for", "2001:db8::7, 10.0.0.2, 127.0.0.1"),
            ("x-client", "2001:db8::7"),
            ("x-url", "https://www.test"),
            (
                "forwarded",
                "for=6.6.6.6, for=\"[2001:db8::7]:4711\";proto=https;host=www.test, for=10.0.0.2, \
                 for=127.0.0.1;host=\"b.test\";proto=http",
            ),
        ],
    );
    // What a proxy that only knows the other field let through.
    ask(
        &mut wire,
        "b.test",
        "X-Forwarded-For: 192.0.2.7\r\nForwarded: for=6.6.6.6\r\n",
    );
    let seen = backend.seen().pop().unwrap();
    check(&seen, &[("x-client", "192.0.2.7")]);
    assert_eq!(seen.field("forwarded"), None);
}

#[test]
fn request_ids_of_trusted_peers_are_kept_if_they_are_ones() {
    let backend = Backend::saying("yes");
    let door = door(&backend, LOOPBACK);
    let mut wire = Wire::plain(&door);
    let long = "a".repeat(129);
    for bad in [
        "<script>",
        "two words",
        long.as_str(),
        "a\r\nX-Request-Id: b",
    ] {
        ask(&mut wire, "b.test", &format!("X-Request-Id: {bad}\r\n"));
        let seen = backend.seen().pop().unwrap();
        let id = uuid::Uuid::parse_str(seen.field("x-request-id").unwrap()).unwrap();
        assert_eq!(id.get_version_num(), 7, "{bad}");
    }
    // Our own replies carry it too.
    let answer = ask(&mut wire, "nobody.test", "X-Request-Id: mine-1\r\n");
    assert_eq!(answer.status(), 404);
    assert_eq!(answer.field("x-request-id"), Some("mine-1"));
}

#[test]
fn a_stranger_behind_a_local_proxy_is_not_told_in_words() {
    let backend = Backend::saying("yes");
    for trusted in [LOOPBACK, "[]"] {
        let door = door(&backend, trusted);
        let mut wire = Wire::plain(&door);
        let mut is_told = |fields: &str| {
            let answer = ask(&mut wire, "nobody.test", fields);
            answer.text().contains("b.test")
        };
        assert!(is_told(""));
        assert!(is_told("X-Request-Id: 1\r\n"));
        assert!(!is_told("X-Forwarded-For: 192.0.2.7\r\n"));
        assert!(!is_told("X-Forwarded-For: unknown\r\n"));
        assert!(!is_told("Forwarded: for=_hidden\r\n"));
        // Whoever is not believed is not believed about this either.
        assert_eq!(
            is_told("X-Forwarded-For: 127.0.0.1\r\n"),
            trusted == LOOPBACK
        );
        assert!(is_told(""));
    }
}

#[test]
fn a_change_of_the_list_holds_from_the_next_request_on() {
    let backend = Backend::saying("yes");
    let config = |trusted| {
        format!(
            "listen = [\"127.0.0.1:0\"]\nhttp = [\"127.0.0.1:0\"]\n[trust]\nproxies = {trusted}\n[sites]\n\
             \"b.test\" = {{ to = \"{}\", tls = \"off\" }}\n",
            backend.address
        )
    };
    let door = Door::up(&config("[]"));
    let mut wire = Wire::plain(&door);
    let mut told = || {
        ask(&mut wire, "b.test", "X-Forwarded-For: 192.0.2.7\r\n");
        backend
            .seen()
            .pop()
            .unwrap()
            .field("x-forwarded-for")
            .unwrap()
            .to_owned()
    };
    assert_eq!(told(), "127.0.0.1");
    door.reload(&config("[\"127.0.0.1\"]"));
    eventually("the peer being believed", || {
        (told() == "192.0.2.7, 127.0.0.1").then_some(())
    });
    door.reload(&config("[]"));
    eventually("the peer being a stranger", || {
        (told() == "127.0.0.1").then_some(())
    });
}

/// A request through a proxy, with lies in it.
fn through(front: SocketAddr, fields: &str) -> Answer {
    ask(&mut Wire::over(plain(front)), "b.test:80", fields)
}

#[test]
fn nginx_and_haproxy_say_who_the_client_is() {
    let backend = Backend::http(|_request| ok("yes"));
    let door = door(&backend, "[\"127.0.0.1\"]");
    let to = door.plain();
    let fronts = [front::nginx(to, ""), front::haproxy(to)];
    for front in &fronts {
        let before = backend.seen().len();
        assert_eq!(through(front.address, LIES).status(), 200);
        let seen = backend.seen().split_off(before).pop().unwrap();
        // They add to the first field, and let the other pass as it came: it names somebody else, and is worth nothing.
        check(&seen, &[("x-client", "::1"), ("host", "b.test:80")]);
        let chain = seen.field("x-forwarded-for").unwrap().replace(' ', "");
        assert_eq!(chain, "6.6.6.6,::1,127.0.0.1");
        assert_eq!(seen.field("forwarded"), None);
    }
}

#[test]
fn what_nginx_says_of_the_url_is_what_the_upstream_hears() {
    let backend = Backend::http(|_request| ok("yes"));
    let door = door(&backend, "[\"127.0.0.1\"]");
    let more = "proxy_set_header X-Forwarded-Proto $scheme;\nproxy_set_header X-Forwarded-Host $host;\n\
        proxy_set_header X-Forwarded-Port 8443;\nproxy_set_header X-Real-IP $remote_addr;\n\
        proxy_set_header X-Request-Id $request_id;\nproxy_set_header Forwarded \"for=\\\"[$remote_addr]\\\";proto=$scheme\";";
    let front = front::nginx(door.plain(), more);
    assert_eq!(through(front.address, LIES).status(), 200);
    let seen = backend.only();
    check(
        &seen,
        &[
            ("x-client", "::1"),
            ("x-real-ip", "::1"),
            ("x-forwarded-proto", "http"),
            ("x-forwarded-host", "b.test"),
            ("x-forwarded-port", "8443"),
            (
                "forwarded",
                "for=\"[::1]\";proto=http, for=127.0.0.1;host=\"b.test:80\";proto=http",
            ),
        ],
    );
    let id = seen.field("x-request-id").unwrap();
    assert!(
        id.len() == 32 && id.bytes().all(|digit| digit.is_ascii_hexdigit()),
        "{id}"
    );
}

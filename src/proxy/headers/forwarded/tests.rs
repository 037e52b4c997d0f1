//! What becomes of a head that a trusted peer sent.

use super::super::outbound::outbound;
use super::*;
use crate::proxy::headers::{Facts, Received};
use crate::proxy::testing::{fields_of, judge, lines_of, request, rule};

static PORT: HeaderValue = HeaderValue::from_static("8080");
static FRESH: HeaderValue = HeaderValue::from_static("fresh");

const PEER: &str = "10.0.0.1";

fn trusted() -> Networks {
    Networks(
        ["10.0.0.0/8", "fd00::/8", "127.0.0.0/8"]
            .map(|text| text.parse().unwrap())
            .into(),
    )
}

fn read_from(peer: &str, fields: &[&str], received: &Received) -> Forwarded {
    let text = HeaderValue::from_str(peer).unwrap();
    let hop = Hop {
        peer: peer.parse().unwrap(),
        text: &text,
        scheme: Scheme::Http,
        port: &PORT,
        authority: received.authority.as_ref(),
    };
    Forwarded::read(&fields_of(fields), hop, &trusted())
}

fn read(fields: &[&str]) -> Forwarded {
    let received = judge(&request("GET / 1.1", &["host: up.test:8080"])).unwrap();
    read_from(PEER, fields, &received)
}

/// What the upstream is told of a request with these fields, besides `Via`.
#[track_caller]
fn check_from(peer: &str, fields: &[&str], expected: &[&str]) {
    let all = [&["host: up.test:8080"], fields].concat();
    let mut parts = request("GET / 1.1", &all);
    let received = judge(&parts).unwrap();
    let forwarded = read_from(peer, fields, &received);
    let facts = Facts {
        client_ip: &forwarded.text,
        scheme: forwarded.scheme,
        port: &forwarded.port,
        host: "",
        request_id: forwarded.request_id.as_ref().unwrap_or(&FRESH),
        tls_version: None,
        certificate: None,
        forwarded: Some(&forwarded),
    };
    outbound(&mut parts, &received, &rule(), &facts).unwrap();
    let mut lines = lines_of(&parts.headers);
    lines.retain(|line| !line.starts_with("host:") && !line.starts_with("via:"));
    assert_eq!(lines, expected, "{fields:?}");
}

#[track_caller]
fn check(fields: &[&str], expected: &[&str]) {
    check_from(PEER, fields, expected);
}

#[test]
fn the_word_of_a_trusted_peer_goes_on_with_the_peer_added() {
    check(
        &[
            "x-forwarded-for: 192.0.2.7",
            "x-forwarded-for: 10.0.0.2",
            "x-forwarded-proto: HTTPS",
            "x-forwarded-host: A.test",
            "x-forwarded-port: 8443",
            "x-request-id: 01/ab=c",
            "x-forwarded-prefix: /outer/",
            "x-forwarded-user: ada",
        ],
        &[
            "x-forwarded-user: ada",
            "x-forwarded-for: 192.0.2.7, 10.0.0.2, 10.0.0.1",
            "x-forwarded-proto: https",
            "x-forwarded-host: A.test",
            "x-forwarded-port: 8443",
            "x-forwarded-prefix: /outer/",
            "x-request-id: 01/ab=c",
        ],
    );
}

#[test]
fn what_it_does_not_say_is_what_we_see() {
    check(
        &["x-request-id: 1"],
        &[
            "x-forwarded-for: 10.0.0.1",
            "x-forwarded-proto: http",
            "x-forwarded-host: up.test:8080",
            "x-forwarded-port: 8080",
            "x-request-id: 1",
        ],
    );
    // The port that we were reached on is not the one of its URL.
    check(
        &["x-forwarded-proto: wss", "x-forwarded-host: a.test"],
        &[
            "x-forwarded-for: 10.0.0.1",
            "x-forwarded-proto: wss",
            "x-forwarded-host: a.test",
            "x-forwarded-port: 443",
            "x-request-id: fresh",
        ],
    );
}

#[test]
fn what_cannot_be_relied_on_is_replaced() {
    let long = format!("x-request-id: {}", "a".repeat(REQUEST_ID_BYTES_MAX + 1));
    let ours = [
        "x-forwarded-for: 10.0.0.1",
        "x-forwarded-proto: http",
        "x-forwarded-host: up.test:8080",
        "x-forwarded-port: 8080",
        "x-request-id: fresh",
    ];
    for fields in [
        &["x-forwarded-proto: ftp"][..],
        &["x-forwarded-proto: https,http"],
        &["x-forwarded-proto: https", "x-forwarded-proto: https"],
        &["x-forwarded-host: a.test, b.test"],
        &["x-forwarded-host: user@a.test"],
        &["x-forwarded-host: a.test", "x-forwarded-host: a.test"],
        &["x-forwarded-port: 0"],
        &["x-forwarded-port: +80"],
        &["x-forwarded-port: 65536"],
        &["x-request-id: "],
        &["x-request-id: a b"],
        &["x-request-id: <a>"],
        &["x-request-id: a", "x-request-id: a"],
        &[long.as_str()],
        &["x-forwarded-prefix: //evil.test"],
        &["x-forwarded-prefix: outer"],
        &["x-forwarded-prefix: /a\"b"],
        &["x-client-cert-subject: CN=root"],
        &["x_forwarded_for: 192.0.2.7"],
        &["x-forwarded-us_er: ada"],
        &["forwarded: for"],
    ] {
        check(fields, &ours);
    }
}

#[test]
fn a_real_ip_is_the_clients() {
    let real = |fields: &[&str]| {
        let forwarded = read(fields);
        let mut headers = HeaderMap::new();
        forwarded.tell(&mut headers, None);
        headers.get("x-real-ip").cloned()
    };
    assert_eq!(
        real(&["x-forwarded-for: 192.0.2.7", "x-real-ip: 6.6.6.6"]).unwrap(),
        "192.0.2.7"
    );
    assert_eq!(real(&["x-forwarded-for: 192.0.2.7"]), None);
}

#[test]
fn forwarded_speaks_where_nothing_else_does() {
    check(
        &[
            "forwarded: for=6.6.6.6;proto=http, for=\"192.0.2.7:4711\";host=a.test;proto=https, for=10.0.0.2;proto=http",
        ],
        &[
            "x-forwarded-for: 192.0.2.7, 10.0.0.2, 10.0.0.1",
            "x-forwarded-proto: https",
            "x-forwarded-host: a.test",
            "x-forwarded-port: 443",
            "forwarded: for=6.6.6.6;proto=http, for=\"192.0.2.7:4711\";host=a.test;proto=https, for=10.0.0.2;proto=http, \
             for=10.0.0.1;host=\"up.test:8080\";proto=http",
            "x-request-id: fresh",
        ],
    );
    check_from(
        "fd00::1",
        &[
            "forwarded: for=\"6.6.6.6",
            "forwarded: for=\"[2001:db8::7]\"",
        ],
        &[
            "x-forwarded-for: 2001:db8::7, fd00::1",
            "x-forwarded-proto: http",
            "x-forwarded-host: up.test:8080",
            "x-forwarded-port: 8080",
            "forwarded: for=\"[2001:db8::7]\", for=\"[fd00::1]\";host=\"up.test:8080\";proto=http",
            "x-request-id: fresh",
        ],
    );
}

#[test]
fn a_forwarded_that_says_otherwise_was_let_pass_unread() {
    let both = |element| {
        let forwarded = read(&["x-forwarded-for: 192.0.2.7", element]);
        assert_eq!(forwarded.client, "192.0.2.7".parse::<IpAddr>().unwrap());
        (forwarded.hops.is_some(), forwarded.scheme)
    };
    assert_eq!(
        both("forwarded: for=6.6.6.6;proto=https"),
        (false, Scheme::Http)
    );
    assert_eq!(
        both("forwarded: for=192.0.2.7;proto=https"),
        (true, Scheme::Https)
    );
}

#[test]
fn only_a_client_who_is_named_can_be_local() {
    let is_local = |fields: &[&str]| {
        let received = judge(&request("GET / 1.1", &["host: a.test"])).unwrap();
        read_from("127.0.0.1", fields, &received).is_local()
    };
    assert!(is_local(&[]));
    assert!(is_local(&["x-forwarded-for: 127.0.0.1"]));
    assert!(is_local(&["forwarded: for=\"[::ffff:127.0.0.1]\""]));
    assert!(!is_local(&["x-forwarded-for: 192.0.2.7"]));
    assert!(!is_local(&["x-forwarded-for: unknown"]));
    assert!(!is_local(&["forwarded: for=_hidden"]));
    assert!(!is_local(&["forwarded: for=unknown, for=127.0.0.1"]));
}

//! What a check asks, and what it makes of the answer.

use std::io::{BufReader, Read as _, Write as _};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::json;

use super::{QUICK, config, down, site, wait_until_all_are_up, why};
use crate::support::absent::Absent;
use crate::support::authority::{Authority, Pair};
use crate::support::backend::{Backend, ok, read_request};
use crate::support::door::{Door, Home};
use crate::support::peer::Peer;
use crate::support::{PATIENCE, eventually};

#[test]
fn a_check_says_who_asks_and_which_host_it_means() {
    let backend = Backend::http(|request| {
        if request.field("host") == Some("right.test") {
            return ok("yes");
        }
        b"HTTP/1.1 421 Misdirected Request\r\nContent-Length: 0\r\n\r\n".to_vec()
    });
    let to = format!("\"{}\"", backend.address);
    let sites = [
        site(
            "a.test",
            &to,
            &format!("{{ path = \"/up?x\", host = \"right.test\", {QUICK} }}"),
        ),
        site("b.test", &to, &format!("{{ path = \"/up?x\", {QUICK} }}")),
    ];
    let door = Door::up(&config(&sites.concat()));
    assert!(why(&door).contains("421"));
    assert_eq!(down(&door)[0]["sites"], json!(["b.test"]));
    let own = backend.address.to_string();
    for host in ["right.test", &own] {
        // The first checks are spread: one may be known to be down before the other was asked.
        let seen = eventually("a check that means the host", || {
            let mut seen = backend.seen().into_iter();
            seen.find(|seen| seen.field("host") == Some(host))
        });
        assert_eq!(seen.line(), "GET /up?x HTTP/1.1");
        assert_eq!(seen.field("user-agent"), Some("onedoor-health"));
    }
}

#[test]
fn a_target_that_hangs_is_down() {
    let tries = Arc::new(AtomicUsize::new(0));
    let counted = tries.clone();
    let hanging = Backend::raw(move |mut stream| {
        counted.fetch_add(1, Ordering::SeqCst);
        // Until the door gives up.
        let _ended = stream.read_to_end(&mut Vec::new());
    });
    let health = r#"{ path = "/up", every = "20ms", fails = 1, timeout = "100ms" }"#;
    let sites = site("a.test", &format!("\"{}\"", hanging.address), health)
        + &site("b.test", &format!("\"h2c://{}\"", hanging.address), health);
    let door = Door::up(&config(&sites));
    eventually("both down", || (down(&door).len() == 2).then_some(()));
    for down in down(&door) {
        assert_eq!(down["why"], "no answer within 100ms");
    }
    // What a check leaves behind ends with it.
    let most = door.descriptors() + 8;
    eventually("many checks", || {
        (tries.load(Ordering::SeqCst) > 24).then_some(())
    });
    assert!(door.descriptors() <= most);
}

#[test]
fn a_connection_that_opens_is_enough_for_a_tunnel() {
    let absent = Absent::new();
    let address = absent.address;
    let health = format!("{{ tcp = true, {QUICK} }}");
    let door = Door::up(&config(&format!(
        "\"a.test\" = {{ passthrough = \"{address}\", health = {health} }}"
    )));
    let why = why(&door);
    assert!(
        why.starts_with("nothing accepts connections there"),
        "{why}"
    );
    let _listener = absent.listens();
    wait_until_all_are_up(&door);
}

/// Answers every request over TLS.
fn secure(pair: &Pair) -> Backend {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![pair.certificate.clone()], pair.key())
        .unwrap();
    let config = Arc::new(config);
    Backend::raw(move |stream| {
        let connection = ServerConnection::new(config.clone()).unwrap();
        let mut stream = StreamOwned::new(connection, stream);
        let mut request = [0; 1024];
        if stream.read(&mut request).is_ok_and(|read| read > 0) {
            // The door may have what it wanted.
            let _sent = stream.write_all(&ok("yes"));
        }
    })
}

#[test]
fn a_check_trusts_whom_the_traffic_trusts() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let backend = secure(&authority.pair(&["localhost"]));
    let url = format!("https://localhost:{}", backend.address.port());
    let to = |ca: &str| format!("{{ url = \"{url}\", ca = \"{ca}\" }}");
    let sites = [
        site(
            "http.test",
            &to("ca.pem"),
            &format!("{{ path = \"/up\", {QUICK} }}"),
        ),
        site(
            "tcp.test",
            &to("ca.pem"),
            &format!("{{ tcp = true, {QUICK} }}"),
        ),
        site(
            "no.test",
            &to("stranger.pem"),
            &format!("{{ tcp = true, {QUICK} }}"),
        ),
    ];
    let home = Home::new(&config(&sites.concat()));
    home.write("ca.pem", &authority.root_pem());
    home.write("stranger.pem", &stranger.root_pem());
    let door = Door::up_in(home, &["up"]);
    let why = why(&door);
    assert!(why.contains("TLS handshake"), "{why}");
    assert_eq!(down(&door)[0]["sites"], json!(["no.test"]));
}

#[test]
fn a_grpc_server_says_how_its_services_are() {
    let (mut server, address) = Peer::listen("grpc_health_server.py", &[]);
    let to = format!("\"h2c://{address}\"");
    let sites = [
        site("all.test", &to, &format!("{{ grpc = true, {QUICK} }}")),
        site(
            "shop.test",
            &to,
            &format!("{{ grpc = \"shop.Cart\", {QUICK} }}"),
        ),
    ];
    let door = Door::up(&config(&sites.concat()));
    let unknown = why(&door);
    assert!(unknown.contains("does not know the service"), "{unknown}");
    server.order(&json!(["shop.Cart", "NOT_SERVING"]));
    eventually("the word of the service", || {
        let down = down(&door).pop()?;
        (down["why"] == "says that `shop.Cart` is NOT_SERVING").then_some(())
    });
    assert_eq!(down(&door)[0]["check"], "gRPC shop.Cart");
    server.order(&json!(["shop.Cart", "SERVING"]));
    wait_until_all_are_up(&door);
    server.order(&json!(["", "NOT_SERVING"]));
    assert_eq!(why(&door), "says that it is NOT_SERVING");
}

#[test]
fn a_check_begins_with_the_proxy_header_of_nobody() {
    let (seen, told) = channel();
    let seen = Mutex::new(seen);
    let backend = Backend::raw(move |mut stream| {
        let mut octets = vec![0; 1024];
        let read = stream.read(&mut octets).unwrap_or(0);
        octets.truncate(read);
        // The test may have seen enough.
        let _ended = seen.lock().unwrap().send(octets);
        let _gone = stream.write_all(&ok("yes"));
    });
    let to = format!("\"{}\"", backend.address);
    for (version, expected) in [
        (1, &b"PROXY UNKNOWN\r\n"[..]),
        (2, b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"),
    ] {
        let door = Door::up(&config(&format!(
            "\"a.test\" = {{ to = {to}, proxy_protocol = {version}, health = {{ path = \"/up\", {QUICK} }} }}"
        )));
        // One of the door before may be there still.
        while !told.recv_timeout(PATIENCE).unwrap().starts_with(expected) {}
        assert!(down(&door).is_empty());
    }
}

/// As the probers have it.
const CHECKS_EACH: usize = 10;

/// Answers so many requests on each connection, and then closes it without a word; says how many connections and requests there were.
fn closing(after: usize) -> (Backend, Arc<[AtomicUsize; 2]>) {
    let counts = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
    let counted = counts.clone();
    let backend = Backend::raw(move |stream| {
        counted[0].fetch_add(1, Ordering::SeqCst);
        let mut reader = BufReader::new(stream);
        for _request in 0..after {
            if read_request(&mut reader).is_none() {
                break;
            }
            counted[1].fetch_add(1, Ordering::SeqCst);
            if reader.get_mut().write_all(&ok("yes")).is_err() {
                break;
            }
        }
    });
    (backend, counts)
}

#[test]
fn a_connection_serves_some_checks_but_not_all() {
    let (backend, counts) = closing(usize::MAX);
    let health = format!("{{ path = \"/up\", {QUICK} }}");
    let to = format!("\"{}\"", backend.address);
    let door = Door::up(&config(&site("a.test", &to, &health)));
    let count = |which: usize| counts[which].load(Ordering::SeqCst);
    eventually("many checks", || (count(1) > 40).then_some(()));
    // They go on: more connections than this were enough for would have served fewer checks each, and fewer connections more.
    let (least, connections, most) = (count(1), count(0), count(1) + CHECKS_EACH);
    let enough = |checks: usize| checks.div_ceil(CHECKS_EACH);
    assert!(
        (enough(least)..=enough(most) + 2).contains(&connections),
        "{counts:?}"
    );
    assert!(down(&door).is_empty());
}

#[test]
fn a_kept_connection_that_was_closed_fails_no_check() {
    let (backend, counts) = closing(2);
    let health = format!("{{ path = \"/up\", {QUICK} }}");
    let to = format!("\"{}\"", backend.address);
    let door = Door::up(&config(&site("a.test", &to, &health)));
    eventually("many checks", || {
        (counts[1].load(Ordering::SeqCst) > 40).then_some(())
    });
    assert!(!door.said().contains("the target is down"), "{counts:?}");
}

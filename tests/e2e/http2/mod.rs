//! HTTP/2 at the door, and its translation to what upstreams speak.

mod ends;
mod flow;

use std::io::BufReader;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::support::backend::{Backend, read_request};
use crate::support::client::curl;
use crate::support::door::{Door, Home};
use crate::support::peer::{End, Ending, Peer, field, fields, head};
use crate::support::wire::Wire;
use crate::support::{PATIENCE, eventually};

fn door(to: &str) -> Door {
    Door::serving("workers = 1", &format!("\"a.test\" = {to}"))
}

fn door_to(backend: &Backend) -> Door {
    door(&format!("\"{}\"", backend.address))
}

/// A door in front of an HTTP/2 upstream under remote control.
fn door_to_h2c(arguments: &[&str]) -> (Door, Peer) {
    let (upstream, address) = Peer::h2_upstream(arguments);
    (door(&format!("\"h2c://{address}\"")), upstream)
}

/// The stream of the next request at a remote-controlled upstream.
fn next_request(upstream: &mut Peer) -> (u32, Vec<(String, String)>) {
    let request = upstream.wait("request");
    let stream = request["stream"].as_u64().unwrap();
    (u32::try_from(stream).unwrap(), fields(&request))
}

#[test]
fn curl_and_nghttp_get_answers_of_an_http11_upstream() {
    let backend = Backend::saying("hello");
    let door = door_to(&backend);
    let options = ["--http2", "-w", " %{http_version}"];
    let (code, text) = curl(&door, "a.test", "/p?q=%2f", &options);
    assert_eq!((code, text.as_str()), (0, "hello 2"));
    let seen = backend.only();
    assert_eq!(seen.line(), "GET /p?q=%2f HTTP/1.1");
    let port = door.tls().port();
    assert_eq!(seen.all("host"), [format!("a.test:{port}")]);
    assert_eq!(seen.field("via"), Some("2 onedoor"));

    let output = Command::new("nghttp")
        .args(["--no-verify-peer", "--header=:authority: a.test"])
        .arg(format!("https://{}/", door.tls()))
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "hello");
}

#[test]
fn many_streams_of_one_connection_are_all_answered() {
    let backend = Backend::saying("hello");
    let door = door_to(&backend);
    let output = Command::new("h2load")
        .args(["-n", "2000", "-c", "2", "-m", "100"])
        .arg(format!("--connect-to={}", door.tls()))
        .arg(format!("https://a.test:{}/", door.tls().port()))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains(" 2000 2xx"), "{text}");
}

#[test]
fn heads_become_heads_of_http11_and_back() {
    let backend = Backend::http(|_request| {
        b"HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5\r\nProxy-Connection: x\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\n\
          X-Kept: 2\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 2\r\n\r\nok"
            .to_vec()
    });
    let door = door_to(&backend);
    let mut client = Peer::h2_client(&door, "a.test", &[]);
    let mut request = head("POST", "A.test", "/p");
    request.extend([
        ("cookie", "a=1"),
        ("x-first", "1"),
        ("cookie", "b=2; c=3"),
        ("te", "trailers"),
        ("cookie", "d=4"),
    ]);
    client.headers(1, &request, End::No);
    client.data(1, "body", End::Yes);
    let answer = client.answer(1);
    assert_eq!((answer.status(), answer.body.as_str()), ("200", "ok"));
    assert_eq!(answer.end, Ending::Complete);
    let seen = backend.only();
    assert_eq!(seen.all("cookie"), ["a=1; b=2; c=3; d=4"]);
    assert_eq!(seen.all("host"), ["A.test"]);
    assert_eq!(seen.all("x-first"), ["1"]);
    assert_eq!(seen.field("transfer-encoding"), Some("chunked"));
    assert_eq!(seen.body, b"body");
    for gone in ["keep-alive", "proxy-connection", "connection", "x-hop"] {
        assert_eq!(field(&answer.head, gone), None, "{gone}");
    }
    assert_eq!(field(&answer.head, "x-kept"), Some("2"));
    let cookies = answer.head.iter().filter(|(name, _)| name == "set-cookie");
    assert_eq!(cookies.count(), 2);
}

#[test]
fn trailers_pass_both_ways_between_http2_and_http2() {
    let (door, mut upstream) = door_to_h2c(&[]);
    let mut client = Peer::h2_client(&door, "a.test", &[]);
    let mut request = head("POST", "a.test", "/");
    request.push(("te", "trailers"));
    client.headers(1, &request, End::No);
    client.data(1, "up", End::No);
    client.headers(1, &[("x-sum", "17")], End::Yes);
    let (stream, received) = next_request(&mut upstream);
    assert_eq!(field(&received, ":authority"), Some("a.test"));
    assert_eq!(field(&received, "host"), None);
    assert_eq!(field(&received, "te"), Some("trailers"));
    let trailers = upstream.wait_on(stream, "trailers");
    assert_eq!(fields(&trailers), [("x-sum".to_owned(), "17".to_owned())]);
    upstream.headers(stream, &[(":status", "200")], End::No);
    upstream.data(stream, "down", End::No);
    upstream.headers(stream, &[("x-sum", "18"), ("x-more", "1")], End::Yes);
    let answer = client.answer(1);
    assert_eq!((answer.status(), answer.body.as_str()), ("200", "down"));
    assert_eq!(field(&answer.trailers, "x-sum"), Some("18"));
    assert_eq!(field(&answer.trailers, "x-more"), Some("1"));
}

#[test]
fn trailers_of_an_http11_upstream_reach_http2() {
    let backend = Backend::http(|_request| {
        b"HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\nX-Sum: 17\r\n\r\n".to_vec()
    });
    let door = door_to(&backend);
    let mut client = Peer::h2_client(&door, "a.test", &[]);
    let mut request = head("GET", "a.test", "/");
    request.push(("te", "trailers"));
    client.headers(1, &request, End::Yes);
    let answer = client.answer(1);
    assert_eq!(answer.body, "body");
    assert_eq!(field(&answer.trailers, "x-sum"), Some("17"));
}

#[test]
fn an_upstream_that_offers_http2_in_tls_is_spoken_to_in_http2() {
    let home = Home::new("");
    let pair = pair(&home, "up", &["localhost"]);
    let (mut upstream, address) = Peer::h2_upstream(&["--cert", &pair.cert, "--key", &pair.key]);
    home.write(
        "proxy.toml",
        &format!(
            r#"
            listen = ["127.0.0.1:0"]
            http = ["127.0.0.1:0"]
            workers = 1
            [sites]
            "a.test" = {{ to = {{ url = "https://127.0.0.1:{}", sni = "localhost", ca = "up.pem" }}, host = "preserve" }}
            "#,
            address.port()
        ),
    );
    let door = Door::up_in(home, &["up"]);
    for stream in [1, 3] {
        // Requests of HTTP/1.1 and of HTTP/2 share the upstream connection.
        let mut client = Peer::h2_client(&door, "a.test", &[]);
        client.get(1, "a.test", "/x");
        let (at, received) = next_request(&mut upstream);
        assert_eq!(at, stream);
        assert_eq!(field(&received, ":authority"), Some("a.test"));
        assert_eq!(field(&received, ":scheme"), Some("https"));
        upstream.headers(at, &[(":status", "204")], End::Yes);
        assert_eq!(client.answer(1).status(), "204");
    }
}

#[test]
fn a_host_that_differs_from_the_authority_is_refused() {
    let backend = Backend::saying("never");
    let door = door_to(&backend);
    let mut client = Peer::h2_client(&door, "a.test", &[]);
    let hosts: [&[(&str, &str)]; 3] = [
        &[("host", "b.test")],
        &[("host", "a.test"), ("host", "a.test")],
        &[("host", "user@a.test")],
    ];
    for (turn, hosts) in hosts.into_iter().enumerate() {
        let stream = 2 * u32::try_from(turn).unwrap() + 1;
        let mut request = head("GET", "a.test", "/");
        request.extend(hosts);
        client.headers(stream, &request, End::Yes);
        assert_eq!(client.answer(stream).status(), "400", "{hosts:?}");
    }
    let none: Vec<_> = head("GET", "", "/")
        .into_iter()
        .filter(|(name, _)| *name != ":authority")
        .collect();
    client.headers(7, &none, End::Yes);
    assert_eq!(client.answer(7).status(), "400");
    assert_eq!(backend.seen().len(), 0);
    client.get(9, "a.test", "/");
    assert_eq!(client.answer(9).status(), "200");
}

#[test]
fn a_length_that_the_body_does_not_have_is_a_stream_error() {
    let (ended, cut) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let (whole, broken) = (ended.clone(), cut.clone());
    let backend = Backend::raw(move |stream| {
        let mut reader = BufReader::new(stream);
        let count = match read_request(&mut reader) {
            Some(_) => &whole,
            None => &broken,
        };
        count.fetch_add(1, Ordering::Relaxed);
    });
    let door = door_to(&backend);
    for (length, body) in [("5", "four"), ("3", "four")] {
        let mut client = Peer::h2_client(&door, "a.test", &[]);
        let mut request = head("POST", "a.test", "/");
        request.push(("content-length", length));
        client.headers(1, &request, End::No);
        client.data(1, body, End::Yes);
        let answer = client.answer(1);
        let refused = matches!(answer.end, Ending::Reset(1));
        assert!(refused || answer.status() == "400", "{answer:?}");
    }
    eventually("the upstream's end", || {
        (cut.load(Ordering::Relaxed) == 2).then_some(())
    });
    assert_eq!(ended.load(Ordering::Relaxed), 0);
}

#[test]
fn another_host_on_the_same_connection_needs_the_same_certificate() {
    let (first, second, third) = (
        Backend::saying("first"),
        Backend::saying("second"),
        Backend::saying("third"),
    );
    let home = Home::new("");
    let both = pair(&home, "both", &["a.test", "b.test", "d.test"]);
    home.write(
        "proxy.toml",
        &format!(
            r#"
            listen = ["127.0.0.1:0"]
            http = ["127.0.0.1:0"]
            [sites]
            "a.test" = {{ to = "{}", cert = "both.pem", key = "both.key" }}
            "b.test" = {{ to = "{}", cert = "both.pem", key = "both.key" }}
            "c.test" = "{}"
            "d.test" = {{ to = "{}", cert = "both.pem", key = "both.key", min_tls = "1.3" }}
            "#,
            first.address, second.address, third.address, third.address
        ),
    );
    let door = Door::up_in(home, &["up"]);
    let mut client = Peer::h2_client(&door, "a.test", &["--ca", &both.cert]);
    let asked = [
        "a.test",
        "b.test",
        "B.TEST:443",
        "c.test",
        "d.test",
        "e.test",
    ];
    let mut answers = Vec::new();
    for (turn, host) in asked.into_iter().enumerate() {
        let stream = 2 * u32::try_from(turn).unwrap() + 1;
        client.get(stream, host, "/");
        let answer = client.answer(stream);
        answers.push(format!(
            "{} {}",
            answer.status(),
            answer.body.lines().next().unwrap_or("")
        ));
    }
    assert_eq!(answers[..3], ["200 first", "200 second", "200 second"]);
    assert!(
        answers[3..].iter().all(|text| text.starts_with("421 ")),
        "{answers:?}"
    );
    assert_eq!(third.seen().len(), 0);
}

struct Pair {
    cert: String,
    key: String,
}

/// A self-signed pair for these names in a home.
fn pair(home: &Home, name: &str, names: &[&str]) -> Pair {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    home.write(&format!("{name}.pem"), &made.cert.pem());
    home.write(&format!("{name}.key"), &made.signing_key.serialize_pem());
    let place = |file: String| home.path().join(file).display().to_string();
    Pair {
        cert: place(format!("{name}.pem")),
        key: place(format!("{name}.key")),
    }
}

#[test]
fn the_rest_of_a_body_is_never_a_request() {
    let (mut upstream, address) = Peer::h2_upstream(&[]);
    let door = door(&format!("\"h2c://{address}\""));
    let mut client = Wire::tls(&door, "a.test");
    client.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1000\r\n\r\nfirst");
    let (stream, _fields) = next_request(&mut upstream);
    upstream.headers(stream, &[(":status", "200")], End::Yes);
    assert_eq!(client.answer().status(), 200);
    // Nothing more of the request is wanted; what the client still sends must not be taken for another one.
    let _closed = client.try_send("GET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n");
    let asked = std::time::Instant::now();
    client.closes();
    assert!(asked.elapsed() < PATIENCE / 2);
    assert!(!upstream.so_far().iter().any(|event| {
        event["is"] == "request" && event["stream"].as_u64() > Some(stream.into())
    }));
}

//! WebSockets in streams of HTTP/2 (RFC 8441).

use std::io::{BufRead as _, Read as _, Write as _};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;

use super::{door, read_some, switch, upstream, websocket};
use crate::support::PATIENCE;
use crate::support::peer::{End, Ending, Peer, field, fields};

const EXTENDED: [(&str, &str); 6] = [
    (":method", "CONNECT"),
    (":protocol", "websocket"),
    (":scheme", "https"),
    (":authority", "a.test"),
    (":path", "/ws?q=1"),
    ("sec-websocket-version", "13"),
];

#[test]
fn a_wrong_accept_value_is_a_502() {
    let (backend, _streams) =
        upstream(|_seen| switch("websocket", "Sec-WebSocket-Accept: AAAA\r\n"));
    let door = door(&backend.address.to_string());
    let mut client = Peer::h2_client(&door, "a.test", &[]);
    client.headers(1, &EXTENDED, End::No);
    assert_eq!(client.answer(1).status(), "502");
}

#[test]
fn a_websocket_in_an_http2_stream_becomes_an_upgrade() {
    let (backend, streams) = upstream(|seen| [websocket(seen), b"early bird".to_vec()].concat());
    let door = door(&backend.address.to_string());
    let mut client = Peer::h2_client(&door, "a.test", &[]);
    let mut request = EXTENDED.to_vec();
    request.extend([
        ("sec-websocket-protocol", "chat"),
        ("origin", "https://a.test"),
    ]);
    client.headers(1, &request, End::No);
    client.data(1, "early worm", End::No);
    let answer = fields(&client.wait_on(1, "response"));
    assert_eq!(field(&answer, ":status"), Some("200"));
    for gone in ["connection", "upgrade", "sec-websocket-accept"] {
        assert_eq!(field(&answer, gone), None, "{gone}");
    }
    let (seen, mut upstream) = streams.recv_timeout(PATIENCE).unwrap();
    assert_eq!(seen.line(), "GET /ws?q=1 HTTP/1.1");
    assert_eq!(seen.all("host"), ["a.test"]);
    assert_eq!(seen.field("upgrade"), Some("websocket"));
    assert_eq!(seen.field("connection"), Some("upgrade"));
    assert_eq!(seen.field("sec-websocket-version"), Some("13"));
    assert_eq!(seen.field("sec-websocket-protocol"), Some("chat"));
    let key = seen.field("sec-websocket-key").unwrap();
    assert_eq!(BASE64_STANDARD.decode(key).unwrap().len(), 16);
    assert_eq!(read_some::<10>(&mut upstream), "early worm");
    assert_eq!(client.wait_on(1, "data")["text"], "early bird");

    // Half-close both ways, one after the other.
    client.data(1, "bye", End::Yes);
    assert_eq!(read_some::<3>(&mut upstream), "bye");
    assert_eq!(upstream.read(&mut [0]).unwrap(), 0);
    upstream.get_mut().write_all(b"farewell").unwrap();
    drop(upstream);
    let rest = client.answer(1);
    assert_eq!(
        (rest.body.as_str(), rest.end),
        ("farewell", Ending::Complete)
    );
}

#[test]
fn much_passes_through_a_websocket_in_an_http2_stream() {
    const SIZE: usize = 16 << 20;
    let (backend, streams) = upstream(websocket);
    let door = door(&backend.address.to_string());
    let mut client = Peer::h2_client(&door, "a.test", &[]);
    client.headers(1, &EXTENDED, End::No);
    client.wait_on(1, "response");
    client.order(&json!({"do": "data", "stream": 1, "zeros": SIZE, "end": true}));
    let (_, mut upstream) = streams.recv_timeout(PATIENCE).unwrap();
    let mut writer = upstream.get_ref().try_clone().unwrap();
    let echo = std::thread::spawn(move || {
        let mut total = 0;
        loop {
            let got = upstream.fill_buf().unwrap();
            if got.is_empty() {
                break;
            }
            writer.write_all(got).unwrap();
            total += got.len();
            let taken = got.len();
            upstream.consume(taken);
        }
        total
    });
    let answer = client.answer(1);
    assert_eq!((answer.length, answer.end), (SIZE as u64, Ending::Complete));
    assert_eq!(echo.join().unwrap(), SIZE);
}

#[test]
fn a_reset_stream_ends_the_websocket_at_the_upstream_and_the_other_way() {
    let (backend, streams) = upstream(websocket);
    let door = door(&backend.address.to_string());
    let mut client = Peer::h2_client(&door, "a.test", &[]);
    client.headers(1, &EXTENDED, End::No);
    let (_, mut first) = streams.recv_timeout(PATIENCE).unwrap();
    client.wait_on(1, "response");
    client.reset(1, 8);
    assert_eq!(first.read(&mut [0]).unwrap_or(0), 0);

    client.headers(3, &EXTENDED, End::No);
    let (_, second) = streams.recv_timeout(PATIENCE).unwrap();
    client.wait_on(3, "response");
    drop(second);
    assert_eq!(client.answer(3).end, Ending::Complete);
    client.data(3, "", End::Yes);
    // Ordinary requests go on beside and after.
    client.get(5, "a.test", "/ws");
    assert_eq!(client.answer(5).body, "plain");
}

#[test]
fn an_http2_upstream_gets_the_extended_connect_as_it_is() {
    let (mut upstream, address) = Peer::h2_upstream(&["--connect-protocol"]);
    let door = door(&format!("h2c://{address}"));
    let mut client = Peer::h2_client(&door, "a.test", &[]);
    client.headers(1, &EXTENDED, End::No);
    client.data(1, "early worm", End::No);
    let asked = fields(&upstream.wait_on(1, "request"));
    assert_eq!(field(&asked, ":protocol"), Some("websocket"));
    assert_eq!(field(&asked, ":path"), Some("/ws?q=1"));
    assert_eq!(field(&asked, "sec-websocket-key"), None);
    upstream.headers(1, &[(":status", "200")], End::No);
    client.wait_on(1, "response");
    assert_eq!(upstream.wait_on(1, "data")["text"], "early worm");
    upstream.data(1, "early bird", End::Yes);
    let answer = client.answer(1);
    assert_eq!(
        (answer.body.as_str(), answer.end),
        ("early bird", Ending::Complete)
    );
    client.data(1, "", End::Yes);
    upstream.wait_on(1, "ended");
}

#[test]
fn other_protocols_than_websocket_are_refused_in_http2() {
    let (backend, _streams) = upstream(websocket);
    let door = door(&backend.address.to_string());
    let mut client = Peer::h2_client(&door, "a.test", &[]);
    let mut other = EXTENDED;
    other[1] = (":protocol", "connect-udp");
    client.headers(1, &other, End::No);
    let status = client.answer(1).status().to_owned();
    assert!(["400", "501", "502"].contains(&status.as_str()), "{status}");
    client.headers(
        3,
        &[(":method", "CONNECT"), (":authority", "a.test:443")],
        End::No,
    );
    assert_eq!(client.answer(3).status(), "405");
}

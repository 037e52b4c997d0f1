//! HTTP/2 connections to upstreams: as few as carry the requests, but none that waits where it need not.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::support::door::Door;
use crate::support::eventually;
use crate::support::peer::{Peer, field, fields};
use crate::support::wire::Wire;

const GET: &str = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";

fn door(to: SocketAddr) -> Door {
    let site = format!("\"a.test\" = {{ to = \"h2c://{to}\", tls = \"off\" }}");
    Door::serving("workers = 1", &site)
}

fn asking(door: &Door) -> Wire {
    let mut wire = Wire::plain(door);
    wire.send(GET);
    wire
}

fn answer(upstream: &mut Peer, request: &Value) {
    upstream.order(&json!({
        "do": "headers",
        "connection": request["connection"],
        "stream": request["stream"],
        "fields": [[":status", "204"]],
        "end": true,
    }));
}

/// That many requests, and how many connections they came on.
#[track_caller]
fn requests(upstream: &mut Peer, count: usize) -> (Vec<Value>, usize) {
    let requests: Vec<Value> = (0..count).map(|_| upstream.wait("request")).collect();
    let connections: BTreeSet<u64> = requests
        .iter()
        .filter_map(|request| request["connection"].as_u64())
        .collect();
    (requests, connections.len())
}

#[test]
fn requests_beyond_a_connections_limit_open_others() {
    let (mut upstream, address) = Peer::h2_upstream(&["--streams", "10"]);
    let door = door(address);
    let mut wires: Vec<Wire> = (0..70).map(|_| asking(&door)).collect();
    // All of them arrive before one is answered.
    let (arrived, connections) = requests(&mut upstream, 70);
    // An upstream that is slow to say its limit may have been asked for one more; of eight there are never more.
    assert!((7..=8).contains(&connections), "{connections}");
    for request in &arrived {
        answer(&mut upstream, request);
    }
    for wire in &mut wires {
        assert_eq!(wire.answer().status(), 204);
    }
}

#[test]
fn there_are_only_so_many_connections_and_the_rest_waits_for_its_turn() {
    let (mut upstream, address) = Peer::h2_upstream(&["--streams", "2"]);
    let door = door(address);
    let mut wires: Vec<Wire> = (0..40).map(|_| asking(&door)).collect();
    let mut connections = BTreeSet::new();
    for _ in 0..40 {
        let request = upstream.wait("request");
        connections.insert(request["connection"].as_u64());
        answer(&mut upstream, &request);
    }
    for wire in &mut wires {
        assert_eq!(wire.answer().status(), 204);
    }
    assert!(connections.len() <= 8, "{connections:?}");
}

#[test]
fn one_connection_is_enough_for_many() {
    let (mut upstream, address) = Peer::h2_upstream(&[]);
    let door = door(address);
    // What the upstream allows is known once something was answered.
    let mut first = asking(&door);
    let request = upstream.wait("request");
    answer(&mut upstream, &request);
    assert_eq!(first.answer().status(), 204);
    // One that says nothing for two seconds is taken for silent: they are all asked at once.
    let mut wires: Vec<Wire> = (0..100).map(|_| Wire::plain(&door)).collect();
    wires.iter_mut().for_each(|wire| wire.send(GET));
    let (arrived, connections) = requests(&mut upstream, 100);
    assert_eq!(connections, 1);
    for request in &arrived {
        answer(&mut upstream, request);
    }
    for wire in &mut wires {
        assert_eq!(wire.answer().status(), 204);
    }
}

#[test]
fn after_a_goaway_new_requests_go_elsewhere_and_old_ones_end() {
    let (mut upstream, address) = Peer::h2_upstream(&[]);
    let door = door(address);
    let mut first = asking(&door);
    let old = upstream.wait("request");
    let last = old["stream"].clone();
    upstream.order(&json!({"do": "goaway", "connection": old["connection"], "last": last}));
    // Whenever the GOAWAY is seen: a request that it does not cover is sent again.
    let mut second = asking(&door);
    let new = upstream.wait_for("a request on another connection", |event| {
        event["is"] == "request" && event["connection"] != old["connection"]
    });
    answer(&mut upstream, &new);
    assert_eq!(second.answer().status(), 204);
    answer(&mut upstream, &old);
    assert_eq!(first.answer().status(), 204);
}

#[test]
fn a_connection_that_fell_silent_does_not_hold_new_requests() {
    let (mut upstream, address) = Peer::h2_upstream(&[]);
    let door = door(address);
    let _hung = asking(&door);
    let old = upstream.wait("request");
    let elsewhere =
        |event: &&Value| event["is"] == "request" && event["connection"] != old["connection"];
    // As long as it may only be slow, requests share it; not much longer.
    let mut held = Vec::new();
    let new = eventually("another connection", || {
        let mut wire = Wire::plain(&door);
        wire.send(format!(
            "GET /{} HTTP/1.1\r\nHost: a.test\r\n\r\n",
            held.len()
        ));
        held.push(wire);
        upstream.so_far().iter().find(elsewhere).cloned()
    });
    answer(&mut upstream, &new);
    let fields = fields(&new);
    let path = field(&fields, ":path").unwrap();
    let which: usize = path.trim_start_matches('/').parse().unwrap();
    assert_eq!(held[which].answer().status(), 204);
}

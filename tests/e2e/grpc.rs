//! gRPC of all four kinds, from TLS to an upstream in clear HTTP/2.

use std::time::Instant;

use serde_json::{Value, json};

use crate::support::PATIENCE;
use crate::support::door::Door;
use crate::support::peer::{Peer, run, way_to};

/// A gRPC server, and a door in front of it.
fn served() -> (Peer, Door) {
    let (server, address) = Peer::listen("grpc_server.py", &[]);
    let site = format!("\"grpc.test\" = \"h2c://{address}\"");
    let door = Door::serving("workers = 1", &site);
    (server, door)
}

fn call(door: &Door, scenario: &str) -> Value {
    client(door, scenario, run)
}

fn calling(door: &Door, scenario: &str) -> Peer {
    client(door, scenario, Peer::start)
}

fn client<T>(door: &Door, scenario: &str, begin: fn(&str, &[&str]) -> T) -> T {
    let [port, ca] = way_to(door);
    let way = ["--port", &port, "--ca", &ca, "--name", "grpc.test"];
    begin("grpc_client.py", &[&[scenario], way.as_slice()].concat())
}

#[test]
fn unary_calls_keep_messages_and_metadata() {
    let (_server, door) = served();
    assert_eq!(
        call(&door, "unary"),
        json!({"lengths": [0, 1, 16384, 65536, 8 << 20], "head": "a,b", "binary": true})
    );
}

#[test]
fn a_failure_keeps_its_status_message_and_trailers() {
    let (_server, door) = served();
    assert_eq!(
        call(&door, "failing"),
        json!({
            "code": "FAILED_PRECONDITION", "message": "größer als ∞ 100% \n✓", "binary": true,
            "unknown": "UNIMPLEMENTED"
        })
    );
}

#[test]
fn streams_of_all_kinds_are_carried() {
    let (_server, door) = served();
    assert_eq!(
        call(&door, "streams"),
        json!({"down": [1000, 104_000], "large": 16 * ((1 << 20) + 4), "up": [1000, 1_000_000], "empty": [0, 0]})
    );
    assert_eq!(call(&door, "ping_pong"), json!({"answers": 200, "rest": 0}));
}

#[test]
fn streamed_messages_arrive_one_by_one() {
    let (mut server, door) = served();
    let mut client = calling(&door, "arrivals");
    for number in 0..5 {
        // The server sends the next message only now, so that this one cannot have waited for it.
        server.order(&json!("go"));
        assert_eq!(client.wait("message")["number"], number);
    }
    client.wait("end");
}

#[test]
fn a_deadline_is_passed_on_and_kept() {
    let (mut server, door) = served();
    assert_eq!(
        call(&door, "deadline"),
        json!({"code": "DEADLINE_EXCEEDED"})
    );
    let begun = server.wait_for("the call", |event| event["call"] == "begun");
    // It is told in coarser units than it was given.
    assert!(begun["left"].as_f64().unwrap() < 4.0, "{begun}");
    server.wait_for("the end", |event| event["call"] == "ended");
}

#[test]
fn a_cancelled_call_ends_at_the_server() {
    let (mut server, door) = served();
    let mut client = calling(&door, "cancel");
    server.wait_for("the call", |event| event["call"] == "begun");
    let started = Instant::now();
    client.order(&json!("cancel"));
    server.wait_for("the end", |event| event["call"] == "ended");
    // Long before the deadline of the call itself.
    assert!(started.elapsed() < PATIENCE / 2, "{:?}", started.elapsed());
    client.wait_for("the outcome", |event| event["cancelled"] == true);
}

#[test]
fn two_thousand_cancelled_calls_do_not_end_the_upstream_connection() {
    let (_server, door) = served();
    let outcome = call(&door, "cancels");
    let peers = outcome["peers"].as_array().unwrap();
    assert_eq!(peers[0], peers[1]);
}

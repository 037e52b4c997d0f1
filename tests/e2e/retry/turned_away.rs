//! A line that is full: who comes then is turned away at once, and nobody else is.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use super::seats::Held;
use super::{door_to, request};
use crate::support::client::plain;
use crate::support::eventually;

/// As `upstream::seats` has it.
const WAITING_MAX: usize = 1024;
const BEYOND: usize = 20;

#[test]
fn beyond_a_full_line_a_request_is_refused_at_once() {
    let held = Held::new();
    let door = door_to(
        &format!("\"{}\"", held.backend.address),
        "max_conns = 1, timeout = { connect = \"10m\" }",
    );
    let first = asking(&door.plain());
    let asked = held.next();
    let mut others: Vec<TcpStream> = (0..WAITING_MAX + BEYOND)
        .map(|_| asking(&door.plain()))
        .collect();
    let mut refused = 0;
    eventually("so many refusals", || {
        others.retain(|stream| {
            let is_refused = has_answer(stream);
            if is_refused {
                assert!(answer(stream).starts_with("HTTP/1.1 503"));
                refused += 1;
            }
            !is_refused
        });
        (refused >= BEYOND).then_some(())
    });
    asked.answer();
    assert!(answer(&first).starts_with("HTTP/1.1 200"));
    for _waiting in 0..WAITING_MAX {
        held.next().answer();
    }
    for stream in &others {
        assert!(answer(stream).starts_with("HTTP/1.1 200"));
    }
    assert_eq!((refused, others.len()), (BEYOND, WAITING_MAX));
}

fn asking(address: &std::net::SocketAddr) -> TcpStream {
    let mut stream = plain(*address);
    stream.write_all(request("GET", "/").as_bytes()).unwrap();
    stream
}

fn has_answer(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let has_answer = stream.peek(&mut [0]).is_ok();
    stream.set_nonblocking(false).unwrap();
    has_answer
}

/// The beginning of an answer.
fn answer(mut stream: &TcpStream) -> String {
    let mut space = [0; 64];
    let octets = stream.read(&mut space).unwrap();
    String::from_utf8_lossy(&space[..octets]).into_owned()
}

//! What is sent again, and what never is; how many exchanges there are at once.

mod answers;
mod bodies;
mod positions;
mod seats;
mod turned_away;

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use socket2::SockRef;

use crate::support::backend::Backend;
use crate::support::door::Door;
use crate::support::wire::Wire;

/// `a.test` in clear text on one worker: to the first target, and only if that cannot be asked to the second.
fn door(first: SocketAddr, second: SocketAddr, rest: &str) -> Door {
    let to = format!("[{{ url = \"{first}\" }}, {{ url = \"{second}\", backup = true }}]");
    door_to(&to, &format!("eject = {{ fails = 100000 }}, {rest}"))
}

/// The same to any targets.
fn door_to(to: &str, rest: &str) -> Door {
    let site = format!("\"a.test\" = {{ to = {to}, tls = \"off\", {rest} }}");
    Door::serving("workers = 1", &site)
}

/// A request of this method; all but GET have a body.
fn request(method: &str, path: &str) -> String {
    match method {
        "GET" => format!("GET {path} HTTP/1.1\r\nHost: a.test\r\n\r\n"),
        _ => {
            format!("{method} {path} HTTP/1.1\r\nHost: a.test\r\nContent-Length: 4\r\n\r\nbody")
        }
    }
}

/// Status and text of the answer on a connection of its own.
fn ask(door: &Door, request: &str) -> (u16, String) {
    let answer = Wire::plain(door).ask(request);
    (answer.status(), answer.text())
}

/// Ends a connection with a reset.
fn reset(stream: TcpStream) {
    SockRef::from(&stream)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
    drop(stream);
}

/// A whole answer after which the connection ends.
fn last(status: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}")
        .into_bytes()
}

/// Always answers with this.
fn always(status: &'static str, body: &'static str) -> Backend {
    Backend::http(move |_request| last(status, body))
}

//! `compress`: answers that are smaller on the way.

mod codings;
mod heads;
mod streams;

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::support::backend::Backend;
use crate::support::door::Door;

/// A text of a few words, at least this long.
fn text(octets: usize) -> String {
    let mut text = String::new();
    let mut number = 0_u32;
    while text.len() < octets {
        number = number.wrapping_mul(48_271).wrapping_add(11);
        let _written = writeln!(text, "<li class=\"item\">word {}</li>", number >> 20);
    }
    text
}

/// A whole answer with these fields.
fn answer(fields: &[&str], body: &str) -> Vec<u8> {
    let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: {length}\r\n\r\n{body}").into_bytes()
}

/// `a.test` over TLS and `b.test` in clear text, both with `compress = true`, with JSON in the access log.
fn compressing(backend: &Backend) -> Door {
    let to = backend.address;
    Door::serving(
        "[log]\naccess = \"access.log\"\nformat = \"json\"\n[defaults]\ncompress = true",
        &format!("\"a.test\" = \"{to}\"\n\"b.test\" = {{ to = \"{to}\", tls = \"off\" }}"),
    )
}

/// What the reference tool makes of a stream.
#[track_caller]
fn decoded(coding: &str, octets: &[u8]) -> String {
    let tool = match coding {
        "gzip" => "gzip",
        "br" => "brotli",
        "zstd" => "zstd",
        other => panic!("{other}"),
    };
    let started = Command::new(tool)
        .args(["-d", "-c"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut decoder =
        started.unwrap_or_else(|error| panic!("{tool}: {error}; tests/run installs it"));
    let mut input = decoder.stdin.take().unwrap();
    let owned = octets.to_vec();
    let writer = std::thread::spawn(move || input.write_all(&owned));
    let output = decoder.wait_with_output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{tool}: {words}");
    writer.join().unwrap().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

//! Much of everything: large bodies in flat memory, many connections that leave nothing behind, many that only wait.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::support::backend::Backend;
use crate::support::client::{Tls, curl, read_all, roots, try_tls};
use crate::support::door::Door;
use crate::support::{eventually, settled};

/// What a body of any size may cost.
const MEMORY_MAX: u64 = 64 << 20;
const OPENED: usize = 10_000;
const PARKED: usize = 2000;
/// What one waiting connection may cost, with all that its system calls and sessions left in the allocator.
const PARKED_MEMORY_MAX: u64 = 48 << 10;
const THREADS: usize = 4;

fn door_to(backend: &Backend) -> Door {
    let more = getrlimit(Resource::Nofile).maximum;
    let limit = Rlimit {
        current: more,
        maximum: more,
    };
    setrlimit(Resource::Nofile, limit).unwrap();
    let site = format!("\"a.test\" = \"{}\"", backend.address);
    Door::serving("workers = 2\n[log]\naccess = false", &site)
}

/// Swallows uploads and says their length; to a GET of `/N`, gives N octets.
fn bottomless() -> Backend {
    Backend::raw(|stream| {
        let mut reader = BufReader::with_capacity(1 << 18, stream.try_clone().unwrap());
        let mut writer = stream;
        while let Some(asked) = Asked::read(&mut reader) {
            let swallowed = swallow(&mut reader, asked.length);
            let answered = if swallowed == 0 {
                pour(&mut writer, asked.size)
            } else {
                let text = swallowed.to_string();
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", text.len());
                writer.write_all((head + &text).as_bytes())
            };
            if answered.is_err() {
                return;
            }
        }
    })
}

struct Asked {
    size: u64,
    length: u64,
}

impl Asked {
    fn read(reader: &mut BufReader<TcpStream>) -> Option<Self> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if line == "\r\n" {
                break;
            }
            lines.push(line.to_ascii_lowercase());
        }
        let number = |text: &str| text.trim().parse().unwrap_or(0);
        let path = lines[0].split(' ').nth(1)?;
        let length = lines
            .iter()
            .find_map(|line| line.strip_prefix("content-length:"));
        Some(Self {
            size: number(&path[1..]),
            length: length.map_or(0, number),
        })
    }
}

fn swallow(reader: &mut impl std::io::BufRead, length: u64) -> u64 {
    let mut left = length;
    while left > 0 {
        let got = reader.fill_buf().map_or(0, <[u8]>::len).min(left as usize);
        if got == 0 {
            break;
        }
        reader.consume(got);
        left -= got as u64;
    }
    length - left
}

fn pour(writer: &mut TcpStream, size: u64) -> std::io::Result<()> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n");
    writer.write_all(head.as_bytes())?;
    std::io::copy(&mut std::io::repeat(0).take(size), writer)?;
    Ok(())
}

#[track_caller]
fn carry(what: &str, size: u64, options: &[&str]) {
    let backend = bottomless();
    let door = door_to(&backend);
    let before = door.resident();
    let upload = door.home().path().join("zeros");
    File::create(&upload).unwrap().set_len(size).unwrap();
    let started = Instant::now();
    let upload = upload.display().to_string();
    let mut all = vec!["--max-time", "300", "--fail"];
    let expected = if what == "upload" {
        all.extend(["-T", &upload]);
        size.to_string()
    } else {
        all.extend(["-o", "/dev/null", "-w", "%{size_download}"]);
        size.to_string()
    };
    all.extend(options);
    let path = if what == "upload" {
        "/".to_owned()
    } else {
        format!("/{size}")
    };
    let (code, text) = curl(&door, "a.test", &path, &all);
    assert_eq!((code, text), (0, expected));
    let grown = door.resident_at_most().saturating_sub(before);
    println!(
        "{what} of {} MiB {options:?}: {:?}, {} KiB more memory, {:?} of work",
        size >> 20,
        started.elapsed(),
        grown >> 10,
        door.worked()
    );
    assert!(grown < MEMORY_MAX, "{grown}");
}

#[test]
fn a_large_download_over_http11_is_flat_in_memory() {
    carry("download", 1 << 30, &["--http1.1"]);
}

#[test]
fn a_large_upload_over_http11_is_flat_in_memory() {
    carry("upload", 1 << 30, &["--http1.1"]);
}

#[test]
fn a_large_download_over_http2_is_flat_in_memory() {
    carry("download", 1 << 30, &["--http2"]);
}

#[test]
fn a_large_upload_over_http2_is_flat_in_memory() {
    carry("upload", 1 << 30, &["--http2"]);
}

/// Opens connections on a few threads and gives each to `serve`.
fn open_many<T: Send + 'static>(door: &Door, count: usize, serve: fn(Tls) -> T) -> Vec<T> {
    let (address, roots) = (door.tls(), roots(door));
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            let roots = Arc::clone(&roots);
            thread::spawn(move || {
                let open = |_| serve(try_tls(address, &roots, "a.test", &["http/1.1"]).unwrap());
                (0..count / THREADS).map(open).collect::<Vec<_>>()
            })
        })
        .collect();
    threads
        .into_iter()
        .flat_map(|thread| thread.join().unwrap())
        .collect()
}

#[test]
fn ten_thousand_connections_leave_no_descriptor_behind() {
    let backend = Backend::saying("fine");
    let door = door_to(&backend);
    open_many(&door, THREADS * 10, last_request);
    let before = settled(|| door.descriptors() as u64);
    let started = Instant::now();
    let answers = open_many(&door, OPENED, last_request);
    println!(
        "{OPENED} connections: {:?}, {:?} of work",
        started.elapsed(),
        door.worked()
    );
    assert_eq!(answers.len(), OPENED);
    assert!(answers.iter().all(|answer| answer.ends_with("fine")));
    // Each worker may keep as many upstream connections as there were clients at a time.
    let kept = 2 * THREADS as u64;
    eventually("the end of all connections", || {
        (door.descriptors() as u64 <= before + kept).then_some(())
    });
}

fn last_request(mut client: Tls) -> String {
    let request = b"GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n";
    client.write_all(request).unwrap();
    read_all(&mut client)
}

#[test]
fn two_thousand_waiting_connections_all_serve_again() {
    let backend = Backend::saying("fine");
    let door = door_to(&backend);
    open_many(&door, THREADS, last_request);
    let before = door.resident();
    let mut waiting = open_many(&door, PARKED, |mut client| {
        assert_eq!(request(&mut client), "fine");
        client
    });
    let each = || door.resident().saturating_sub(before) / PARKED as u64;
    eventually("memory given back", || {
        (each() < PARKED_MEMORY_MAX).then_some(())
    });
    println!("{PARKED} waiting connections: {} octets each", each());
    for client in &mut waiting {
        assert_eq!(request(client), "fine");
    }
}

fn request(client: &mut Tls) -> String {
    client
        .write_all(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
        .unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\nfine") {
        let mut space = [0; 1024];
        let read = client.read(&mut space).unwrap();
        assert_ne!(read, 0, "{}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&space[..read]);
    }
    "fine".to_owned()
}

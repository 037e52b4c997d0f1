//! From the start to the end of a process: the local CA it keeps, how it stops, and how it lives with few descriptors.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::answer::{get_on, read_answer, send_get};
use crate::support::backend::{Backend, ok, read_request};
use crate::support::client::{Tls, get, plain, read_all, roots, tls, try_tls};
use crate::support::door::{Door, Home};
use crate::support::eventually;

/// GOAWAY, HEADERS, and the flag that ends headers (RFC 9113 section 6).
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const DATA: u8 = 0;

#[test]
fn the_local_ca_is_made_once_and_kept() {
    let backend = Backend::saying("served");
    let config = config(&backend, "");
    let door = Door::up(&config);
    assert_eq!(get(&door, "a.test", "/"), "served");
    let root = fs::read_to_string(door.ca()).unwrap();
    let mode = |place: &str| {
        let found = fs::metadata(door.home().path().join(place)).unwrap();
        found.permissions().mode() & 0o777
    };
    assert_eq!(mode("storage"), 0o700);
    assert_eq!(mode("storage/local-ca"), 0o700);
    assert_eq!(mode("storage/local-ca/authority.json"), 0o600);
    let door = Door::up_in(door.leave(), &["up"]);
    assert_eq!(fs::read_to_string(door.ca()).unwrap(), root);
    assert_eq!(get(&door, "a.test", "/"), "served");
}

#[test]
fn a_lost_ca_is_no_reason_for_a_new_one() {
    let backend = Backend::saying("served");
    let door = Door::up(&config(&backend, ""));
    let root = fs::read_to_string(door.ca()).unwrap();
    let home = door.leave();
    fs::remove_file(home.path().join("storage/local-ca/authority.json")).unwrap();
    for verb in ["up", "check"] {
        let (code, out, err) = home.run(&[verb]);
        assert_eq!((code, out.as_str()), (2, ""), "{err}");
        assert!(err.contains("authority.json"), "{err}");
    }
    assert_eq!(home.read("storage/local-ca/root.pem"), root);
    assert!(!home.path().join("storage/local-ca/authority.json").exists());
}

#[test]
fn a_stop_lets_an_exchange_end_and_nobody_in() {
    let slow = Slow::new();
    let mut door = Door::up(&config(&slow.backend, ""));
    let address = door.tls();
    let mut idle = tls(&door, "a.test", &[]);
    let mut busy = tls(&door, "a.test", &[]);
    send_get(&mut busy, "a.test", "/");
    slow.arrived();
    door.signal(Signal::TERM);
    eventually("a closed port", || TcpStream::connect(address).err());
    eventually("STOPPING=1", || door.told("STOPPING=1").then_some(()));
    assert_eq!(read_all(&mut idle), "", "a quiet connection is closed");
    let (code, out, _err) = door.home().run(&["health", "--json"]);
    assert_eq!(code, 1);
    assert!(out.contains("draining"), "{out}");
    slow.answer();
    let answer = read_answer(&mut busy).unwrap();
    assert_eq!(answer.body, "slow");
    assert_eq!(answer.field("connection"), Some("close"));
    assert_eq!(read_all(&mut busy), "");
    assert_eq!(door.ended().code(), Some(0));
    let said = door.said();
    assert!(said.contains("stopped"), "{said}");
    assert!(!said.contains("cut="), "{said}");
    assert!(!door.home().path().join("control/control.sock").exists());
}

#[test]
fn a_stop_tells_http2_clients_and_lets_their_streams_end() {
    let slow = Slow::new();
    let mut door = Door::up(&config(&slow.backend, ""));
    let mut stream = tls(&door, "a.test", &["h2"]);
    open_stream(&mut stream, "a.test");
    slow.arrived();
    door.signal(Signal::TERM);
    let mut seen = Vec::new();
    read_frames_until(&mut stream, &mut seen, GOAWAY);
    slow.answer();
    read_frames_until(&mut stream, &mut seen, DATA);
    assert!(seen.contains(&HEADERS), "{seen:?}");
    drop(stream);
    assert_eq!(door.ended().code(), Some(0));
}

#[test]
fn what_is_left_after_the_drain_is_cut_and_counted() {
    let slow = Slow::new();
    let mut door = Door::up(&config(&slow.backend, "drain = \"300ms\""));
    let mut streams: Vec<Tls> = (0..3).map(|_| tls(&door, "a.test", &[])).collect();
    for stream in &mut streams {
        send_get(stream, "a.test", "/");
        slow.arrived();
    }
    let asked = Instant::now();
    door.signal(Signal::TERM);
    assert_eq!(door.ended().code(), Some(0));
    assert!(asked.elapsed() >= Duration::from_millis(300));
    for stream in &mut streams {
        assert!(read_answer(stream).is_err());
    }
    let said = door.said();
    assert!(said.contains("cut=3"), "{said}");
}

#[test]
fn a_second_signal_cuts_at_once() {
    let slow = Slow::new();
    let mut door = Door::up(&config(&slow.backend, "drain = \"1h\""));
    let address = door.tls();
    let mut stream = tls(&door, "a.test", &[]);
    send_get(&mut stream, "a.test", "/");
    slow.arrived();
    door.signal(Signal::TERM);
    eventually("a closed port", || TcpStream::connect(address).err());
    door.signal(Signal::INT);
    assert_eq!(door.ended().code(), Some(0));
    assert!(read_answer(&mut stream).is_err());
    let said = door.said();
    assert!(said.contains("a second signal cuts at once"), "{said}");
    assert!(said.contains("cut=1"), "{said}");
}

#[test]
fn several_workers_serve_like_one() {
    let backend = Backend::saying("served");
    let door = Door::up(&config(&backend, "workers = 2"));
    let mut streams: Vec<Tls> = (0..6).map(|_| tls(&door, "a.test", &[])).collect();
    for _round in 0..3 {
        for stream in &mut streams {
            assert_eq!(get_on(stream, "a.test", "/").body, "served");
        }
    }
    assert_eq!(backend.seen().len(), 18);
    door.reload(&config(&backend, "workers = 2").replace("a.test", "b.test"));
    assert_eq!(get(&door, "b.test", "/"), "served");
    for stream in &mut streams {
        assert!(read_answer(stream).is_err());
    }
}

#[test]
fn few_descriptors_make_clients_wait_and_nothing_spin() {
    let backend = Backend::saying("served");
    let home = Home::new(&config(&backend, ""));
    let command = home.command_by("sh", &["-c", "ulimit -n 64; exec \"$0\" up"]);
    let door = Door::up_by(home, command);
    let address = door.tls();
    // They say nothing, so each that is let in stays until the deadline of its handshake.
    let silent: Vec<TcpStream> = (0..100).map(|_| plain(address)).collect();
    let spent = spent_in_a_second(door.pid());
    assert!(spent < Duration::from_millis(200), "{spent:?} of a second");
    drop(silent);
    assert_eq!(get(&door, "a.test", "/"), "served");
    let said = door.said();
    assert!(said.contains("the limit on open files"), "{said}");
}

#[test]
fn descriptors_that_run_out_make_clients_wait_and_nothing_spin() {
    let backend = Backend::saying("served");
    let door = Door::up(&config(&backend, ""));
    let (address, pid) = (door.tls(), door.pid());
    let open = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
    let few = open + 10;
    let lowered = Command::new("prlimit")
        .arg(format!("--pid={pid}"))
        .arg(format!("--nofile={few}:{few}"))
        .status()
        .unwrap();
    assert!(lowered.success());
    let silent: Vec<TcpStream> = (0..100).map(|_| plain(address)).collect();
    eventually("a warning", || {
        door.said().contains("cannot accept").then_some(())
    });
    let spent = spent_in_a_second(pid);
    assert!(spent < Duration::from_millis(200), "{spent:?} of a second");
    assert_eq!(
        door.said().matches("cannot accept").count(),
        1,
        "it is not told each time"
    );
    drop(silent);
    assert_eq!(get(&door, "a.test", "/"), "served");
}

#[test]
fn more_clients_than_allowed_wait_for_their_turn() {
    let backend = Backend::saying("served");
    let door = Door::up(&config(&backend, "limits.connections = 2"));
    let address = door.tls();
    let mut first = tls(&door, "a.test", &[]);
    let mut second = tls(&door, "a.test", &[]);
    let roots = roots(&door);
    let (done, served) = mpsc::channel();
    let waiting: Vec<_> = (0..3)
        .map(|_| {
            let (roots, done) = (roots.clone(), done.clone());
            thread::spawn(move || {
                let mut stream = try_tls(address, &roots, "a.test", &[]).unwrap();
                done.send(get_on(&mut stream, "a.test", "/").body).unwrap();
            })
        })
        .collect();
    assert_eq!(get_on(&mut first, "a.test", "/").body, "served");
    assert_eq!(get_on(&mut second, "a.test", "/").body, "served");
    assert!(
        served.recv_timeout(Duration::from_millis(300)).is_err(),
        "nobody else is let in"
    );
    drop(first);
    for thread in waiting {
        thread.join().unwrap();
        assert_eq!(served.recv().unwrap(), "served");
    }
    assert_eq!(get_on(&mut second, "a.test", "/").body, "served");
}

fn config(backend: &Backend, setting: &str) -> String {
    format!(
        "listen = [\"127.0.0.1:0\"]\nhttp = false\n{setting}\n[sites]\n\"a.test\" = \"{}\"\n",
        backend.address
    )
}

/// An upstream that answers when the test says so.
pub(crate) struct Slow {
    pub(crate) backend: Backend,
    arrivals: Receiver<()>,
    answers: Sender<()>,
}

impl Slow {
    pub(crate) fn new() -> Self {
        let (arrived, arrivals) = mpsc::channel();
        let (answers, may_answer) = mpsc::channel();
        let may_answer = Arc::new(Mutex::new(may_answer));
        let arrived = Mutex::new(arrived);
        let backend = Backend::raw(move |mut stream| {
            let mut reader = std::io::BufReader::new(stream.try_clone().unwrap());
            while read_request(&mut reader).is_some() {
                // The test may be over.
                let _over = arrived.lock().unwrap().send(());
                if may_answer.lock().unwrap().recv().is_err() {
                    return;
                }
                let _gone = stream.write_all(&ok("slow"));
            }
        });
        Self {
            backend,
            arrivals,
            answers,
        }
    }

    pub(crate) fn arrived(&self) {
        self.arrivals
            .recv_timeout(crate::support::PATIENCE)
            .unwrap();
    }

    pub(crate) fn answer(&self) {
        self.answers.send(()).unwrap();
    }
}

/// Preface, settings, and one GET (RFC 9113, RFC 7541 appendix A).
pub(crate) fn open_stream(stream: &mut Tls, host: &str) {
    let mut block = vec![0x82, 0x87, 0x84, 0x41, u8::try_from(host.len()).unwrap()];
    block.extend(host.as_bytes());
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend([0, 0, 0, 4, 0, 0, 0, 0, 0]);
    bytes.extend([
        0,
        0,
        u8::try_from(block.len()).unwrap(),
        HEADERS,
        0x5,
        0,
        0,
        0,
        1,
    ]);
    bytes.extend(block);
    stream.write_all(&bytes).unwrap();
    stream.flush().unwrap();
}

/// Notes the types of the frames up to one of this type.
pub(crate) fn read_frames_until(stream: &mut Tls, seen: &mut Vec<u8>, last: u8) {
    while seen.last() != Some(&last) {
        let mut head = [0; 9];
        stream.read_exact(&mut head).unwrap();
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        stream.read_exact(&mut payload).unwrap();
        seen.push(head[3]);
    }
}

/// What the process uses of the processors in a second from now.
fn spent_in_a_second(pid: u32) -> Duration {
    let before = processor_time(pid);
    let watched = Instant::now();
    while watched.elapsed() < Duration::from_secs(1) {
        thread::park_timeout(Duration::from_millis(100));
    }
    processor_time(pid) - before
}

/// What the process has used of the processors so far.
fn processor_time(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_name, rest) = stat.rsplit_once(") ").unwrap();
    let fields: Vec<&str> = rest.split(' ').collect();
    // proc(5): utime and stime are the 14th and 15th field, in ticks of which Linux tells a hundred a second.
    let ticks: u64 = fields[11..13]
        .iter()
        .map(|field| field.parse::<u64>().unwrap())
        .sum();
    Duration::from_millis(ticks * 10)
}

//! What every theme needs: a running onedoor, upstreams, and clients.

pub(crate) mod absent;
pub(crate) mod answer;
pub(crate) mod authority;
pub(crate) mod backend;
pub(crate) mod browser;
pub(crate) mod client;
pub(crate) mod dns;
pub(crate) mod door;
pub(crate) mod false_clock;
pub(crate) mod front;
pub(crate) mod mortal;
pub(crate) mod names;
pub(crate) mod openssl;
pub(crate) mod ordering;
pub(crate) mod pebble;
pub(crate) mod peer;
pub(crate) mod redis;
pub(crate) mod tmpfs;
pub(crate) mod wire;

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// How long anything may take on a busy machine before a test gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Asks until the answer is there.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, ask: impl FnMut() -> Option<T>) -> T {
    within(PATIENCE, what, ask)
}

/// The same for what takes its time on purpose.
#[track_caller]
pub(crate) fn within<T>(patience: Duration, what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(started.elapsed() < patience, "never happened: {what}");
        std::thread::yield_now();
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// How often a time is measured that a busy machine may have lengthened.
const MEASUREMENTS: usize = 5;

/// However busy the machine is.
const PROMPT_MAX: u32 = 20;

/// Panics unless something takes less than `limit` at least once in a few times, and never very much more: what else the machine does
/// only adds to a time.
#[track_caller]
pub(crate) fn takes_less(limit: Duration, what: &str, mut measure: impl FnMut() -> Duration) {
    let mut times = Vec::new();
    while times.len() < MEASUREMENTS {
        let time = measure();
        if time < limit {
            return;
        }
        assert!(time < limit * PROMPT_MAX, "{what} took {time:?}");
        times.push(time);
    }
    panic!("{what} took longer than {limit:?}: {times:?}");
}

/// Below those that the system gives to whoever asks for any port, so that nobody gets one by chance.
const PORTS: Range<u32> = 20_000..32_000;
/// How far apart processes begin that run at the same time.
const PORTS_APART: u32 = 97;

/// A port that no other test of this process gets, and that is free on every address, for both protocols.
pub(crate) fn free_port() -> u16 {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    let first = std::process::id().wrapping_mul(PORTS_APART);
    let mut ports = PORTS.map(|_port| {
        let number = first.wrapping_add(GIVEN.fetch_add(1, Ordering::Relaxed));
        u16::try_from(PORTS.start + number % (PORTS.end - PORTS.start)).unwrap()
    });
    let is_free = |port: &u16| {
        let there = (Ipv4Addr::UNSPECIFIED, *port);
        TcpListener::bind(there).is_ok() && UdpSocket::bind(there).is_ok()
    };
    ports.find(is_free).expect("no port is free")
}

/// How long a number must stay the same to be taken as settled.
const QUIET: Duration = Duration::from_millis(400);

/// Looks at a number until it no longer changes.
pub(crate) fn settled(mut look: impl FnMut() -> u64) -> u64 {
    let (mut seen, mut since) = (look(), Instant::now());
    while since.elapsed() < QUIET {
        std::thread::park_timeout(Duration::from_millis(20));
        let now = look();
        if now != seen {
            (seen, since) = (now, Instant::now());
        }
    }
    seen
}

/// All values of a field in the text of a head, in order.
fn values<'a>(head: &'a str, name: &str) -> Vec<&'a str> {
    let fields = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    fields
        .filter(|(field, _)| field.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
        .collect()
}

//! HTTP/2 clients that mean harm: each attack ends by itself, costs little, reaches no upstream, and leaves the door open to others.

use std::io::{BufReader, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::support::backend::{Backend, ok, read_request};
use crate::support::client::get;
use crate::support::door::Door;
use crate::support::peer::{run, way_to};

const PROTOCOL_ERROR: u64 = 1;
const ENHANCE_YOUR_CALM: u64 = 11;
/// What an attack may cost the process.
const MEMORY_MAX: u64 = 16 << 20;
const WORK_MAX: Duration = Duration::from_secs(2);
/// A piece of an answer that no window in these tests takes.
const LARGE: usize = 4 << 20;

struct Attacked {
    door: Door,
    reached: Arc<AtomicUsize>,
}

/// A door with these limits, whose upstream counts the requests that reach it.
fn attacked(limits: &str) -> Attacked {
    let reached = Arc::new(AtomicUsize::new(0));
    let counted = reached.clone();
    let backend = Backend::raw(move |mut stream| {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        while let Some(request) = read_request(&mut reader) {
            counted.fetch_add(1, Ordering::Relaxed);
            let answer = match request.line().split(' ').nth(1) {
                Some("/large") => ok(&"x".repeat(LARGE)),
                Some("/held") => return drop(read_request(&mut reader)),
                _ => ok("fine"),
            };
            if stream.write_all(&answer).is_err() {
                return;
            }
        }
    });
    let site = format!("\"a.test\" = \"{}\"", backend.address);
    let door = Door::serving(&format!("workers = 1\n[limits]\n{limits}"), &site);
    assert_eq!(get(&door, "a.test", "/"), "fine");
    reached.store(0, Ordering::Relaxed);
    Attacked { door, reached }
}

impl Attacked {
    /// Runs an attack to its end and looks at what it cost.
    #[track_caller]
    fn by(&self, attack: &str, count: usize) -> Value {
        let [port, ca] = way_to(&self.door);
        let count = count.to_string();
        let (resident, worked) = (self.door.resident(), self.door.worked());
        let arguments = [
            attack, "--port", &port, "--ca", &ca, "--name", "a.test", "--count", &count,
        ];
        let seen = run("h2_abuse.py", &arguments);
        let grown = self.door.resident().saturating_sub(resident);
        assert!(grown < MEMORY_MAX, "{attack}: {grown} octets more, {seen}");
        let cost = self.door.worked() - worked;
        assert!(cost < WORK_MAX, "{attack}: {cost:?} of work, {seen}");
        assert_eq!(get(&self.door, "a.test", "/"), "fine", "{attack}");
        seen
    }

    #[track_caller]
    fn is_calmed(&self, attack: &str, count: usize) {
        let seen = self.by(attack, count);
        assert_eq!(seen["closed"], true, "{attack}: {seen}");
        assert_eq!(seen["goaway"], ENHANCE_YOUR_CALM, "{attack}: {seen}");
    }
}

#[test]
fn resets_without_end_end_the_connection() {
    let attacked = attacked("");
    attacked.is_calmed("rapid_reset", 20_000);
    attacked.is_calmed("provoked_by_overflow", 5000);
    attacked.is_calmed("provoked_by_length", 5000);
    attacked.is_calmed("provoked_by_dependency", 5000);
    // What h2 takes for the fault of the whole connection ends it at the first time.
    for attack in ["provoked_resets", "provoked_by_data", "zero_window_update"] {
        let seen = attacked.by(attack, 5000);
        assert_eq!(seen["closed"], true, "{attack}: {seen}");
        assert_eq!(seen["goaway"], PROTOCOL_ERROR, "{attack}: {seen}");
    }
    assert!(attacked.reached.load(Ordering::Relaxed) < 1000);
}

#[test]
fn frames_that_carry_nothing_end_the_connection() {
    let attacked = attacked("");
    for attack in [
        "settings",
        "ping",
        "empty_data",
        "padded_data",
        "priority",
        "unknown",
    ] {
        attacked.is_calmed(attack, 20_000);
    }
}

#[test]
fn heads_without_end_end_the_connection() {
    let attacked = attacked("");
    for attack in ["continuation", "empty_continuation", "hpack_bomb"] {
        attacked.is_calmed(attack, 20_000);
    }
    let seen = attacked.by("long_heads", 1);
    assert_eq!(seen["statuses"], serde_json::json!(["431"]), "{seen}");
    attacked.is_calmed("long_heads", 3000);
    // The door's own requests after each attack were the only ones.
    assert_eq!(attacked.reached.load(Ordering::Relaxed), 5);
}

#[test]
fn window_updates_without_end_cost_little() {
    let seen = attacked("").by("window_update", 3000);
    assert_eq!(seen["sent"], 3000, "{seen}");
}

#[test]
fn a_stream_whose_answer_is_not_taken_ends_in_time() {
    let attacked = attacked("idle = \"1s\"");
    let seen = attacked.by("one_byte_windows", 100);
    assert!(seen["resets"] == 100 || seen["closed"] == true, "{seen}");
    let seen = attacked.by("crumbs", 10_000);
    assert!(seen["resets"] == 1 || seen["closed"] == true, "{seen}");
    let seen = attacked.by("small_untaken", 100);
    assert_eq!(seen["closed"], true, "{seen}");
}

#[test]
fn a_malformed_request_reaches_nobody() {
    let attacked = attacked("");
    let outcomes = attacked.by("malformed", 1);
    let outcomes = outcomes.as_object().unwrap();
    assert!(outcomes.len() > 30, "{outcomes:?}");
    for (what, outcome) in outcomes {
        let [reset, status, goaway] = [0, 1, 2].map(|place| &outcome[place]);
        let refused = *reset == PROTOCOL_ERROR || *goaway == PROTOCOL_ERROR;
        let answered = *status == "400" || *status == "405";
        assert!(refused || answered, "{what}: {outcome}");
    }
    assert_eq!(attacked.reached.load(Ordering::Relaxed), 1);
}

#[test]
fn an_attack_is_not_worth_a_line_in_the_log() {
    let attacked = attacked("");
    for attack in ["rapid_reset", "provoked_by_length", "ping", "hpack_bomb"] {
        attacked.by(attack, 5000);
    }
    let said = attacked.door.home().read("err");
    assert!(!said.contains("warn") && !said.contains("error"), "{said}");
}

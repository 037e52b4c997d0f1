//! Answers that are tried again elsewhere, failures that are not, and what the rule says about both.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::{always, ask, door, door_to, last, request, reset};
use crate::support::absent::nobody;
use crate::support::backend::{Backend, read_request};
use crate::support::eventually;
use crate::support::wire::Wire;

/// A target that reads requests, sleeps in its answer, and is counted.
fn silent() -> (Backend, mpsc::Receiver<()>) {
    let (told, asked) = mpsc::channel();
    let backend = Backend::raw(move |stream| {
        let mut reader = std::io::BufReader::new(stream);
        while read_request(&mut reader).is_some() {
            // Nobody is left when the test is over.
            let _over = told.send(());
        }
    });
    (backend, asked)
}

fn resetting() -> Backend {
    Backend::raw(|stream| {
        let mut reader = std::io::BufReader::new(stream.try_clone().unwrap());
        drop(read_request(&mut reader));
        reset(stream);
    })
}

#[test]
fn an_answer_that_says_unavailable_is_asked_for_elsewhere() {
    for status in ["502 Bad", "503 Busy", "504 Late"] {
        let first = always(status, "first");
        let second = always("200 OK", "second");
        let door = door(first.address, second.address, "retry = { tries = 2 }");
        let code: u16 = status[..3].parse().unwrap();
        for (method, expected, seen) in [
            ("GET", (200, "second"), (1, 1)),
            ("PUT", (200, "second"), (2, 2)),
            ("POST", (code, "first"), (3, 2)),
        ] {
            let (status, text) = ask(&door, &request(method, "/"));
            assert_eq!((status, text.as_str()), expected, "{method}");
            assert_eq!((first.seen().len(), second.seen().len()), seen, "{method}");
        }
        assert_eq!(second.seen()[1].body, b"body");
    }
}

#[test]
fn the_last_answer_is_passed_on_as_it_is() {
    let first = always("503 Busy", "first");
    let second = Backend::http(|_request| {
        b"HTTP/1.1 503 Down\r\nX-Own: yes\r\nContent-Length: 6\r\n\r\nsecond".to_vec()
    });
    let both = door(first.address, second.address, "retry = { tries = 5 }");
    let answer = Wire::plain(&both).ask(request("GET", "/"));
    assert_eq!((answer.status(), answer.text().as_str()), (503, "second"));
    assert_eq!(answer.field("x-own"), Some("yes"));
    assert_eq!((first.seen().len(), second.seen().len()), (1, 1));

    let alone = door_to(&format!("\"{}\"", second.address), "retry = { tries = 5 }");
    let answer = Wire::plain(&alone).ask(request("GET", "/"));
    assert_eq!((answer.status(), answer.text().as_str()), (503, "second"));
    assert_eq!(second.seen().len(), 2);
}

#[test]
fn tries_are_counted_and_targets_without_a_connection_cost_none() {
    let dead = [nobody(), nobody()];
    let busy = [(); 3].map(|()| always("503 Busy", "busy"));
    let mut targets: Vec<String> = dead
        .iter()
        .map(|address| format!("\"{address}\""))
        .collect();
    targets.extend(
        busy.iter()
            .map(|backend| format!("\"{}\"", backend.address)),
    );
    let to = format!("[{}]", targets.join(", "));
    let door = door_to(&to, "retry = { tries = 2 }, eject = { fails = 100000 }");
    for turn in 1..=10 {
        assert_eq!(ask(&door, &request("GET", "/")).0, 503);
        let seen: usize = busy.iter().map(|backend| backend.seen().len()).sum();
        assert_eq!(seen, 2 * turn);
    }
}

#[test]
fn what_the_rule_does_not_name_is_not_tried_again() {
    let (dead, breaking, busy) = (nobody(), resetting(), always("503 Busy", "busy"));
    let second = always("200 OK", "second");
    let cases = [
        (dead, "retry = false", 502),
        (breaking.address, "retry = false", 502),
        (busy.address, "retry = false", 503),
        (dead, "retry = { on = [\"reset\", \"503\"] }", 502),
        (
            breaking.address,
            "retry = { on = [\"connect\", \"503\"] }",
            502,
        ),
        (busy.address, "retry = { on = [\"connect\", \"502\"] }", 503),
        (breaking.address, "retry = { tries = 1 }", 502),
        // As it is when nothing is said: no upstream's answer is second-guessed.
        (busy.address, "", 503),
    ];
    for (first, retry, status) in cases {
        let door = door(first, second.address, retry);
        assert_eq!(
            ask(&door, &request("GET", "/")).0,
            status,
            "{first} {retry}"
        );
    }
    assert!(second.seen().is_empty());
    for (first, retry) in [
        (dead, "retry = { on = \"connect\" }"),
        (dead, "retry = { tries = 1 }"),
        (breaking.address, "retry = { on = \"reset\" }"),
        (busy.address, "retry = { on = [\"503\"] }"),
        (dead, ""),
        (breaking.address, ""),
    ] {
        let door = door(first, second.address, retry);
        assert_eq!(ask(&door, &request("GET", "/")).0, 200, "{first} {retry}");
    }
}

#[test]
fn silence_is_tried_again_only_for_safe_methods_and_when_asked_for() {
    let (first, asked) = silent();
    let second = always("200 OK", "second");
    // Enough for the second one on a busy machine.
    let timeout = "timeout = { response = \"2s\" }";
    let named = door(
        first.address,
        second.address,
        &format!("{timeout}, retry = {{ on = [\"504\"] }}"),
    );
    let silent = door(first.address, second.address, timeout);
    let cases = [
        (&named, "GET", 200),
        (&named, "PUT", 504),
        (&named, "POST", 504),
        (&silent, "GET", 504),
    ];
    thread::scope(|scope| {
        for (door, method, expected) in cases {
            scope.spawn(move || {
                let (status, text) = ask(door, &request(method, "/"));
                assert_eq!(status, expected, "{method}: {text}");
                assert!(status == 200 || text.contains("upstream-timeout"), "{text}");
            });
        }
    });
    let mut times = 0;
    eventually("four requests at the silent one", || {
        times += asked.try_iter().count();
        (times >= cases.len()).then_some(())
    });
    assert_eq!((times, second.seen().len()), (4, 1));
}

#[test]
fn nothing_is_tried_again_after_its_time() {
    let first = Backend::http(|_request| {
        // Longer than `within`, as far as the wheel's ticks are exact.
        thread::park_timeout(Duration::from_millis(700));
        last("503 Late", "first")
    });
    let second = always("200 OK", "second");
    let late = door(
        first.address,
        second.address,
        "retry = { within = \"200ms\" }",
    );
    assert_eq!(ask(&late, &request("GET", "/")), (503, "first".to_owned()));
    assert!(second.seen().is_empty());
    let early = door(
        first.address,
        second.address,
        "retry = { within = \"20s\" }",
    );
    assert_eq!(ask(&early, &request("GET", "/")).0, 200);
}

#[test]
fn a_change_of_protocols_is_sent_once() {
    let upgrade = "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n";
    let second = always("200 OK", "second");
    for (first, status) in [(resetting(), 502), (always("503 Busy", "busy"), 503)] {
        let door = door(first.address, second.address, "retry = { tries = 5 }");
        assert_eq!(ask(&door, upgrade).0, status);
    }
    assert!(second.seen().is_empty());
    let dead = door(nobody(), second.address, "");
    assert_eq!(ask(&dead, upgrade).0, 200);
}

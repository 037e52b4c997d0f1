//! A client that OpenSSL is resumes its session at another onedoor of the fleet, whichever key sealed its ticket.

use std::path::Path;

use super::support::backend::Backend;
use super::support::door::{Door, Home};
use super::support::false_clock::FalseClock;
use super::support::openssl::s_client_typing;
use super::support::redis::Redis;

const VERSIONS: [&str; 2] = ["-tls1_2", "-tls1_3"];

#[test]
fn a_session_is_resumed_at_another_door_of_the_fleet() {
    let (redis, backend) = (Redis::start(), Backend::saying("hello"));
    let [one, other] = [(); 2].map(|()| door(&redis, &backend, "+0"));
    for version in VERSIONS {
        let session = one.home().path().join(version);
        assert!(is_new(&opened(&one, version, &session)));
        for door in [&one, &other] {
            let said = resumed(door, version, &session);
            assert!(is_reused(&said), "{version}: {said}");
        }
    }
}

#[test]
fn a_rotation_drops_nobody() {
    let (redis, backend) = (Redis::start(), Backend::saying("hello"));
    let today = door(&redis, &backend, "+0");
    let sessions = |door: &Door| VERSIONS.map(|version| door.home().path().join(version));
    for (version, session) in VERSIONS.iter().zip(sessions(&today)) {
        opened(&today, version, &session);
    }
    let before = keys(&redis);
    // Another key seals there, and it is the one to publish the next.
    let tomorrow = door(&redis, &backend, "+13h");
    let after = keys(&redis);
    assert_eq!((before.len(), after.len()), (2, 3), "{after:?}");
    assert!(before.iter().all(|key| after.contains(key)));
    for (version, session) in VERSIONS.iter().zip(sessions(&today)) {
        let said = resumed(&tomorrow, version, &session);
        assert!(is_reused(&said), "{version}: {said}");
    }
    for (version, session) in VERSIONS.iter().zip(sessions(&tomorrow)) {
        opened(&tomorrow, version, &session);
        let said = resumed(&today, version, &session);
        assert!(is_reused(&said), "{version}: {said}");
    }
}

#[test]
fn doors_that_share_nothing_resume_nothing_of_each_other() {
    let backend = Backend::saying("hello");
    let [one, other] = [(); 2].map(|()| Door::before(&backend));
    for version in VERSIONS {
        let session = one.home().path().join(version);
        opened(&one, version, &session);
        assert!(is_reused(&resumed(&one, version, &session)));
        assert!(is_new(&resumed(&other, version, &session)));
    }
}

/// With a clock that is so far off.
fn door(redis: &Redis, backend: &Backend, offset: &str) -> Door {
    let (url, to) = (redis.url(), backend.address);
    let home = Home::new(&format!(
        "listen = [\"127.0.0.1:0\"]\nhttp = false\nstorage = \"{url}\"\n[sites]\n\"a.test\" = \"{to}\"\n"
    ));
    let clock = FalseClock::of(&home);
    clock.set(offset);
    let mut command = home.command();
    command.arg("up");
    clock.give_to(&mut command);
    Door::up_by(home, command)
}

/// A session that the client keeps.
fn opened(door: &Door, version: &str, session: &Path) -> String {
    asked(door, &[version, "-sess_out", session.to_str().unwrap()])
}

fn resumed(door: &Door, version: &str, session: &Path) -> String {
    asked(door, &[version, "-sess_in", session.to_str().unwrap()])
}

/// Until the answer is there, and with it the ticket.
fn asked(door: &Door, options: &[&str]) -> String {
    let request = "GET / HTTP/1.0\r\nHost: a.test\r\n\r\n";
    s_client_typing(door, Some("a.test"), options, request)
}

fn is_new(said: &str) -> bool {
    said.contains("\nNew, TLSv1.")
}

fn is_reused(said: &str) -> bool {
    said.contains("\nReused, TLSv1.")
}

/// The names of the keys in Redis.
fn keys(redis: &Redis) -> Vec<String> {
    let stored = redis.ask(&["hget", "{onedoor}:object:tickets", "content"]);
    let stored: serde_json::Value = serde_json::from_str(&stored).unwrap();
    let keys = stored["keys"].as_array().unwrap();
    keys.iter()
        .map(|key| key["id"].as_str().unwrap().to_owned())
        .collect()
}

//! Who is told of certificates, and how often.

use serde_json::Value;

use super::{config, served, site};
use crate::support::backend::Backend;
use crate::support::door::{Door, Home};
use crate::support::pebble::Pebble;
use crate::support::{eventually, settled};

const NAME: &str = "a.example.com";
const BLOCKED: &str = "blocked.example.com";

fn events(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn a_program_is_told_once_of_a_certificate() {
    let ca = Pebble::start();
    let alerts = r#"[alerts]
        exec = ["sh", "-c", "{ cat; echo; } >>told; echo $ONEDOOR_EVENT >>named"]"#;
    let config = config(&ca, "", &(site(NAME) + alerts));
    let door = Door::up(&config);
    served(&ca, NAME);
    eventually("the event", || {
        (door.home().read("named").lines().count() > 0).then_some(())
    });
    let home: Home = door.leave();
    let door = Door::up_in(home, &["up"]);
    served(&ca, NAME);
    settled(|| door.home().read("told").len() as u64);
    assert_eq!(door.home().read("named"), "certificate.renewed\n");
    let told = events(&door.home().read("told"));
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0]["event"], "certificate.renewed");
    assert_eq!(told[0]["certificate"], NAME);
    assert_eq!(told[0]["ca"], ca.directory());
    assert!(
        told[0]["not_after"].as_str().unwrap().ends_with('Z'),
        "{told:?}"
    );
}

#[test]
fn a_webhook_gets_a_failure_in_the_words_of_the_ca() {
    let ca = Pebble::start();
    let hook = Backend::saying("thanks");
    let alerts = format!("[alerts]\nwebhook = \"http://{}/hook\"", hook.address);
    let _door = Door::up(&config(&ca, "", &(site(BLOCKED) + &alerts)));
    let seen = eventually("the event", || hook.seen().first().cloned());
    assert_eq!(seen.line(), "POST /hook HTTP/1.1");
    assert_eq!(seen.field("content-type"), Some("application/json"));
    let event: Value = serde_json::from_slice(&seen.body).unwrap();
    assert_eq!(event["event"], "certificate.failed");
    assert_eq!(event["certificate"], BLOCKED);
    assert_eq!(event["not_after"], Value::Null);
    let problem = event["problem"].as_str().unwrap();
    assert!(problem.contains("forbidden by policy"), "{problem}");
    assert!(
        event["next_try"].as_str().unwrap().ends_with('Z'),
        "{event}"
    );
}

//! What newer CAs can: they say when to renew, and know profiles.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::{config, served, served_anew, site, turn, up_by};
use crate::support::door::{Door, Home};
use crate::support::eventually;
use crate::support::false_clock::FalseClock;
use crate::support::pebble::{Pebble, Release, Wanted};

const NAME: &str = "a.example.com";
const WEEK: i64 = 7 * 24 * 60 * 60;

/// One that has these profiles.
fn newer(profiles: &'static [(&'static str, u64)]) -> Pebble {
    Pebble::with(&Wanted {
        release: Release::Newer,
        profiles,
        ..Wanted::default()
    })
}

#[test]
fn a_certificate_is_replaced_in_the_window_that_its_ca_names() {
    let ca = newer(&[("classic", 90 * 24 * 60 * 60)]);
    if ca.release() == Release::Stable {
        return;
    }
    let home = Home::new(&config(&ca, "profile = \"classic\"", &site(NAME)));
    let clock = FalseClock::of(&home);
    let door = up_by(home, &clock);
    let old = served(&ca, NAME);
    let bundle = door.home().read("storage/certs/a.example.com/v00000001");
    let bundle: serde_json::Value = serde_json::from_str(&bundle).unwrap();
    let end = Timestamp::now() + SignedDuration::from_hours(25);
    ca.set_renewal_info(
        bundle["chain"].as_str().unwrap(),
        &json!({
            "suggestedWindow": { "start": "2000-01-01T00:00:00Z", "end": end.to_string() },
            "explanationURL": "https://ca.example/incident",
        }),
    );
    // It said to ask again after some hours.
    turn(&clock, &door, "+1d");
    served_anew(&ca, NAME, &old);
    assert_eq!(ca.issued(), 2);
    assert!(door.said().contains("https://ca.example/incident"));
    // So it said which certificate it replaces, as its CA wants to know before it waives its limits.
    assert!(ca.log().contains("is a replacement of"));
}

#[test]
fn the_profile_that_is_wanted_is_what_is_issued() {
    let ca = newer(&[("classic", 90 * 24 * 60 * 60), ("short", WEEK as u64)]);
    let acme = if ca.release() == Release::Newer {
        "profile = \"short\""
    } else {
        return;
    };
    let _door = Door::up(&config(&ca, acme, &site(NAME)));
    let leaf = served(&ca, NAME);
    let (_rest, leaf) = x509_parser::parse_x509_certificate(&leaf).unwrap();
    let validity = leaf.validity();
    let life = validity.not_after.timestamp() - validity.not_before.timestamp();
    assert!((WEEK - 5..=WEEK).contains(&life), "{life}");
}

#[test]
fn a_profile_that_the_ca_does_not_know_is_told_and_not_ordered() {
    let ca = Pebble::start();
    let door = Door::up(&config(&ca, "profile = \"short\"", &site(NAME)));
    let said = eventually("a word about the profile", || {
        Some(door.said()).filter(|said| said.contains("no certificate:"))
    });
    assert!(said.contains("profile") && said.contains("short"), "{said}");
    assert!(!ca.log().contains("Added order"), "{said}");
}

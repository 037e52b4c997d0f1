//! Files in the storage that somebody cut, emptied, or put there: each is named, and hurts nobody else.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{config, served, served_anew, shown, site, up_by};
use crate::support::door::{Door, Home};
use crate::support::eventually;
use crate::support::false_clock::FalseClock;
use crate::support::pebble::Pebble;

const NAME: &str = "a.example.com";
const OTHER: &str = "b.example.com";

/// A storage with certificates for two names, both due for renewal by the clock.
struct Scene {
    ca: Pebble,
    home: Option<Home>,
    clock: FalseClock,
    old: Vec<u8>,
    old_of_other: Vec<u8>,
}

impl Scene {
    fn new() -> Self {
        let ca = Pebble::start();
        let home = Home::new(&config(&ca, "", &[NAME, OTHER].map(site).concat()));
        let clock = FalseClock::of(&home);
        let door = up_by(home, &clock);
        let (old, old_of_other) = (served(&ca, NAME), served(&ca, OTHER));
        let home = door.leave();
        copy(&home, "storage", "good");
        clock.set("+63d");
        Self {
            ca,
            home: Some(home),
            clock,
            old,
            old_of_other,
        }
    }

    /// Starts on the storage as it was, but for one file, and waits until that is named.
    #[track_caller]
    fn up_with(&mut self, place: &Path, damage: fn(&[u8]) -> Vec<u8>) -> Door {
        let home = self.home.take().unwrap();
        fs::remove_dir_all(home.path().join("storage")).unwrap();
        copy(&home, "good", "storage");
        let file = home.path().join("storage").join(place);
        fs::write(&file, damage(&fs::read(&file).unwrap())).unwrap();
        let door = up_by(home, &self.clock);
        assert!(shown(&self.ca, OTHER).is_some());
        eventually(&format!("a word about {}", place.display()), || {
            door.said().contains(place.to_str().unwrap()).then_some(())
        });
        door
    }

    /// Damages one file in each way and looks at what comes of it.
    #[track_caller]
    fn each(mut self, place: &str, look: fn(&Self)) {
        let place = self.find(place);
        for damage in [cut, emptied, foreign] {
            let door = self.up_with(&place, damage);
            look(&self);
            self.home = Some(door.leave());
        }
    }

    /// A path below the storage; `CA` stands for the CA's folder.
    fn find(&self, place: &str) -> PathBuf {
        let home = self.home.as_ref().unwrap();
        let ca = fs::read_dir(home.path().join("good/acme")).unwrap().next();
        let ca = ca.unwrap().unwrap().file_name().into_string().unwrap();
        place.replace("CA", &ca).into()
    }

    #[track_caller]
    fn both_are_renewed(&self) {
        served_anew(&self.ca, NAME, &self.old);
        self.other_is_renewed();
    }

    #[track_caller]
    fn other_is_renewed(&self) {
        served_anew(&self.ca, OTHER, &self.old_of_other);
    }

    #[track_caller]
    fn old_is_served(&self) {
        assert_eq!(shown(&self.ca, NAME).as_ref(), Some(&self.old));
    }
}

fn cut(bytes: &[u8]) -> Vec<u8> {
    bytes[..bytes.len() / 2].to_vec()
}

fn emptied(_bytes: &[u8]) -> Vec<u8> {
    Vec::new()
}

fn foreign(_bytes: &[u8]) -> Vec<u8> {
    b"\xff\xd8\xff\xe0 a holiday picture".to_vec()
}

fn copy(home: &Home, from: &str, to: &str) {
    let path = |name| home.path().join(name);
    let done = Command::new("cp")
        .arg("-a")
        .args([path(from), path(to)])
        .status();
    assert!(done.unwrap().success());
}

#[test]
fn a_damaged_certificate_is_ordered_again() {
    Scene::new().each("certs/a.example.com/v00000001", Scene::both_are_renewed);
}

#[test]
fn a_certificate_of_another_name_is_not_served() {
    let mut scene = Scene::new();
    let home = scene.home.as_ref().unwrap();
    let good = home.path().join("good/certs");
    let file = "v00000001";
    fs::copy(good.join(OTHER).join(file), good.join(NAME).join(file)).unwrap();
    let place = PathBuf::from("certs/a.example.com").join(file);
    let _door = scene.up_with(&place, <[u8]>::to_vec);
    scene.both_are_renewed();
}

#[test]
fn a_damaged_pointer_costs_nothing() {
    Scene::new().each("certs/a.example.com/current", Scene::both_are_renewed);
}

#[test]
fn a_damaged_state_costs_nothing() {
    Scene::new().each("certs/a.example.com/state", Scene::both_are_renewed);
}

#[test]
fn a_damaged_journal_costs_nothing() {
    Scene::new().each("certs/a.example.com/journal", Scene::both_are_renewed);
}

#[test]
fn with_a_damaged_account_or_ledger_what_is_there_is_served() {
    Scene::new().each("acme/CA/account", Scene::old_is_served);
    Scene::new().each("acme/CA/ledger", Scene::old_is_served);
}

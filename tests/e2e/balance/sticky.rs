//! Clients that are bound to a target by a cookie.

use super::{door, get, list};
use crate::support::door::Door;
use crate::support::eventually;
use crate::support::mortal::Mortal;
use crate::support::wire::{Answer, Wire};

const STICKY: &str = "balance = { cookie = \"to\" }, eject = { fails = 1, for = \"200ms\" }";

fn targets() -> [Mortal; 3] {
    ["one", "two", "three"].map(Mortal::saying)
}

fn sticky(targets: &[Mortal; 3]) -> String {
    let to = list(&targets.each_ref().map(|target| target.address));
    format!("{to}, {STICKY}")
}

/// The pair of the only cookie that an answer gives.
#[track_caller]
fn given(answer: &Answer) -> String {
    let all = answer.all("set-cookie");
    assert_eq!(all.len(), 1, "{}", answer.head);
    let (pair, rest) = all[0].split_once("; ").unwrap();
    assert_eq!(rest, "Path=/; HttpOnly; SameSite=Lax");
    pair.to_owned()
}

fn with(wire: &mut Wire, cookie: &str) -> Answer {
    get(wire, &format!("Cookie: a=b; {cookie}\r\n"))
}

#[test]
fn a_client_stays_where_its_cookie_leads() {
    let targets = targets();
    let door = door(&sticky(&targets));
    let mut wire = Wire::plain(&door);
    let mut names = Vec::new();
    for _client in 0..6 {
        let first = get(&mut wire, "");
        let cookie = given(&first);
        for _turn in 0..5 {
            let answer = with(&mut wire, &cookie);
            assert_eq!(answer.text(), first.text());
            assert_eq!(answer.all("set-cookie"), [""; 0]);
        }
        names.push(first.text());
    }
    names.sort_unstable();
    assert_eq!(names, ["one", "one", "three", "three", "two", "two"]);
    for wrong in ["to=nobody", "to=", "to=\"aaaa\"", "To=aaaa"] {
        given(&with(&mut wire, wrong));
    }
}

#[test]
fn a_client_moves_when_its_target_dies_and_stays_where_it_went() {
    let mut targets = targets();
    let door = door(&sticky(&targets));
    let mut wire = Wire::plain(&door);
    let first = get(&mut wire, "");
    let cookie = given(&first);
    let at = ["one", "two", "three"]
        .iter()
        .position(|name| first.text() == *name);
    let target = &mut targets[at.unwrap()];
    target.die();
    let moved = with(&mut wire, &cookie);
    assert_eq!(moved.status(), 200);
    assert_ne!(moved.text(), first.text());
    let new = given(&moved);
    target.rise();
    eventually("the old cookie leads back", || {
        (with(&mut wire, &cookie).text() == first.text()).then_some(())
    });
    for _turn in 0..5 {
        assert_eq!(with(&mut wire, &new).text(), moved.text());
    }
}

#[test]
fn a_cookie_is_good_after_a_restart_too() {
    let targets = targets();
    let door = door(&sticky(&targets));
    let first = get(&mut Wire::plain(&door), "");
    let cookie = given(&first);
    let door = Door::up_in(door.leave(), &["up"]);
    let again = with(&mut Wire::plain(&door), &cookie);
    assert_eq!(again.text(), first.text());
    assert_eq!(again.all("set-cookie"), [""; 0]);
}

#[test]
fn over_tls_the_cookie_is_secure() {
    let targets = targets();
    let door = Door::serving("", &format!("\"a.test\" = {{ {} }}", sticky(&targets)));
    let answer = get(&mut Wire::tls(&door, "a.test"), "");
    let cookie = answer.field("set-cookie").unwrap();
    assert!(
        cookie.ends_with("; Path=/; Secure; HttpOnly; SameSite=Lax"),
        "{cookie}"
    );
}

#[test]
fn an_upgrade_is_bound_as_well() {
    let backends = ["one", "two"].map(super::holding);
    let to = list(&backends.each_ref().map(|backend| backend.address));
    let door = door(&format!("{to}, {STICKY}"));
    let upgrade = |fields: &str| {
        let mut wire = Wire::plain(&door);
        wire.send(format!(
            "GET /ws HTTP/1.1\r\nHost: a.test\r\nConnection: upgrade\r\nUpgrade: x\r\n{fields}\r\n"
        ));
        wire.head().unwrap()
    };
    let first = upgrade("");
    assert_eq!(first.status(), 101);
    let cookie = given(&first);
    for _turn in 0..4 {
        let again = upgrade(&format!("Cookie: {cookie}\r\n"));
        assert_eq!(again.field("x-from"), first.field("x-from"));
        assert_eq!(again.all("set-cookie"), [""; 0]);
    }
}

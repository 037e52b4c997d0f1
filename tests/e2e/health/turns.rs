//! What follows from checks: who is asked, who is told, and what is remembered.

use std::time::Duration;

use serde_json::{Value, json};

use super::{QUICK, Service, ask, config, down, site, wait_until_all_are_up, why};
use crate::support::door::Door;
use crate::support::eventually;
use crate::support::wire::Wire;

#[test]
fn requests_move_away_before_any_fails_and_come_back() {
    let (one, two) = (Service::named("one"), Service::named("two"));
    let to = format!("[\"{}\", \"{}\"]", one.address(), two.address());
    let health = r#"{ path = "/up", every = "20ms", fails = 2, passes = 2, timeout = "5s" }"#;
    let door = Door::up(&config(&site("a.test", &to, health)));
    let mut wire = Wire::plain(&door);
    let mut said = || {
        let (status, text) = ask(&mut wire, "a.test");
        assert_eq!(status, 200, "{text}");
        text
    };
    eventually("the first", || (said() == "one").then_some(()));
    eventually("the second", || (said() == "two").then_some(()));
    one.says(500);
    assert_eq!(why(&door), "answers 500 Internal Server Error under /up");
    assert!((0..10).all(|_| said() == "two"));
    two.says(503);
    eventually("both down", || (down(&door).len() == 2).then_some(()));
    let (_code, out, _err) = door.home().run(&["status"]);
    let words = format!("  {}, since ", one.address());
    assert!(out.contains(&words), "{out}");
    assert!(
        out.contains("GET /up: answers 500 Internal Server Error under /up"),
        "{out}"
    );
    one.says(200);
    two.says(200);
    wait_until_all_are_up(&door);
    eventually("the first again", || (said() == "one").then_some(()));
    for words in ["the target is down", "the target is up again"] {
        // A target is asked again before that is told.
        eventually(words, || {
            let told = door.said();
            let lines = told.lines().filter(|line| line.contains(words));
            (lines.count() == 2).then_some(())
        });
    }
}

#[test]
fn a_site_goes_by_its_own_checks_alone() {
    let service = Service::named("one");
    service.says(302);
    let to = format!("\"{}\"", service.address());
    let sites = [
        site("class.test", &to, &format!("{{ path = \"/up\", {QUICK} }}")),
        site(
            "exact.test",
            &to,
            &format!("{{ path = \"/up\", status = 302, {QUICK} }}"),
        ),
        site("none.test", &to, "false"),
    ];
    let door = Door::up(&config(&sites.concat()));
    let seen = why(&door);
    assert!(
        seen.contains("302 Found under /up and leads to /login"),
        "{seen}"
    );
    let mut wire = Wire::plain(&door);
    let (status, text) = ask(&mut wire, "class.test");
    assert_eq!(status, 503, "{text}");
    for host in ["exact.test", "none.test"] {
        assert_eq!(ask(&mut wire, host), (200, "one".to_owned()));
    }
    assert_eq!(down(&door)[0]["sites"], json!(["class.test"]));
    service.says(204);
    eventually("the other one down", || {
        let down = down(&door).pop()?;
        (down["sites"] == json!(["exact.test"])).then_some(())
    });
}

#[test]
fn two_sites_have_one_prober() {
    let service = Service::named("one");
    let to = format!("\"{}\"", service.address());
    let health = r#"{ path = "/up", every = "100ms" }"#;
    let sites = site("a.test", &to, health) + &site("b.test", &to, health);
    let _door = Door::up(&config(&sites));
    let moments = eventually("eleven checks", || {
        let moments = service.moments.lock().unwrap().clone();
        (moments.len() > 10).then_some(moments)
    });
    // Ten periods, each at most a tenth shorter; the first check may have taken the time of one.
    let time = moments[10] - moments[0];
    assert!(time > Duration::from_millis(800), "{time:?}");
}

#[test]
fn a_reload_forgets_nothing() {
    let service = Service::named("one");
    service.says(500);
    let to = format!("\"{}\"", service.address());
    let once = r#"{ path = "/up", every = "1h", fails = 1 }"#;
    let door = Door::up(&config(&site("a.test", &to, once)));
    why(&door);
    service.says(200);
    let more = site("a.test", &to, once) + &site("b.test", &to, once);
    door.reload(&config(&more));
    assert_eq!(ask(&mut Wire::plain(&door), "b.test").0, 503);
    assert_eq!(down(&door)[0]["sites"], json!(["a.test", "b.test"]));
    assert_eq!(service.checks().len(), 1);
    // The same question by other numbers: what was found holds until enough checks have passed.
    let seldom = r#"{ path = "/up", every = "10ms", passes = 1000 }"#;
    door.reload(&config(&site("a.test", &to, seldom)));
    eventually("checks", || (service.checks().len() > 5).then_some(()));
    assert_eq!(ask(&mut Wire::plain(&door), "a.test").0, 503);
    // Nobody looks any more.
    door.reload(&config(&site("a.test", &to, "false")));
    assert_eq!(ask(&mut Wire::plain(&door), "a.test").0, 200);
    wait_until_all_are_up(&door);
}

#[test]
fn people_are_told_of_a_target_that_goes_down_and_comes_up() {
    let service = Service::named("one");
    let to = format!("\"{}\"", service.address());
    let health = format!("{{ path = \"/up\", {QUICK} }}");
    let alerts = "[alerts]\nexec = [\"sh\", \"-c\", \"{ cat; echo; } >>told\"]\n";
    let door = Door::up(&(config(&site("a.test", &to, &health)) + alerts));
    let told = |count: usize| {
        eventually("an alert", || {
            let told = door.home().read("told");
            let last = told.lines().nth(count - 1)?;
            serde_json::from_str::<Value>(last).ok()
        })
    };
    service.says(500);
    let first = told(1);
    assert_eq!(first["event"], "upstream.down");
    assert_eq!(first["target"], to.trim_matches('"'));
    assert_eq!(first["check"], "GET /up");
    assert_eq!(first["sites"], json!(["a.test"]));
    assert_eq!(
        first["problem"],
        "answers 500 Internal Server Error under /up"
    );
    service.says(200);
    let second = told(2);
    assert_eq!(second["event"], "upstream.up");
    assert_eq!(second["ends"], json!(["upstream.down"]));
    // It flaps: that is told later, if at all.
    for status in [500, 200, 500, 200] {
        service.says(status);
        let wanted = usize::from(status == 500);
        eventually("a turn", || (down(&door).len() == wanted).then_some(()));
    }
    assert_eq!(door.home().read("told").lines().count(), 2);
}

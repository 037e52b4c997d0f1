//! Which of several targets is asked: by weight, by load, by key, and backups only when nobody else can be.

mod ejection;
mod load;
mod sticky;
mod tunnels;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use crate::support::backend::{Backend, ok};
use crate::support::door::Door;
use crate::support::eventually;
use crate::support::mortal::Mortal;
use crate::support::wire::{Answer, Wire};

/// A site in clear text, `a.test`, on one worker, so that turns can be counted.
fn door(keys: &str) -> Door {
    Door::serving(
        "workers = 1",
        &format!("\"a.test\" = {{ tls = \"off\", {keys} }}"),
    )
}

fn list(targets: &[SocketAddr]) -> String {
    let targets: Vec<String> = targets.iter().map(|to| format!("\"{to}\"")).collect();
    format!("to = [{}]", targets.join(", "))
}

fn get(wire: &mut Wire, fields: &str) -> Answer {
    wire.ask(format!("GET / HTTP/1.1\r\nHost: a.test\r\n{fields}\r\n"))
}

/// Who answers how many of `turns` requests.
fn turns(door: &Door, turns: usize) -> BTreeMap<String, usize> {
    let mut wire = Wire::plain(door);
    let mut counted = BTreeMap::new();
    for _turn in 0..turns {
        let answer = get(&mut wire, "");
        assert_eq!(answer.status(), 200, "{}", answer.text());
        *counted.entry(answer.text()).or_default() += 1;
    }
    counted
}

fn counted<const N: usize>(expected: [(&str, usize); N]) -> BTreeMap<String, usize> {
    expected
        .map(|(name, turns)| (name.to_owned(), turns))
        .into()
}

#[test]
fn turns_go_by_weight() {
    let [heavy, light] = ["heavy", "light"].map(Backend::saying);
    let door = door(&format!(
        "to = [{{ url = \"{}\", weight = 3 }}, \"{}\"]",
        heavy.address, light.address
    ));
    assert_eq!(turns(&door, 12), counted([("heavy", 9), ("light", 3)]));
}

#[test]
fn a_backup_is_asked_only_while_no_main_target_can_be() {
    let mut main = Mortal::saying("main");
    let backup = Backend::saying("backup");
    let door = door(&format!(
        "to = [\"{}\", {{ url = \"{}\", backup = true }}], eject = {{ for = \"200ms\" }}",
        main.address, backup.address
    ));
    assert_eq!(turns(&door, 4), counted([("main", 4)]));
    main.die();
    assert_eq!(turns(&door, 4), counted([("backup", 4)]));
    main.rise();
    eventually("the return of the main target", || {
        (turns(&door, 1) == counted([("main", 1)])).then_some(())
    });
    assert_eq!(turns(&door, 4), counted([("main", 4)]));
}

/// Answers at once, but for `/hold`, whose answer never ends, and `/ws`, which changes protocols.
fn holding(name: &'static str) -> Backend {
    Backend::http(move |seen| {
        match seen.line().split(' ').nth(1) {
        Some("/hold") => format!("HTTP/1.1 200 OK\r\nX-From: {name}\r\nContent-Length: 9\r\n\r\n")
            .into_bytes(),
        Some("/ws") => format!(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\nX-From: {name}\r\n\r\n"
        )
        .into_bytes(),
        _ => ok(name),
    }
    })
}

#[test]
fn the_freer_one_is_asked_and_tunnels_count() {
    for balance in ["least_conn", "random"] {
        for request in [
            "GET /hold HTTP/1.1\r\nHost: a.test\r\n\r\n",
            "GET /ws HTTP/1.1\r\nHost: a.test\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        ] {
            let [one, other] = ["one", "other"].map(holding);
            let to = list(&[one.address, other.address]);
            let door = door(&format!("{to}, balance = \"{balance}\""));
            let mut held = Wire::plain(&door);
            held.send(request);
            let busy = held.head().unwrap().field("x-from").unwrap().to_owned();
            let free = if busy == "one" { "other" } else { "one" };
            assert_eq!(turns(&door, 8), counted([(free, 8)]), "{balance}");
            drop(held);
            eventually("both are asked again", || {
                (turns(&door, 8).len() == 2).then_some(())
            });
        }
    }
}

#[test]
fn a_header_leads_to_its_own_target() {
    let mut targets = ["one", "two", "three"].map(Mortal::saying);
    let to = list(&targets.each_ref().map(|target| target.address));
    let eject = "eject = { fails = 1, for = \"200ms\" }";
    let door = door(&format!(
        "{to}, balance = {{ header = \"X-Tenant\" }}, {eject}"
    ));
    let mut wire = Wire::plain(&door);
    let mut owners = || -> Vec<String> {
        let owner = |tenant| get(&mut wire, &format!("X-Tenant: t{tenant}\r\n")).text();
        (0..30).map(owner).collect()
    };
    let before = owners();
    assert_eq!(before, owners());
    for name in ["one", "two", "three"] {
        assert!(before.iter().any(|owner| owner == name), "{before:?}");
    }
    targets[1].die();
    for (before, after) in before.iter().zip(owners()) {
        assert!(before == "two" && after != "two" || *before == after);
    }
    targets[1].rise();
    // It gets its keys back little by little.
    eventually("the first of them is back", || {
        owners().iter().any(|owner| owner == "two").then_some(())
    });
    // Without the header it goes in turn.
    assert!(turns(&door, 6).len() > 1);
}

#[test]
fn an_address_leads_to_its_own_target() {
    let backends = ["one", "two", "three"].map(Backend::saying);
    let to = list(&backends.each_ref().map(|backend| backend.address));
    let door = door(&format!("{to}, balance = \"ip_hash\""));
    let owner = |host: u8| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let from = SocketAddr::from(([127, 0, 0, host], 0));
        socket.bind(&from.into()).unwrap();
        socket.connect(&door.plain().into()).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let mut wire = Wire::over(socket);
        let owners = [get(&mut wire, "").text(), get(&mut wire, "").text()];
        assert_eq!(owners[0], owners[1]);
        owners[0].clone()
    };
    let before: Vec<String> = (1..=20).map(owner).collect();
    let after: Vec<String> = (1..=20).map(owner).collect();
    assert_eq!(before, after);
    for name in ["one", "two", "three"] {
        assert!(before.iter().any(|owner| owner == name), "{before:?}");
    }
}

#[test]
fn a_target_that_is_left_out_stays_so_over_a_reload() {
    let good = Backend::saying("good");
    let bad = Backend::raw(drop);
    let config = |more: &str| {
        format!(
            "workers = 1\nlisten = [\"127.0.0.1:0\"]\nhttp = [\"127.0.0.1:0\"]\n[sites]\n\"a.test\" = {{ tls = \"off\", {}, eject = {{ fails = 1, for = \"1h\" }} }}\n{more}",
            list(&[good.address, bad.address])
        )
    };
    let door = Door::up(&config(""));
    let mut wire = Wire::plain(&door);
    eventually("it is left out", || {
        get(&mut wire, "");
        door.said().contains("left out").then_some(())
    });
    let address = door.plain();
    door.reload(&config("\"b.test\" = 1"));
    assert_eq!(address, door.plain());
    assert_eq!(turns(&door, 20), counted([("good", 20)]));
    assert_eq!(
        door.said().matches("left out").count(),
        1,
        "{}",
        door.said()
    );
}

//! Who gets a name: the rules case by case.

use super::*;
use crate::control::owner::Owner;

/// `NAME[:PORT][/PATH]=TARGET`; `!` before it claims everything.
pub(super) fn claim(text: &str) -> Claim {
    let (place, target) = text.split_once('=').unwrap();
    let (everything, place) = match place.strip_prefix('!') {
        Some(place) => (true, place),
        None => (false, place),
    };
    let (host, path) = place.split_at(place.find('/').unwrap_or(place.len()));
    let (name, port) = host.split_once(':').unwrap_or((host, "443"));
    let path = match path {
        _ if everything => ClaimedPath::Everything,
        "" => ClaimedPath::Prefix("/".to_owned()),
        path => ClaimedPath::Prefix(path.to_owned()),
    };
    Claim {
        name: name.to_owned(),
        port: port.parse().unwrap(),
        path,
        target: target.to_owned(),
    }
}

pub(super) fn lease(id: u32, claims: &str) -> Lease {
    Lease {
        id: LeaseId(id),
        kind: if id == 0 { Kind::File } else { Kind::Session },
        owner: Owner {
            pid: 100 + id,
            uid: 1000,
            command: format!("onedoor up -c {id}.toml"),
            folder: "/src".into(),
            since: "2026-01-31T12:00:00Z".parse().unwrap(),
        },
        claims: claims.split_whitespace().map(claim).collect(),
        insistence: Insistence::Asks,
        presence: Presence::Connected,
    }
}

pub(super) fn replacing(id: u32, claims: &str) -> Lease {
    Lease {
        insistence: Insistence::Replaces,
        ..lease(id, claims)
    }
}

fn saved(id: u32, claims: &str) -> Lease {
    Lease {
        kind: Kind::Saved,
        ..lease(id, claims)
    }
}

fn away(id: u32, claims: &str) -> Lease {
    Lease {
        presence: Presence::Away,
        ..lease(id, claims)
    }
}

/// The same work as lease 1, begun again.
fn again(id: u32, claims: &str) -> Lease {
    let owner = Owner {
        pid: 100 + id,
        ..lease(1, "").owner
    };
    Lease {
        owner,
        ..lease(id, claims)
    }
}

fn table(leases: &[Lease]) -> Table {
    let mut table = Table::new();
    for lease in leases {
        let grant = table.judge(lease).unwrap();
        table.grant(lease.clone(), &grant);
    }
    table
}

/// What is in force, each with its lease.
pub(super) fn served(table: &Table) -> Vec<String> {
    let mut served: Vec<String> = Vec::new();
    for lease in table.leases() {
        let claims = lease.claims.iter();
        let in_force = claims.filter(|claim| table.in_force(lease.id, claim));
        served.extend(in_force.map(|claim| format!("{} {claim}={}", lease.id, claim.target)));
    }
    served
}

/// What comes of a lease: the numbers of those it takes over, of those it displaces, and of those it conflicts with.
#[track_caller]
fn check(there: &[Lease], wanted: &Lease, expected: (&[u32], &[u32], &[u32])) {
    let (takes_over, displaces, conflicts) = match table(there).judge(wanted) {
        Ok(grant) => {
            let displaced = grant.displaces.iter().map(|displaced| displaced.lease.0);
            let taken = grant.takes_over.iter().map(|lease| lease.0);
            assert_eq!(
                grant.notes.len(),
                taken.len() + displaced.len() + grant.waits.len(),
                "{:?}",
                grant.notes
            );
            (taken.collect(), displaced.collect(), Vec::new())
        }
        Err(conflicts) => {
            let held = conflicts.iter().map(|conflict| conflict.lease.0);
            (Vec::new(), Vec::new(), held.collect())
        }
    };
    let found: (Vec<u32>, Vec<u32>, Vec<u32>) = (takes_over, displaces, conflicts);
    let expected = (expected.0.into(), expected.1.into(), expected.2.into());
    assert_eq!(found, expected, "{wanted:?}");
}

#[test]
fn a_place_that_is_free_or_shared_is_granted() {
    let there = [lease(1, "a=1 b/x=1 *.c=1 !t=t")];
    for wanted in [
        "d=2", "a:8443=2", "a/x=2", "b=2", "b/y=2", "x.c=2", "a=1", "!t=t",
    ] {
        check(&there, &lease(2, wanted), (&[], &[], &[]));
    }
}

#[test]
fn a_live_session_a_saved_lease_and_the_file_keep_their_names() {
    let wanted = lease(2, "d=2 a=2");
    check(&[lease(1, "a=1")], &wanted, (&[], &[], &[1]));
    check(&[saved(1, "a=1")], &wanted, (&[], &[], &[1]));
    check(&[lease(0, "a=1")], &wanted, (&[], &[], &[0]));
    check(&[lease(1, "!a=1")], &lease(2, "a/x=1"), (&[], &[], &[1]));
    check(
        &[lease(1, "a/x=1 a=1")],
        &lease(2, "!a=1"),
        (&[], &[], &[1, 1]),
    );
}

#[test]
fn a_session_that_is_gone_or_begins_anew_is_taken_over_whole() {
    check(&[away(1, "a=1 b=1")], &lease(2, "a=2"), (&[1], &[], &[]));
    check(
        &[lease(1, "a=1 b=1")],
        &again(2, "a=2 b=2"),
        (&[1], &[], &[]),
    );
    check(&[away(1, "a=1")], &lease(2, "a=1"), (&[], &[], &[]));
    let file = Lease {
        owner: again(2, "").owner,
        ..lease(0, "a=1")
    };
    check(&[file], &again(2, "a=2"), (&[], &[], &[0]));
    let mut table = table(&[away(1, "a=1 b=1")]);
    let wanted = lease(2, "a=2");
    let grant = table.judge(&wanted).unwrap();
    assert!(grant.notes[0].contains("pid 101"), "{:?}", grant.notes);
    table.grant(wanted, &grant);
    assert_eq!(served(&table), ["2 a:443=2"]);
    assert_eq!(table.lease(LeaseId(1)), None);
}

#[test]
fn who_insists_displaces_and_ends_nobody() {
    let wanted = replacing(2, "a=2");
    check(&[lease(1, "a=1 b=1")], &wanted, (&[], &[1], &[]));
    check(&[saved(1, "a=1")], &wanted, (&[], &[1], &[]));
    check(&[lease(0, "a=1")], &wanted, (&[], &[0], &[]));
    check(&[away(1, "a=1")], &wanted, (&[1], &[], &[]));
    let both = [lease(0, "a=1"), replacing(1, "a=2")];
    check(&both, &replacing(2, "a=3"), (&[], &[1], &[]));
    check(&both, &lease(2, "a=3"), (&[], &[], &[1]));
    check(&both, &lease(2, "a=1"), (&[], &[], &[1]));
}

#[test]
fn replacers_are_a_stack() {
    let mut table = table(&[
        lease(0, "a=0 b=0"),
        replacing(1, "a=1"),
        replacing(2, "a=2 b=2"),
        replacing(3, "a=3"),
    ]);
    assert_eq!(served(&table), ["2 b:443=2", "3 a:443=3"]);
    let displaced: Vec<_> = table.displaced(LeaseId::FILE);
    assert_eq!(displaced, [&claim("a=0"), &claim("b=0")]);
    table.end(LeaseId(2));
    assert_eq!(served(&table), ["0 b:443=0", "3 a:443=3"]);
    table.end(LeaseId(3));
    assert_eq!(served(&table), ["0 b:443=0", "1 a:443=1"]);
    let root = ClaimedPath::Prefix("/".to_owned());
    assert_eq!(table.owner_of("a", 443, &root), Some(LeaseId(1)));
    table.end(LeaseId(1));
    assert_eq!(served(&table), ["0 a:443=0", "0 b:443=0"]);
}

#[test]
fn what_is_shared_is_served_until_the_last_ends() {
    let mut table = table(&[lease(1, "a=1"), lease(2, "a=1")]);
    assert_eq!(served(&table), ["1 a:443=1", "2 a:443=1"]);
    table.end(LeaseId(1));
    assert_eq!(served(&table), ["2 a:443=1"]);
}

#[test]
fn a_change_is_judged_by_what_is_new_in_it() {
    let there = [lease(0, "f=0"), lease(1, "a=1 b=1"), lease(2, "b=1 c=1")];
    check(&there, &lease(1, "a=9 b=1 d=1"), (&[], &[], &[]));
    check(&there, &lease(1, "a=1 b=9"), (&[], &[], &[2]));
    check(&there, &lease(1, "c=9"), (&[], &[], &[2]));
    check(&there, &replacing(1, "c=9"), (&[], &[2], &[]));
    let saved_again = [saved(1, "a=1"), lease(2, "b=1")];
    check(&saved_again, &saved(1, "a=2"), (&[], &[], &[]));
    assert_eq!(
        table(&saved_again).changed_by(&saved(9, "a=2")),
        Some(LeaseId(1))
    );
    assert_eq!(table(&saved_again).changed_by(&saved(9, "b=2")), None);
}

#[test]
fn a_displaced_lease_may_change_and_waits_on() {
    let mut table = table(&[lease(1, "a=1"), replacing(2, "a=2")]);
    let changed = lease(1, "a=9");
    let grant = table.judge(&changed).unwrap();
    table.grant(changed, &grant);
    assert_eq!(served(&table), ["2 a:443=2"]);
    table.end(LeaseId(2));
    assert_eq!(served(&table), ["1 a:443=9"]);
}

#[test]
fn who_shared_a_place_and_insists_on_another_target_gets_it() {
    let mut table = table(&[replacing(1, "a=1"), lease(2, "a=1")]);
    let changed = replacing(1, "a=9");
    let grant = table.judge(&changed).unwrap();
    assert_eq!(grant.displaces.len(), 1);
    table.grant(changed, &grant);
    assert_eq!(served(&table), ["1 a:443=9"]);
}

#[test]
fn a_reload_of_the_file_waits_for_the_guest_that_serves_a_name() {
    let mut table = table(&[lease(0, "a=0"), lease(1, "b=1")]);
    let reloaded = lease(0, "a=5 b=5");
    let grant = table.judge(&reloaded).unwrap();
    let waits: Vec<_> = grant.waits.iter().map(|wait| wait.lease.0).collect();
    assert_eq!((waits, grant.displaces.len()), (vec![1], 0));
    assert!(
        grant.notes[0].contains("until that ends"),
        "{:?}",
        grant.notes
    );
    table.grant(reloaded, &grant);
    assert_eq!(served(&table), ["0 a:443=5", "1 b:443=1"]);
    table.end(LeaseId(1));
    assert_eq!(served(&table), ["0 a:443=5", "0 b:443=5"]);
}

#[test]
fn a_tunnel_has_no_room_beside_it() {
    let mut table = table(&[
        lease(1, "a=1 a/x=1"),
        lease(2, "a/y=2"),
        replacing(3, "!a=3"),
    ]);
    assert_eq!(served(&table), ["3 a:443=3"]);
    let on_top = replacing(4, "a/y=4");
    let grant = table.judge(&on_top).unwrap();
    table.grant(on_top, &grant);
    assert_eq!(served(&table), ["1 a:443=1", "1 a:443/x=1", "4 a:443/y=4"]);
    table.end(LeaseId(4));
    assert_eq!(served(&table), ["3 a:443=3"]);
}

#[test]
fn a_full_table_and_a_huge_lease_are_told() {
    let mut table = Table::new();
    for id in 0..u32::try_from(LEASES_MAX).unwrap() {
        table.inherit(lease(id, ""));
    }
    let full = table.room_for(&lease(1000, "")).unwrap_err();
    assert!(full.to_string().contains("256 leases"), "{full}");
    assert_eq!(table.room_for(&lease(1, "a=1")), Ok(()));
    table.end(LeaseId(7));
    assert_eq!(table.room_for(&lease(1000, "")), Ok(()));
    let many: Vec<String> = (0..=CLAIMS_MAX).map(|n| format!("n{n}=1")).collect();
    let many = many.join(" ");
    let full = table.room_for(&lease(1, &many)).unwrap_err();
    assert!(full.to_string().contains("10001 names"), "{full}");
    assert_eq!(table.room_for(&lease(0, &many)), Ok(()));
}

#[test]
fn many_claims_at_one_name_are_judged_in_linear_time() {
    let claims = |target: &str| {
        let paths: Vec<String> = (0..CLAIMS_MAX).map(|n| format!("a/{n}={target}")).collect();
        paths.join(" ")
    };
    let begin = std::time::Instant::now();
    let mut table = table(&[lease(1, &claims("1")), replacing(2, &claims("2"))]);
    table.end(LeaseId(2));
    assert_eq!(served(&table).len(), CLAIMS_MAX);
    assert!(begin.elapsed() < std::time::Duration::from_secs(20));
}

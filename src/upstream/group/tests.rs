use std::num::NonZeroU16;

use http::header::COOKIE;

use super::*;
use crate::config::backends::{Eject, Health, Member as Listed, Probe};
use crate::config::target::{Address, Scheme, Target};
use crate::upstream::UpstreamError;
use crate::upstream::balance::sticky::Transport;
use crate::upstream::health::Standing;

/// Targets at ports 1, 2, 3 …; the last `backups` of them are backups.
fn backends(count: u16, backups: u16) -> Backends {
    let listed = |port| Listed {
        target: Arc::new(Target {
            scheme: Scheme::Http,
            address: Address::Loopback { port },
        }),
        weight: NonZeroU16::MIN,
        role: if port > count - backups {
            Role::Backup
        } else {
            Role::Main
        },
    };
    Backends {
        members: (1..=count).map(listed).collect(),
        ..Backends::of([])
    }
}

fn checked(backends: Backends) -> Backends {
    let health = Health {
        probe: Probe::Tcp,
        every: Duration::from_secs(1),
        timeout: Duration::from_secs(1),
        fails: NonZeroU32::MIN,
        passes: NonZeroU32::MIN,
    };
    Backends {
        health: Some(Arc::new(health)),
        ..backends
    }
}

fn group(backends: Backends) -> Rc<Group> {
    Groups::new(Standings::default(), Names::default()).of(&Arc::new(backends))
}

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The port of the next one that nobody tried.
fn next(group: &Rc<Group>, tried: &mut Tried, wish: Wish, now: Duration) -> Option<u16> {
    let asking = group.choose(tried, wish, now)?;
    Some(port(&asking))
}

fn port(asking: &Asking) -> u16 {
    match asking.target().address {
        Address::Loopback { port } => port,
        Address::Ip(_) | Address::Name { .. } | Address::Unix(_) => panic!("no port of loopback"),
    }
}

/// The ports of `turns` exchanges, one after another, sorted.
fn ports(group: &Rc<Group>, wish: Wish, now: Duration, turns: usize) -> Vec<u16> {
    let turn = |_turn| next(group, &mut Tried::default(), wish, now);
    let mut ports: Vec<u16> = (0..turns).filter_map(turn).collect();
    ports.sort_unstable();
    ports
}

fn standing(group: &Group, port: u16) -> &Arc<Standing> {
    &group.members[usize::from(port - 1)].standing
}

/// As many failures as eject one.
fn eject(group: &Rc<Group>, port: u16, now: Duration) {
    for _failure in 0..Eject::default().fails.get() {
        let index = usize::from(port - 1);
        let asking = Asking::begin(group.clone(), index, now);
        asking.failed(&UpstreamError::ConnectTimedOut, now);
    }
    assert!(!standing(group, port).is_open(now));
}

#[test]
fn each_target_is_tried_once() {
    for count in [1, 2, 5, 70] {
        let group = group(backends(count, 0));
        let mut tried = Tried::default();
        let next = || next(&group, &mut tried, Wish::Anyone, at(1));
        let mut ports: Vec<u16> = std::iter::from_fn(next).collect();
        ports.sort_unstable();
        assert!(ports.into_iter().eq(1..=count));
    }
}

#[test]
fn many_workers_do_not_all_begin_with_the_same() {
    let first = |_worker| ports(&group(backends(3, 0)), Wish::Anyone, at(1), 1)[0];
    let mut firsts: Vec<u16> = (0..100).map(first).collect();
    firsts.sort_unstable();
    firsts.dedup();
    assert_eq!(firsts, [1, 2, 3]);
}

#[test]
fn backups_are_asked_when_no_main_target_can_be() {
    let group = group(backends(3, 1));
    assert_eq!(ports(&group, Wish::Anyone, at(1), 4), [1, 1, 2, 2]);
    let mut tried = Tried::default();
    let mut order: Vec<u16> =
        std::iter::from_fn(|| next(&group, &mut tried, Wish::Anyone, at(1))).collect();
    assert_eq!(order.pop(), Some(3));
    eject(&group, 1, at(2));
    assert_eq!(ports(&group, Wish::Anyone, at(2), 2), [2, 2]);
    eject(&group, 2, at(2));
    assert_eq!(ports(&group, Wish::Anyone, at(2), 2), [3, 3]);
}

#[test]
fn when_all_are_left_out_all_are_tried() {
    let group = group(backends(3, 1));
    for port in 1..=3 {
        eject(&group, port, at(1));
    }
    assert_eq!(ports(&group, Wish::Anyone, at(2), 4), [1, 1, 2, 2]);
    let mut tried = Tried::default();
    let order: Vec<u16> =
        std::iter::from_fn(|| next(&group, &mut tried, Wish::Anyone, at(2))).collect();
    assert_eq!(order.len(), 3);
    assert_eq!(order[2], 3);
}

#[test]
fn whoever_is_down_by_its_checks_is_never_tried() {
    let group = group(checked(backends(2, 0)));
    standing(&group, 1).set_up(false);
    let mut tried = Tried::default();
    assert_eq!(next(&group, &mut tried, Wish::Anyone, at(1)), Some(2));
    assert_eq!(next(&group, &mut tried, Wish::Anyone, at(1)), None);
    standing(&group, 2).set_up(false);
    standing(&group, 2).note_down("no connection in time");
    assert_eq!(
        next(&group, &mut Tried::default(), Wish::Anyone, at(1)),
        None
    );
    let words = "no target can be asked, by their health checks all are down: localhost:1, localhost:2 (no connection in time)";
    assert_eq!(group.nobody(), words);
}

#[test]
fn checks_of_others_are_nothing_to_a_rule_without_any() {
    let group = group(backends(1, 0));
    standing(&group, 1).set_up(false);
    assert_eq!(ports(&group, Wish::Anyone, at(1), 1), [1]);
}

#[test]
fn one_that_was_left_out_is_tried_alone_until_it_answers() {
    let group = group(backends(2, 0));
    eject(&group, 1, at(5));
    assert_eq!(ports(&group, Wish::Anyone, at(14), 9), [2; 9]);
    assert_eq!(ports(&group, Wish::Anyone, at(15), 9).remove(0), 1);
    assert_eq!(ports(&group, Wish::Anyone, at(15), 9), [2; 9]);
    let trial = loop {
        let asking = group.choose(&mut Tried::default(), Wish::Anyone, at(16));
        let asking = asking.unwrap();
        if port(&asking) == 1 {
            break asking;
        }
    };
    trial.succeeded(at(16));
    // A tenth of its weight at first.
    let share = |now| {
        let ports = ports(&group, Wish::Anyone, now, 110);
        ports.iter().filter(|port| **port == 1).count()
    };
    assert!((9..=11).contains(&share(at(16))));
    assert!((54..=56).contains(&share(at(26))));
}

#[test]
fn exchanges_under_way_are_counted_until_they_end() {
    let group = group(backends(2, 0));
    let asking = group.choose(&mut Tried::default(), Wish::Anyone, at(1));
    let asking = asking.unwrap();
    assert_eq!(asking.standing().busy(), 1);
    let standing = asking.standing().clone();
    drop(asking);
    assert_eq!(standing.busy(), 0);
}

#[test]
fn the_clients_faults_are_not_held_against_a_target() {
    let group = group(backends(2, 0));
    for _fault in 0..10 {
        let asking = Asking::begin(group.clone(), 0, at(1));
        let fault = UpstreamError::ClientBody(crate::upstream::BodyError::Broken);
        asking.failed(&fault, at(1));
    }
    assert!(standing(&group, 1).is_open(at(1)));
}

#[test]
fn an_address_has_its_target_and_another_one_while_that_is_out() {
    let hashed = Backends {
        balance: Balance::IpHash,
        ..backends(5, 0)
    };
    let group = group(hashed);
    let wish = group.wish(None, [192, 0, 2, 7].into());
    let mapped = group.wish(None, "::ffff:192.0.2.7".parse().unwrap());
    assert_eq!(wish, mapped);
    let own = ports(&group, wish, at(1), 1)[0];
    assert_eq!(ports(&group, wish, at(1), 9), [own; 9]);
    eject(&group, own, at(1));
    let other = ports(&group, wish, at(1), 1)[0];
    assert_ne!(own, other);
    assert_eq!(ports(&group, wish, at(1), 9), [other; 9]);
}

#[test]
fn without_the_header_it_goes_in_turn() {
    let name = HeaderName::from_static("x-tenant");
    let hashed = Backends {
        balance: Balance::Header(name.clone()),
        ..backends(2, 0)
    };
    let group = group(hashed);
    let (mut head, ()) = http::Request::new(()).into_parts();
    let client = [192, 0, 2, 7].into();
    assert_eq!(group.wish(Some(&head), client), Wish::Anyone);
    assert_eq!(ports(&group, Wish::Anyone, at(1), 4), [1, 1, 2, 2]);
    head.headers.append(&name, HeaderValue::from_static("acme"));
    let wish = group.wish(Some(&head), client);
    assert_ne!(wish, Wish::Anyone);
    let own = ports(&group, wish, at(1), 1)[0];
    assert_eq!(ports(&group, wish, at(1), 9), [own; 9]);
}

#[test]
fn the_host_is_a_header_in_http2_too() {
    let hashed = Backends {
        balance: Balance::Header(HOST),
        ..backends(2, 0)
    };
    let group = group(hashed);
    let wish = |request: http::request::Builder| {
        let (head, ()) = request.body(()).unwrap().into_parts();
        group.wish(Some(&head), [192, 0, 2, 7].into())
    };
    let first = wish(http::Request::get("/").header(HOST, "a.test"));
    assert!(matches!(first, Wish::Key(_)));
    assert_eq!(wish(http::Request::get("https://a.test/")), first);
}

#[test]
fn a_cookie_leads_back_to_its_target_and_is_given_where_it_does_not() {
    let sticky = Backends {
        balance: Balance::Cookie("to".into()),
        ..backends(3, 1)
    };
    let group = group(sticky);
    let client = [192, 0, 2, 7].into();
    let first = group.choose(&mut Tried::default(), Wish::Anyone, at(1));
    let first = first.unwrap();
    let given = first.cookie(Wish::Anyone, Transport::Secure).unwrap();
    let pair = given.to_str().unwrap().split(';').next().unwrap();
    let request = http::Request::get("/").header(COOKIE, pair).body(());
    let (head, ()) = request.unwrap().into_parts();
    let wish = group.wish(Some(&head), client);
    assert_eq!(wish, Wish::Member(usize::from(port(&first) - 1)));
    assert_eq!(first.cookie(wish, Transport::Secure), None);
    assert_eq!(ports(&group, wish, at(1), 9), [port(&first); 9]);
    eject(&group, port(&first), at(1));
    let other = group.choose(&mut Tried::default(), wish, at(1)).unwrap();
    assert_ne!(port(&other), port(&first));
    assert!(other.cookie(wish, Transport::Clear).is_some());
    // A backup keeps those whom it was given.
    assert_eq!(ports(&group, Wish::Member(2), at(1), 9), [3; 9]);
}

#[test]
fn equal_targets_of_two_rules_have_one_standing() {
    let groups = Groups::new(Standings::default(), Names::default());
    let [one, other] = [2, 3].map(|count| groups.of(&Arc::new(backends(count, 0))));
    eject(&one, 1, at(1));
    assert!(!standing(&other, 1).is_open(at(1)));
}

#[test]
fn a_group_is_made_once_a_configuration() {
    let groups = Groups::new(Standings::default(), Names::default());
    let backends = Arc::new(backends(2, 0));
    let group = groups.of(&backends);
    assert!(Rc::ptr_eq(&group, &groups.of(&backends)));
    groups.clear();
    assert!(!Rc::ptr_eq(&group, &groups.of(&backends)));
}

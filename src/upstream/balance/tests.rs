//! Whoever may be asked: fairly, never starved, and the same one where it matters.

use std::time::Duration;

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};
use proptest::prelude::*;

use super::sticky::{Id, Transport};
use super::*;

/// One candidate for each weight, all idle.
fn candidates(weights: &[u32]) -> Vec<Candidate> {
    let candidate = |(index, weight): (usize, &u32)| Candidate {
        index,
        weight: *weight,
        busy: 0,
        key: rendezvous::key([format!("10.0.0.{index}:3000").as_bytes()]),
    };
    weights.iter().enumerate().map(candidate).collect()
}

fn weights() -> impl Strategy<Value = Vec<u32>> {
    prop::collection::vec(1..20_u32, 1..8)
}

fn below(random: &mut fastrand::Rng) -> impl FnMut(u64) -> u64 {
    |below| random.u64(..below)
}

#[test]
fn turns_are_spread_and_not_in_bursts() {
    let candidates = candidates(&[5, 1, 1]);
    let mut credits = [0; 3];
    let turns: Vec<_> = (0..7)
        .filter_map(|_turn| smooth::next(&candidates, &mut credits))
        .collect();
    // The example of nginx's own description.
    assert_eq!(turns, [0, 0, 1, 0, 2, 0, 0]);
}

#[test]
fn among_nobody_nobody_is_chosen() {
    assert_eq!(smooth::next(&[], &mut []), None);
    assert_eq!(least::next(&[], &mut []), None);
    assert_eq!(two::next(&[], |_below| 0), None);
    assert_eq!(rendezvous::choose(&[], 7), None);
}

#[test]
fn a_busy_one_is_asked_less_for_its_weight() {
    let mut candidates = candidates(&[1, 4]);
    let mut credits = [0; 2];
    candidates[1].busy = 3;
    candidates[0].busy = 1;
    assert_eq!(least::next(&candidates, &mut credits), Some(1));
    candidates[1].busy = 5;
    assert_eq!(least::next(&candidates, &mut credits), Some(0));
}

#[test]
fn a_returned_one_gets_its_share_back_in_ten_seconds() {
    let at = |millis| {
        ramp::weight(
            2,
            Some(Duration::from_secs(5)),
            Duration::from_millis(millis),
        )
    };
    assert_eq!(ramp::weight(2, None, Duration::ZERO), 2000);
    assert_eq!([at(5000), at(5500)], [200, 200]);
    assert_eq!([at(10_000), at(15_000), at(99_000)], [1000, 2000, 2000]);
}

#[test]
fn ids_tell_nothing_and_stay_the_same() {
    let ids = sticky::ids(["10.0.0.1:3000", "10.0.0.2:3000", "10.0.0.1:3000"]);
    assert_eq!(ids[0].as_str(), "43i3");
    assert_eq!(ids[1], sticky::ids(["10.0.0.2:3000"])[0]);
    assert_ne!(ids[0], ids[2]);
    let given = sticky::given("to", ids[0], Transport::Secure).unwrap();
    assert_eq!(given, "to=43i3; Path=/; Secure; HttpOnly; SameSite=Lax");
    let given = sticky::given("to", ids[0], Transport::Clear).unwrap();
    assert_eq!(given, "to=43i3; Path=/; HttpOnly; SameSite=Lax");
    assert_eq!(sticky::given("t\no", ids[0], Transport::Clear), None);
}

fn named(lines: &[&str]) -> Option<usize> {
    let headers: HeaderMap = lines
        .iter()
        .map(|line| (COOKIE, HeaderValue::from_str(line).unwrap()))
        .collect();
    let ids = sticky::ids(["10.0.0.1:3000", "10.0.0.2:3000"]);
    sticky::named(&headers, "to", &ids.iter().copied())
}

fn second() -> Id {
    sticky::ids(["10.0.0.2:3000"])[0]
}

#[test]
fn only_a_cookie_of_this_very_name_and_value_counts() {
    let id = second();
    let id = id.as_str();
    for good in [
        &[&*format!("to={id}")][..],
        &[&format!("a=b; to={id}; c=d")],
        &["a=b", &format!("x=y;to={id}")],
        &["to=nobody; to=", &format!("to={id}")],
    ] {
        assert_eq!(named(good), Some(1), "{good:?}");
    }
    for bad in [
        &[][..],
        &["to"],
        &[&format!("to=\"{id}\"")],
        &[&format!("To={id}")],
        &[&format!("to ={id}")],
        &[&format!("to={id}x")],
        &[&format!("xto={id}")],
        &[&format!("a=to={id}")],
        &[&format!("to={}", id.to_uppercase())],
    ] {
        assert_eq!(named(bad), None, "{bad:?}");
    }
}

#[test]
fn cookies_beyond_the_limit_are_not_looked_at() {
    let id = second();
    let many = |others| format!("{}to={}", "a=b; ".repeat(others), id.as_str());
    assert_eq!(named(&[&many(sticky::COOKIES_MAX - 1)]), Some(1));
    assert_eq!(named(&[&many(sticky::COOKIES_MAX)]), None);
}

proptest! {
    #[test]
    fn a_round_gives_everybody_exactly_its_weight(weights in weights()) {
        let candidates = candidates(&weights);
        let mut credits = vec![0; weights.len()];
        let total: u32 = weights.iter().sum();
        for _round in 0..3 {
            let mut got = vec![0; weights.len()];
            for _turn in 0..total {
                got[smooth::next(&candidates, &mut credits).unwrap()] += 1;
            }
            prop_assert_eq!(&got, &weights);
        }
    }

    #[test]
    fn idle_ones_are_asked_by_weight_for_least_connections_too(weights in weights()) {
        let candidates = candidates(&weights);
        let mut credits = vec![0; weights.len()];
        let total: u32 = weights.iter().sum();
        let mut got = vec![0; weights.len()];
        for _turn in 0..total {
            got[least::next(&candidates, &mut credits).unwrap()] += 1;
        }
        prop_assert_eq!(&got, &weights);
    }

    #[test]
    fn least_connections_keeps_loads_level_and_starves_nobody(
        weights in weights(),
        ends in prop::collection::vec(any::<prop::sample::Index>(), 200),
    ) {
        let mut candidates = candidates(&weights);
        let mut credits = vec![0; weights.len()];
        let mut under_way = Vec::new();
        for (turn, end) in ends.iter().enumerate() {
            let chosen = least::next(&candidates, &mut credits).unwrap();
            let load = |candidate: &Candidate| f64::from(candidate.busy) / f64::from(candidate.weight);
            let least = candidates.iter().map(load).fold(f64::INFINITY, f64::min);
            prop_assert!(load(&candidates[chosen]) <= least + 1e-9);
            candidates[chosen].busy += 1;
            under_way.push(chosen);
            if turn % 3 == 2 {
                let ended = under_way.swap_remove(end.index(under_way.len()));
                candidates[ended].busy -= 1;
            }
        }
    }

    #[test]
    fn of_two_the_freer_one_is_asked(weights in weights(), seed: u64, busy in prop::collection::vec(0..5_u32, 8)) {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut candidates = candidates(&weights);
        for (candidate, busy) in candidates.iter_mut().zip(busy) {
            candidate.busy = busy;
        }
        let chosen = two::next(&candidates, below(&mut random)).unwrap();
        let beaten = candidates.iter().filter(|other| !other.is_freer_than(&candidates[chosen]));
        // At least one other than itself, if there is one.
        prop_assert!(beaten.count() >= candidates.len().min(2));
    }

    #[test]
    fn chance_asks_idle_ones_by_weight(weights in weights(), seed: u64) {
        let mut random = fastrand::Rng::with_seed(seed);
        let candidates = candidates(&weights);
        let mut got = vec![0_u32; weights.len()];
        let turns = 20_000;
        for _turn in 0..turns {
            got[two::next(&candidates, below(&mut random)).unwrap()] += 1;
        }
        assert_shares(&weights, &got, turns);
    }

    #[test]
    fn keys_are_shared_by_weight(weights in weights(), seed: u64) {
        let candidates = candidates(&weights);
        let mut random = fastrand::Rng::with_seed(seed);
        let mut got = vec![0_u32; weights.len()];
        let turns = 20_000;
        for _turn in 0..turns {
            got[rendezvous::choose(&candidates, random.u64(..)).unwrap()] += 1;
        }
        assert_shares(&weights, &got, turns);
    }

    #[test]
    fn only_keys_of_a_target_that_goes_or_comes_move(weights in weights(), gone: prop::sample::Index, key: u64) {
        let all = candidates(&weights);
        let gone = gone.index(all.len());
        let mut rest = all.clone();
        rest.remove(gone);
        let before = rendezvous::choose(&all, key).unwrap();
        let after = rendezvous::choose(&rest, key);
        prop_assert!(before == gone || after == Some(before));
    }

    #[test]
    fn more_weight_takes_keys_and_moves_no_others(weights in weights(), grown: prop::sample::Index, key: u64) {
        let all = candidates(&weights);
        let grown = grown.index(all.len());
        let mut heavier = all.clone();
        heavier[grown].weight *= 2;
        let before = rendezvous::choose(&all, key);
        let after = rendezvous::choose(&heavier, key);
        prop_assert!(before == after || after == Some(grown));
    }

    #[test]
    fn where_a_target_stands_in_the_list_is_nothing_to_its_keys(weights in weights(), key: u64) {
        let all = candidates(&weights);
        let mut turned = all.clone();
        turned.reverse();
        prop_assert_eq!(rendezvous::choose(&all, key), rendezvous::choose(&turned, key));
    }

    #[test]
    fn whatever_stands_in_a_cookie_is_read(line in "[ -~]{0,80}") {
        let _named = named(&[&line]);
    }
}

#[track_caller]
fn assert_shares(weights: &[u32], got: &[u32], turns: u32) {
    let total: u32 = weights.iter().sum();
    for (weight, got) in weights.iter().zip(got) {
        let share = f64::from(*weight) / f64::from(total);
        let expected = share * f64::from(turns);
        // Six standard deviations.
        let slack = 6.0 * (expected * (1.0 - share)).sqrt() + 1.0;
        assert!(
            (f64::from(*got) - expected).abs() <= slack,
            "{weights:?}: {got} for {weight}, not about {expected}"
        );
    }
}

//! How often everybody asked lately, for the whole process: all workers count together, and over reloads.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName};

use super::debts::{BYTES_MAX, Crowding, Debtor, Debts};
use super::gcra::{Nanos, Pace, Verdict};
use crate::config::guard::Rate;

/// Everybody who asked lately under some `rate`.
#[derive(Debug)]
pub struct Rates {
    parts: Box<[Part]>,
    /// Drawn anew by every process, so that nobody can make keys that meet in one place.
    secret: RandomState,
    /// When the first request was counted.
    began: OnceLock<Instant>,
    forgotten: AtomicU64,
}

#[derive(Debug, Default)]
#[repr(align(64))]
struct Part(Mutex<Debts>);

/// What is counted apart within a scope.
#[derive(Debug, Clone, Copy)]
pub(super) enum Key<'a> {
    /// The canonical address of a client.
    Address(IpAddr),
    Host(&'a str),
    /// All lines of a request's field.
    Field(&'a HeaderMap, &'a HeaderName),
    /// None of them: the request has no such field.
    Nothing,
}

/// Each has a lock of its own.
const PARTS: usize = 64;

/// What all of it may take in memory.
pub const RATES_BYTES_MAX: usize = 8 << 20;
const _: () = assert!(PARTS * (BYTES_MAX + size_of::<Part>()) <= RATES_BYTES_MAX);

impl Default for Rates {
    fn default() -> Self {
        Self {
            parts: (0..PARTS).map(|_part| Part::default()).collect(),
            secret: RandomState::new(),
            began: OnceLock::new(),
            forgotten: AtomicU64::new(0),
        }
    }
}

impl Rates {
    /// Counts a request; one that comes too early is not counted, and told how long it has to wait.
    pub(super) fn count(&self, rate: &Rate, key: Key<'_>, now: Instant) -> Result<(), Duration> {
        let hash = self.hash(rate.scope, key);
        let debtor = Debtor {
            hash: hash / PARTS as u64,
            scope: fold(rate.scope),
        };
        let part = usize::try_from(hash % PARTS as u64).unwrap_or_default();
        let pace = Pace::new(rate.limit, rate.per, rate.burst);
        let now = self.nanos(now);
        let (verdict, crowding) = {
            let part = &self.parts[part].0;
            let mut debts = part.lock().unwrap_or_else(PoisonError::into_inner);
            debts.judge(debtor, pace, now)
        };
        if crowding == Crowding::Forgot {
            self.tell();
        }
        match verdict {
            Verdict::Serve(_) => Ok(()),
            Verdict::Wait(time) => Err(time),
        }
    }

    fn hash(&self, scope: u64, key: Key<'_>) -> u64 {
        let mut hasher = self.secret.build_hasher();
        hasher.write_u64(scope);
        match key {
            Key::Address(IpAddr::V4(address)) => {
                hasher.write_u8(4);
                hasher.write(&address.octets());
            }
            // Whoever has one address of a /64 has them all.
            Key::Address(IpAddr::V6(address)) => {
                hasher.write_u8(6);
                hasher.write(&address.octets()[..8]);
            }
            Key::Host(host) => {
                hasher.write_u8(1);
                hasher.write(host.as_bytes());
            }
            Key::Field(headers, name) => {
                hasher.write_u8(2);
                for line in headers.get_all(name) {
                    hasher.write_usize(line.len());
                    hasher.write(line.as_bytes());
                }
            }
            Key::Nothing => hasher.write_u8(0),
        }
        hasher.finish()
    }

    /// Never 0, which is no time at which anybody owes anything.
    fn nanos(&self, now: Instant) -> Nanos {
        let began = *self.began.get_or_init(|| now);
        let since = now.saturating_duration_since(began).as_nanos();
        Nanos::try_from(since)
            .unwrap_or(Nanos::MAX)
            .saturating_add(1)
    }

    /// Told ever more rarely.
    fn tell(&self) {
        let forgotten = self.forgotten.fetch_add(1, Ordering::Relaxed) + 1;
        if forgotten.is_power_of_two() {
            tracing::warn!(
                forgotten,
                "more clients than `rate` can tell apart: some begin anew"
            );
        }
    }
}

/// Scopes that meet share their part of a crowded table, and nothing else.
fn fold(scope: u64) -> u32 {
    let octets = (scope ^ scope >> 32).to_le_bytes();
    u32::from_le_bytes([octets[0], octets[1], octets[2], octets[3]])
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::sync::Arc;
    use std::thread;

    use http::HeaderValue;

    use super::*;
    use crate::config::guard::RateKey;

    fn rate(scope: u64, limit: u32, burst: u32) -> Rate {
        let count = |number| NonZeroU32::new(number).unwrap();
        Rate {
            limit: count(limit),
            per: Duration::from_secs(3600),
            burst: count(burst),
            key: RateKey::Ip,
            scope,
        }
    }

    fn address(text: &str) -> Key<'static> {
        Key::Address(text.parse().unwrap())
    }

    /// Whether the second request is one too many when only the first key was there before.
    #[track_caller]
    fn check(first: (u64, Key<'_>), second: (u64, Key<'_>), are_one: bool) {
        let rates = Rates::default();
        let now = Instant::now();
        rates.count(&rate(first.0, 1, 1), first.1, now).unwrap();
        let again = rates.count(&rate(second.0, 1, 1), second.1, now);
        assert_eq!(again.is_err(), are_one, "{first:?} {second:?}");
    }

    #[test]
    fn what_is_counted_together() {
        check((1, address("192.0.2.7")), (1, address("192.0.2.7")), true);
        check((1, address("192.0.2.7")), (1, address("192.0.2.8")), false);
        check((1, address("192.0.2.7")), (2, address("192.0.2.7")), false);
        check(
            (1, address("2001:db8::7")),
            (1, address("2001:db8::ffff:8")),
            true,
        );
        check(
            (1, address("2001:db8::7")),
            (1, address("2001:db8:0:1::7")),
            false,
        );
        check((1, Key::Host("a.test")), (1, Key::Host("a.test")), true);
        check((1, Key::Host("a.test")), (1, Key::Host("b.test")), false);
        check((1, Key::Host("")), (1, Key::Nothing), false);
        check((1, Key::Nothing), (1, Key::Nothing), true);
    }

    #[test]
    fn fields_are_counted_by_all_their_lines() {
        let name = HeaderName::from_static("x-key");
        let headers = |lines: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(&name, HeaderValue::from_static(line));
            }
            headers
        };
        let (ab, a_b, ba) = (headers(&["ab"]), headers(&["a", "b"]), headers(&["b", "a"]));
        let key = |headers| (1, Key::Field(headers, &name));
        check(key(&ab), key(&ab), true);
        check(key(&ab), key(&a_b), false);
        check(key(&a_b), key(&ba), false);
        check(key(&ab), (1, Key::Host("ab")), false);
    }

    #[test]
    fn workers_count_together() {
        let rates = Arc::new(Rates::default());
        let (now, key) = (Instant::now(), address("192.0.2.7"));
        let workers = (0..4).map(|_| {
            let rates = rates.clone();
            thread::spawn(move || {
                let served = (0..1000).filter(|_| rates.count(&rate(1, 1, 100), key, now).is_ok());
                served.count()
            })
        });
        let workers: Vec<_> = workers.collect();
        let served: usize = workers
            .into_iter()
            .map(|worker| worker.join().unwrap())
            .sum();
        assert_eq!(served, 100);
    }

    #[test]
    fn fifty_thousand_clients_are_told_apart_in_a_few_megabytes() {
        let rates = Rates::default();
        let now = Instant::now();
        let client = |number: u32| Key::Address(IpAddr::from(number.to_be_bytes()));
        for number in 0..50_000 {
            rates.count(&rate(1, 1, 1), client(number), now).unwrap();
        }
        for number in 0..50_000 {
            assert!(
                rates.count(&rate(1, 1, 1), client(number), now).is_err(),
                "{number}"
            );
        }
        assert_eq!(rates.forgotten.load(Ordering::Relaxed), 0);
        let places = rates
            .parts
            .iter()
            .map(|part| part.0.lock().unwrap().places());
        let octets = places.sum::<usize>() * (BYTES_MAX / super::super::debts::PLACES_MAX);
        assert!(octets < 20 << 20, "{octets}");
        assert!(octets <= RATES_BYTES_MAX);
    }

    #[test]
    fn time_before_the_first_request_is_no_fault() {
        let rates = Rates::default();
        let earlier = Instant::now();
        let later = earlier + Duration::from_secs(1);
        rates.count(&rate(1, 1, 2), Key::Nothing, later).unwrap();
        rates.count(&rate(1, 1, 2), Key::Nothing, earlier).unwrap();
        let wait = rates
            .count(&rate(1, 1, 2), Key::Nothing, later)
            .unwrap_err();
        assert!(wait <= Duration::from_secs(3600), "{wait:?}");
    }
}

//! How many connections each client address has at this moment, over all workers: what `limits.connections_per_ip` is held against.

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;

/// Locks among which the addresses are spread; a power of two.
const SHARDS: usize = 64;
/// Tables up to this size stay as they are when their addresses leave.
const ROOM_KEPT: usize = 64;
/// Addresses that are told of for everybody to see; the rest are for whoever looks closely.
const TOLD_MAX: usize = 100;

/// Everybody who is here and counted. Holds an address as long as it has a connection, and no longer.
#[derive(Debug)]
pub struct Crowd {
    shards: [Mutex<HashMap<Address, Present, RandomState>>; SHARDS],
    spread: RandomState,
    told: AtomicUsize,
}

/// One connection's place among those of its address. Given back when dropped.
#[derive(Debug)]
pub(super) struct Seat {
    crowd: Arc<Crowd>,
    address: Address,
}

/// What one client is known by: of IPv6 the network of a link, within which a host chooses its addresses (RFC 4291 section 2.5.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Address {
    V4(u32),
    V6(u64),
}

#[derive(Debug, Default)]
struct Present {
    connections: u32,
    was_refused: bool,
}

/// No more connections are for this address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full {
    pub telling: Telling,
}

/// How loudly a refusal is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Telling {
    /// The first of its address.
    Aloud,
    Quietly,
}

impl Default for Crowd {
    fn default() -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::default()),
            spread: RandomState::default(),
            told: AtomicUsize::new(0),
        }
    }
}

impl Crowd {
    /// Takes a place for a connection from an address that may have `max`.
    ///
    /// # Errors
    /// When it has as many.
    pub(super) fn enter(self: &Arc<Self>, ip: IpAddr, max: NonZeroU32) -> Result<Seat, Full> {
        let address = Address::of(ip);
        let mut shard = self.shard(address);
        let present = shard.entry(address).or_default();
        if present.connections >= max.get() {
            let first = !std::mem::replace(&mut present.was_refused, true);
            return Err(Full {
                telling: self.telling(first),
            });
        }
        present.connections += 1;
        Ok(Seat {
            crowd: self.clone(),
            address,
        })
    }

    fn telling(&self, first: bool) -> Telling {
        if first && self.told.fetch_add(1, Ordering::Relaxed) < TOLD_MAX {
            Telling::Aloud
        } else {
            Telling::Quietly
        }
    }

    fn shard(&self, address: Address) -> MutexGuard<'_, HashMap<Address, Present, RandomState>> {
        use std::hash::BuildHasher as _;
        let hash = self.spread.hash_one(address);
        let index = usize::try_from(hash % SHARDS as u64).unwrap_or_default();
        self.shards[index]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut shard = self.crowd.shard(self.address);
        let Some(present) = shard.get_mut(&self.address) else {
            return;
        };
        present.connections = present.connections.saturating_sub(1);
        if present.connections == 0 {
            shard.remove(&self.address);
            if shard.capacity() > ROOM_KEPT && shard.len() < shard.capacity() / 8 {
                let room = ROOM_KEPT.max(shard.len() * 2);
                shard.shrink_to(room);
            }
        }
    }
}

impl Address {
    fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(ip) => Self::V4(ip.to_bits()),
            IpAddr::V6(ip) => {
                let [a, b, c, d, ..] = ip.segments();
                let network = [a, b, c, d].into_iter();
                Self::V6(network.fold(0, |bits, part| (bits << 16) | u64::from(part)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: NonZeroU32 = NonZeroU32::new(2).unwrap();

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn addresses(crowd: &Crowd) -> usize {
        let shards = crowd.shards.iter();
        shards.map(|shard| shard.lock().unwrap().len()).sum()
    }

    #[test]
    fn an_address_has_as_many_as_it_may_and_one_more_when_one_left() {
        let crowd = Arc::new(Crowd::default());
        let here = [
            crowd.enter(ip("192.0.2.1"), TWO),
            crowd.enter(ip("::ffff:192.0.2.1"), TWO),
        ];
        let [first, second] = here.map(Result::unwrap);
        let refused = crowd.enter(ip("192.0.2.1"), TWO).unwrap_err();
        assert_eq!(refused.telling, Telling::Aloud);
        let again = crowd.enter(ip("192.0.2.1"), TWO).unwrap_err();
        assert_eq!(again.telling, Telling::Quietly);
        let other = crowd.enter(ip("192.0.2.2"), TWO).unwrap();
        drop(first);
        let third = crowd.enter(ip("192.0.2.1"), TWO).unwrap();
        assert!(crowd.enter(ip("192.0.2.1"), TWO).is_err());
        drop((second, third, other));
        assert_eq!(addresses(&crowd), 0);
    }

    #[test]
    fn a_network_of_ipv6_is_one_client() {
        let crowd = Arc::new(Crowd::default());
        let _seats =
            [ip("2001:db8::1"), ip("2001:db8::ffff:2")].map(|ip| crowd.enter(ip, TWO).unwrap());
        assert!(crowd.enter(ip("2001:db8:0:0:9::"), TWO).is_err());
        assert!(crowd.enter(ip("2001:db8:0:1::"), TWO).is_ok());
        assert!(crowd.enter(ip("0.0.0.1"), TWO).is_ok());
    }

    #[test]
    fn a_limit_that_was_lowered_lets_nobody_in_until_enough_left() {
        let crowd = Arc::new(Crowd::default());
        let mut seats: Vec<Seat> = (0..2)
            .map(|_| crowd.enter(ip("192.0.2.1"), TWO).unwrap())
            .collect();
        assert!(crowd.enter(ip("192.0.2.1"), NonZeroU32::MIN).is_err());
        seats.pop();
        assert!(crowd.enter(ip("192.0.2.1"), NonZeroU32::MIN).is_err());
        seats.pop();
        assert!(crowd.enter(ip("192.0.2.1"), NonZeroU32::MIN).is_ok());
    }

    #[test]
    fn nothing_is_kept_of_those_who_left() {
        let crowd = Arc::new(Crowd::default());
        let seats: Vec<Seat> = (0..100_000)
            .map(|bits| crowd.enter(IpAddr::V4(bits.into()), TWO).unwrap())
            .collect();
        assert_eq!(addresses(&crowd), 100_000);
        drop(seats);
        let room = |shard: &Mutex<HashMap<_, _, _>>| shard.lock().unwrap().capacity();
        assert!(crowd.shards.iter().map(room).sum::<usize>() <= SHARDS * 4 * ROOM_KEPT);
    }

    #[test]
    fn after_a_hundred_addresses_the_rest_are_told_of_quietly() {
        let crowd = Arc::new(Crowd::default());
        let tellings: Vec<Telling> = (0..150)
            .map(|bits| {
                let ip = IpAddr::V4(bits.into());
                let _seat = crowd.enter(ip, NonZeroU32::MIN).unwrap();
                crowd.enter(ip, NonZeroU32::MIN).unwrap_err().telling
            })
            .collect();
        assert!(
            tellings[..TOLD_MAX]
                .iter()
                .all(|telling| *telling == Telling::Aloud)
        );
        assert!(
            tellings[TOLD_MAX..]
                .iter()
                .all(|telling| *telling == Telling::Quietly)
        );
    }
}

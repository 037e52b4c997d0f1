use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::server::ProducesTickets as _;

use super::Tickets;
use super::keys::{KEPT, Keys, PERIOD};
use super::ring::Ticketer;
use super::tending::Tending;
use crate::clock::Clock;
use crate::shutdown::Shutdown;
use crate::storage::store::memory::{Faults, Memory};
use crate::storage::store::{Key, Store, When};

const HOUR: Duration = Duration::from_secs(3600);
const SESSION: &[u8] = b"a session";

/// One process of a fleet.
struct Host {
    tending: Tending,
    ticketer: Ticketer,
}

impl Host {
    fn at(store: &Store, clock: &Clock) -> Self {
        let tending = Tending::begin(store.clone(), clock.clone()).unwrap();
        let ticketer = tending.ring().for_policy("policy");
        Self { tending, ticketer }
    }

    fn seal(&self) -> Vec<u8> {
        self.ticketer.encrypt(SESSION).unwrap()
    }

    fn opens(&self, ticket: &[u8]) -> bool {
        match self.ticketer.decrypt(ticket) {
            Some(opened) => {
                assert_eq!(opened, SESSION);
                true
            }
            None => false,
        }
    }
}

fn noon() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

fn shared() -> (Store, Faults) {
    let (store, faults) = Memory::new();
    faults.share();
    (store, faults)
}

#[tokio::test(start_paused = true)]
async fn a_ticket_is_opened_by_every_host_through_all_rotations() {
    let (store, _faults) = shared();
    let clocks = [noon() - HOUR / 10, noon(), noon() + HOUR / 6].map(Clock::virtual_from);
    let mut hosts = clocks.each_ref().map(|clock| Host::at(&store, clock));
    for host in &mut hosts {
        host.tending.look().await;
    }
    let mut tickets: Vec<(Vec<u8>, u32)> = Vec::new();
    for hour in 0..100_u32 {
        for host in &mut hosts {
            tickets.push((host.seal(), hour));
            host.tending.look().await;
            tickets.push((host.seal(), hour));
        }
        tickets.retain(|(_ticket, born)| (hour - born) * HOUR < KEPT - HOUR);
        for host in &hosts {
            let opened = tickets.iter().all(|(ticket, _born)| host.opens(ticket));
            assert!(opened, "at hour {hour}");
        }
        tokio::time::advance(HOUR).await;
    }
    let stored = store.get(&Key::new("tickets").unwrap()).await.unwrap();
    assert!(Keys::parse(&stored.unwrap().bytes).unwrap().iter().count() <= 5);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_starts_while_the_store_is_down_has_its_own_keys_until_then() {
    let (store, faults) = shared();
    let clock = Clock::virtual_from(noon());
    let mut fleet = Host::at(&store, &clock);
    fleet.tending.look().await;
    faults.cut_off();
    let mut late = Host::at(&store, &clock);
    late.tending.look().await;
    let own = late.seal();
    assert!(late.opens(&own) && !fleet.opens(&own));
    // Its own are rotated, too.
    tokio::time::advance(PERIOD + KEPT + HOUR).await;
    late.tending.look().await;
    tokio::time::advance(PERIOD).await;
    late.tending.look().await;
    assert!(!late.opens(&own));
    let own = late.seal();
    faults.mend();
    late.tending.look().await;
    fleet.tending.look().await;
    assert!(late.opens(&own));
    assert!(fleet.opens(&late.seal()) && late.opens(&fleet.seal()));
}

#[tokio::test(start_paused = true)]
async fn an_emptied_or_scribbled_store_gets_back_the_keys_that_are_known() {
    let (store, _faults) = shared();
    let clock = Clock::virtual_from(noon());
    let [mut one, mut other] = [(); 2].map(|()| Host::at(&store, &clock));
    one.tending.look().await;
    other.tending.look().await;
    let ticket = one.seal();
    let key = Key::new("tickets").unwrap();
    store.delete(&key, &When::Always, None).await.unwrap();
    one.tending.look().await;
    store.put(&key, b"{", &When::Always, None).await.unwrap();
    other.tending.look().await;
    let mut newcomer = Host::at(&store, &clock);
    newcomer.tending.look().await;
    assert!(newcomer.opens(&ticket) && one.opens(&newcomer.seal()));
}

#[tokio::test(start_paused = true)]
async fn no_policy_opens_the_tickets_of_another() {
    let (store, _faults) = shared();
    let clock = Clock::virtual_from(noon());
    let tickets = Tickets::of(&store, &clock, &Shutdown::new()).await.unwrap();
    let [one, same, other] = ["a", "a", "b"].map(|label| tickets.for_policy(label).unwrap());
    let ticket = one.encrypt(SESSION).unwrap();
    assert_eq!(same.decrypt(&ticket).as_deref(), Some(SESSION));
    assert_eq!(other.decrypt(&ticket), None);
}

#[tokio::test(start_paused = true)]
async fn a_store_of_one_machine_holds_no_ticket_keys() {
    let (store, _faults) = Memory::new();
    let clock = Clock::virtual_from(noon());
    let tickets = Tickets::of(&store, &clock, &Shutdown::new()).await.unwrap();
    assert!(matches!(tickets, Tickets::Own));
    assert!(store.list("").await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_was_tampered_with_is_no_ticket() {
    let (store, _faults) = shared();
    let mut host = Host::at(&store, &Clock::virtual_from(noon()));
    host.tending.look().await;
    let ticket = host.seal();
    assert_ne!(ticket, host.seal());
    for at in 0..ticket.len() {
        let mut tampered = ticket.clone();
        tampered[at] ^= 1;
        assert!(!host.opens(&tampered), "at {at}");
        assert!(!host.opens(&ticket[..at]), "cut at {at}");
    }
    assert!(!host.opens(&[0; 1 << 17]));
}

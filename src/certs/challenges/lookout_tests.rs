//! What other hosts answer is found, and scanning costs nothing.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use super::*;
use crate::certs::challenges::stored::Shared;
use crate::storage::store::memory::{Faults, Memory};

const LEASED: Duration = Duration::from_secs(600);
/// From a CA's last question to the first of the next order.
const BETWEEN_ORDERS: Duration = Duration::from_secs(3);
const TOKEN: &str = "a-token-of-some-128-bits";

struct Fleet {
    store: Store,
    memory: Faults,
    clock: Clock,
}

impl Fleet {
    fn new() -> Self {
        let (store, memory) = Memory::new();
        memory.share();
        let clock = Clock::virtual_from(SystemTime::UNIX_EPOCH + LEASED);
        Self {
            store,
            memory,
            clock,
        }
    }

    fn host(&self) -> (Challenges, Faults) {
        let (store, faults) = self.memory.process();
        let challenges = Challenges::default();
        challenges.look_into(store, self.clock.clone(), &Shutdown::new());
        (challenges, faults)
    }

    async fn shows(&self, challenge: Shared<'_>) {
        self.shows_for(challenge, "t.k").await;
    }

    async fn shows_for(&self, challenge: Shared<'_>, answer: &str) {
        let name = Key::new("work").unwrap();
        let lease = self.store.lease(&name, LEASED).await.unwrap().unwrap();
        let under = (&self.store, &lease);
        let shared = Challenges::default()
            .share(under, challenge, answer, &self.clock)
            .await;
        shared.unwrap();
    }
}

async fn http(challenges: &Challenges, token: &str) -> Option<String> {
    let path = format!("{HTTP_PATH}{token}");
    let sought = challenges.seek_http(&path)?;
    sought.await.map(|text| text.to_string())
}

#[tokio::test(start_paused = true)]
async fn another_hosts_answer_is_given_and_later_looked_for_again() {
    let fleet = Fleet::new();
    let (challenges, faults) = fleet.host();
    assert_eq!(http(&challenges, TOKEN).await, None);
    fleet.shows(Shared::Http { token: TOKEN }).await;
    assert_eq!(http(&challenges, TOKEN).await.as_deref(), Some("t.k"));
    faults.cut_off();
    let path = format!("{HTTP_PATH}{TOKEN}");
    assert_eq!(challenges.http(&path).as_deref(), Some("t.k"));
    tokio::time::sleep(FOUND_TIME + LOOK_EVERY).await;
    assert_eq!(challenges.http(&path), None);
    assert_eq!(http(&challenges, TOKEN).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_name_or_an_address_is_shown_a_certificate_with_the_digest() {
    let fleet = Fleet::new();
    let (challenges, _faults) = fleet.host();
    let expected = digest(&SHA256, b"t.k");
    for (name, asked) in [
        ("a.test", "a.test"),
        ("192.0.2.7", "7.2.0.192.in-addr.arpa"),
    ] {
        let name = HostName::parse(name).unwrap();
        fleet.shows(Shared::Alpn { name: &name }).await;
        let sought = challenges.seek_alpn(&HostName::parse(asked).unwrap());
        let certified = sought.unwrap().await.unwrap();
        let own = certificate(&name, expected.as_ref()).unwrap();
        let text = |certified: &CertifiedKey| {
            let (_, leaf) = x509_parser::parse_x509_certificate(&certified.cert[0]).unwrap();
            let names = leaf.subject_alternative_name().unwrap().unwrap();
            format!(
                "{:?} {:?}",
                names.value,
                leaf.extensions().last().unwrap().value
            )
        };
        assert_eq!(text(&certified), text(&own));
    }
}

#[tokio::test(start_paused = true)]
async fn the_answer_of_a_names_next_order_is_given_soon() {
    let fleet = Fleet::new();
    let (challenges, _faults) = fleet.host();
    let name = HostName::parse("a.test").unwrap();
    let digest_of = |certified: &CertifiedKey| {
        let (_, leaf) = x509_parser::parse_x509_certificate(&certified.cert[0]).unwrap();
        leaf.extensions().last().unwrap().value.to_vec()
    };
    for answer in ["first.k", "second.k"] {
        fleet.shows_for(Shared::Alpn { name: &name }, answer).await;
        tokio::time::sleep(BETWEEN_ORDERS).await;
        // As a handshake does.
        let known = challenges.alpn(&name);
        let shown = match known {
            Some(known) => known,
            None => challenges.seek_alpn(&name).unwrap().await.unwrap(),
        };
        let expected = digest(&SHA256, answer.as_bytes());
        assert!(digest_of(&shown).ends_with(expected.as_ref()), "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_scans_makes_one_look_a_second_and_what_is_no_token_none() {
    let fleet = Fleet::new();
    let (challenges, _faults) = fleet.host();
    for path in [
        "/",
        "/.well-known/acme-challenge/",
        "/.well-known/acme-challenge/short",
    ] {
        assert!(challenges.seek_http(path).is_none(), "{path}");
    }
    let begun = Instant::now();
    let answered = Arc::new(AtomicU64::new(0));
    let mut scan = tokio::task::JoinSet::new();
    let mut refused = 0;
    for number in 0..2 * WAITING_MAX {
        let path = format!("{HTTP_PATH}{TOKEN}{number}");
        match challenges.seek_http(&path) {
            Some(sought) => {
                let answered = answered.clone();
                scan.spawn(async move {
                    assert_eq!(sought.await, None);
                    answered.fetch_add(1, Ordering::Relaxed);
                });
            }
            None => refused += 1,
        }
    }
    scan.join_all().await;
    assert!(refused >= WAITING_MAX, "{refused}");
    assert_eq!(answered.load(Ordering::Relaxed), WAITING_MAX as u64);
    assert!(begun.elapsed() <= LOOK_EVERY + PATIENCE);
    // Nobody who asks then is told anything but the truth.
    fleet.shows(Shared::Http { token: TOKEN }).await;
    assert_eq!(http(&challenges, TOKEN).await.as_deref(), Some("t.k"));
}

#[tokio::test(start_paused = true)]
async fn a_silent_store_keeps_nobody_for_long() {
    let fleet = Fleet::new();
    let (challenges, faults) = fleet.host();
    faults.silence();
    let begun = Instant::now();
    for number in 0..3 {
        let token = format!("{TOKEN}{number}");
        assert_eq!(http(&challenges, &token).await, None);
    }
    assert!(begun.elapsed() <= 3 * (PATIENCE + LOOK_EVERY));
}

#[tokio::test]
async fn a_store_of_one_host_is_not_asked() {
    let (store, _faults) = Memory::new();
    let challenges = Challenges::default();
    challenges.look_into(store, Clock::system(), &Shutdown::new());
    assert!(
        challenges
            .seek_http(&format!("{HTTP_PATH}{TOKEN}"))
            .is_none()
    );
    assert!(
        challenges
            .seek_alpn(&HostName::parse("a.test").unwrap())
            .is_none()
    );
}

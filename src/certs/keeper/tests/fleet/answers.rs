//! What a replica says to a CA whose question it once answered for an order of its own.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{Fleet, Host, Trim};
use crate::certs::acme::request::ChallengeKind;
use crate::certs::keeper::Options;
use crate::hostname::HostName;

/// Longer than an order is watched.
const LONG: Duration = Duration::from_secs(60 * 60);

#[tokio::test(start_paused = true)]
async fn an_order_that_is_left_to_others_is_answered_as_the_store_has_it() {
    let fleet = Fleet::in_memory();
    fleet.ca.behave(|it| it.validation_time = LONG);
    fleet.ca.validate(|_probe| Ok(()));
    let by_tls = Options {
        challenges: vec![ChallengeKind::TlsAlpn01],
        ..fleet.usual().options
    };
    let trim = Trim {
        options: by_tls,
        ..fleet.usual()
    };
    let replica = fleet.start_as(&Host::new(), "a.test", trim).await;
    let (name, answers) = (
        HostName::parse("a.test").unwrap(),
        &replica.works.challenges,
    );
    while answers.alpn(&name).is_none() {
        sleep(Duration::from_secs(1)).await;
    }
    // Here it is given up for now, and somebody else may go on.
    let begun = Instant::now();
    while answers.alpn(&name).is_some() {
        sleep(Duration::from_secs(1)).await;
        assert!(begun.elapsed() < LONG / 4);
    }
    let sought = answers.seek_alpn(&name).unwrap();
    assert!(sought.await.is_some());
}

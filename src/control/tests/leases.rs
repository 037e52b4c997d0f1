//! Saved leases: what is waited for, and what makes no sense.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::changes::assert_refused;
use super::*;
use crate::control::client::{self, Waits};
use crate::control::command::BasedOn;
use crate::control::probe::Probed;
use crate::control::saved::{Kept, Saved, SavedLease};
use crate::control::server::WAIT_SECONDS_MAX;

#[tokio::test(start_paused = true)]
async fn a_lease_is_saved_once_its_target_is_healthy_and_answered_once_it_drained() {
    let looks = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&looks);
    let probe = Probe::new(move |probed| {
        let expected = Probed {
            target: "http://127.0.0.1:3000".to_owned(),
            folder: "/srv".into(),
            path: Some("/up".to_owned()),
        };
        assert_eq!(probed, expected);
        let look = counted.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move {
            if look < 3 {
                Err("refused".to_owned())
            } else {
                Ok(())
            }
        })
    });
    let mut holder = Holder::probing(probe).await;
    let place = holder.place.clone();
    let (drained, draining) = watch::channel(false);
    let app = async {
        let Command::Save {
            saved,
            based_on,
            reply,
            ..
        } = holder.command().await
        else {
            panic!("something is saved");
        };
        assert_eq!((*saved, based_on), (lease(), BasedOn::Revision(7)));
        assert_eq!(looks.load(Ordering::Relaxed), 4);
        reply.send(Ok(kept(Some(draining)))).unwrap();
        drained.send(true).unwrap();
    };
    let waits = Waits {
        wait: Duration::from_secs(60),
        drain: Duration::from_secs(60),
        health: Some("/up".to_owned()),
    };
    let saving = client::save(&place, lease(), waits, BasedOn::Revision(7));
    let (saved, ()) = tokio::join!(saving, app);
    let expected = Saved {
        revision: 8,
        url: "https://a.test".to_owned(),
        drained: true,
    };
    assert_eq!(saved.unwrap(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_target_that_stays_ill_changes_nothing() {
    let ill = Probe::new(|_probed| Box::pin(async { Err("connection refused".to_owned()) }));
    let mut holder = Holder::probing(ill).await;
    let waits = Waits {
        wait: Duration::from_secs(2),
        ..Waits::default()
    };
    let begun = time::Instant::now();
    let saved = client::save(&holder.place, lease(), waits, BasedOn::Whatever).await;
    let text = assert_refused(saved, "not-healthy");
    assert!(text.contains("connection refused"), "{text}");
    assert!(begun.elapsed() <= Duration::from_secs(3));
    assert!(holder.commands.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn an_old_target_that_does_not_drain_is_told() {
    let mut holder = Holder::start().await;
    let place = holder.place.clone();
    let (_busy, draining) = watch::channel(false);
    let waits = Waits {
        drain: Duration::from_secs(2),
        ..Waits::default()
    };
    let saving = client::save(&place, lease(), waits, BasedOn::Whatever);
    let app = async {
        let Command::Save { reply, .. } = holder.command().await else {
            panic!("something is saved");
        };
        reply.send(Ok(kept(Some(draining)))).unwrap();
    };
    let (saved, ()) = tokio::join!(saving, app);
    assert!(!saved.unwrap().drained);
}

#[tokio::test]
async fn a_lease_that_makes_no_sense_is_refused() {
    let holder = Holder::start().await;
    let check = async |path: &str, body: serde_json::Value, expected: &str| {
        let body = body.to_string();
        let length = body.len();
        let head =
            format!("PUT {path} HTTP/1.1\r\nhost: x\r\nif-match: *\r\ncontent-length: {length}");
        let reply = holder.raw(&format!("{head}\r\n\r\n{body}")).await;
        assert!(reply.starts_with("HTTP/1.1 400 "), "{reply}");
        assert!(reply.contains(expected), "{reply}");
    };
    let mut lease = serde_json::to_value(lease()).unwrap();
    check("/v1/leases/b.test", lease.clone(), "the body `a.test`").await;
    lease["wait_seconds"] = (WAIT_SECONDS_MAX + 1).into();
    check("/v1/leases/a.test", lease.clone(), "longer than").await;
    lease.as_object_mut().unwrap().remove("target");
    check("/v1/leases/a.test", lease, "missing field `target`").await;
    check("/v1/leases/a.test", "text".into(), "not what is expected").await;
}

fn lease() -> SavedLease {
    SavedLease {
        host: "a.test".to_owned(),
        target: "http://127.0.0.1:3000".to_owned(),
        owner: owner(),
        insistence: Insistence::Asks,
        folder: "/srv".into(),
    }
}

fn kept(drained: Option<watch::Receiver<bool>>) -> Kept {
    Kept {
        revision: 8,
        url: "https://a.test".to_owned(),
        drained,
    }
}

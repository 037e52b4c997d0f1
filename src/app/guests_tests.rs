//! Guests that go and come back.

use tokio::sync::mpsc;

use super::*;

fn owner() -> Owner {
    Owner {
        pid: 1,
        uid: 1000,
        command: "onedoor up".to_owned(),
        folder: "/src".into(),
        since: "2026-01-31T12:00:00Z".parse().unwrap(),
    }
}

fn guests(line: Line) -> (Guests, LeaseId) {
    let mut guests = Guests::new(owner(), Insistence::Asks);
    let loaded = crate::config::from_arguments(&["a.test=3000".to_owned()]).unwrap();
    let id = guests.fresh_id();
    guests.table.inherit(Lease {
        id,
        kind: Kind::Session,
        owner: owner(),
        claims: claims_of(&loaded.config),
        insistence: Insistence::Asks,
        presence: Presence::Connected,
    });
    let party = Party {
        offer: Offer::default(),
        loaded,
        log: LogForm::Text,
        token: "token".to_owned(),
        line: Some(line),
        away_until: None,
    };
    guests.put(id, party);
    (guests, id)
}

#[tokio::test]
async fn a_guest_that_is_back_is_not_lost_with_its_old_connection() {
    let (first, heard) = mpsc::channel(1);
    let (mut guests, id) = guests(first);
    drop(heard);
    let (second, heard) = mpsc::channel(1);
    guests.found(id, second, LogForm::Text);
    let now = Instant::now();
    guests.lost(id, now);
    assert_eq!(guests.next_end(), None);
    assert_eq!(guests.heirs().len(), 1);
    drop(heard);
    guests.lost(id, now);
    assert_eq!(guests.next_end(), Some(now + GRACE));
    assert_eq!(guests.heirs().len(), 0);
}

#[tokio::test]
async fn who_is_away_is_waited_for_from_the_moment_on_that_the_door_is_ours() {
    let (line, heard) = mpsc::channel(1);
    let (mut guests, id) = guests(line);
    drop(heard);
    let early = Instant::now();
    let late = early + 2 * GRACE;
    guests.lost(id, early);
    assert_eq!(guests.overdue(late), [id]);
    guests.wait_from(late);
    assert!(guests.overdue(late).is_empty());
    assert_eq!(guests.next_end(), Some(late + GRACE));
}

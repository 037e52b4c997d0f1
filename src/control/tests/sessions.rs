//! Sessions that go as they should, and guests that do not.

use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;

use tokio::sync::oneshot;

use super::*;
use crate::control::command::Outgoing;
use crate::control::session::channel::Broken;
use crate::control::session::guest::succeed;
use crate::control::session::hosting::GUEST_WRITE_TIMEOUT;
use crate::control::session::message::{Estate, Refusal, Said, Told};

#[tokio::test]
async fn a_guest_is_welcomed_and_hears_what_it_is_told_in_order() {
    let mut holder = Holder::start().await;
    let (welcomed, mut session, line) = holder.guest(3).await;
    assert_eq!(welcomed, welcome(3));
    for told in [
        Told::Lines("one\n".to_owned()),
        Told::Note("look".to_owned()),
        Told::Lines("two\n".to_owned()),
        Told::Lines("three\n".to_owned()),
        Told::Moved { pid: 9 },
    ] {
        tell(&line, told).await;
    }
    drop(line);
    let (mut lines, mut others) = (String::new(), Vec::new());
    loop {
        match session.next().await {
            Ok(Told::Lines(more)) => lines.push_str(&more),
            Ok(told) => others.push((lines.len(), told)),
            Err(Broken::Ended) => break,
            Err(broken) => panic!("{broken}"),
        }
    }
    assert_eq!(lines, "one\ntwo\nthree\n");
    let expected = [
        (4, Told::Note("look".to_owned())),
        (14, Told::Moved { pid: 9 }),
    ];
    assert_eq!(others, expected);
    assert!(holder.commands.try_recv().is_err(), "nobody was lost");
}

#[tokio::test]
async fn offers_are_answered_one_after_another() {
    let mut holder = Holder::start().await;
    let (_welcome, mut session, _line) = holder.guest(3).await;
    for based_on in [7, 8] {
        let offer = Offer::default();
        session.say(&Said::Offer { offer, based_on }).await.unwrap();
    }
    let (first, based_on) = offered(&mut holder).await;
    assert_eq!(based_on, 7);
    first.send(Ok(accepted(8))).unwrap();
    assert_eq!(session.next().await.unwrap(), Told::Accepted(accepted(8)));
    let (second, based_on) = offered(&mut holder).await;
    assert_eq!(based_on, 8);
    let refusal = Refusal::new("bad-config", "no");
    second.send(Err(refusal.clone())).unwrap();
    assert_eq!(session.next().await.unwrap(), Told::Refused(refusal));
}

#[tokio::test]
async fn an_heir_gets_sockets_that_accept_and_says_that_it_took_them() {
    let mut holder = Holder::start().await;
    let (_welcome, mut session, line) = holder.guest(3).await;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    inherit(&line, vec![listener.into()]).await;
    assert!(matches!(session.next().await.unwrap(), Told::Inherit(_)));
    let passed = session.take_descriptors(2);
    assert_eq!(passed.len(), 1);
    let client = TcpStream::connect(address).unwrap();
    for passed in passed {
        let (_stream, peer) = TcpListener::from(passed).accept().unwrap();
        assert_eq!(peer, client.local_addr().unwrap());
    }
    session.say(&Said::Took).await.unwrap();
    assert!(matches!(holder.command().await, Command::Took(LeaseId(3))));
    let problem = "no".to_owned();
    session.say(&Said::CannotTake { problem }).await.unwrap();
    let Command::CannotTake { lease, problem } = holder.command().await else {
        panic!("it says why");
    };
    assert_eq!((lease, problem.as_str()), (LeaseId(3), "no"));
}

#[tokio::test]
async fn a_successor_inherits_with_the_first_word() {
    let mut holder = Holder::start().await;
    let place = holder.place.clone();
    let heir = owner();
    let succeeding = succeed(&place, &heir, DEADLINE);
    let admitting = async {
        let Command::Succeed { owner, line, reply } = holder.command().await else {
            panic!("somebody succeeds");
        };
        assert_eq!(owner, heir);
        // Before it is let in, so that it follows the 101 as closely as it can.
        inherit(&line, vec![tempfile::tempfile().unwrap().into()]).await;
        reply.send(Ok(LeaseId(9))).unwrap();
        line
    };
    let (session, _line) = tokio::join!(succeeding, admitting);
    let mut session = session.unwrap();
    assert!(matches!(session.next().await.unwrap(), Told::Inherit(_)));
    assert_eq!(session.take_descriptors(1).len(), 1);
    session.say(&Said::Took).await.unwrap();
    assert!(matches!(holder.command().await, Command::Took(LeaseId(9))));
    drop(session);
    assert!(matches!(holder.command().await, Command::Lost(LeaseId(9))));
}

#[tokio::test]
async fn two_guests_hear_only_what_is_meant_for_them() {
    let mut holder = Holder::start().await;
    let (_welcome, mut first, to_first) = holder.guest(1).await;
    let (_welcome, mut second, to_second) = holder.guest(2).await;
    tell(&to_second, Told::Note("second".to_owned())).await;
    tell(&to_first, Told::Note("first".to_owned())).await;
    let heard = first.next().await.unwrap();
    assert_eq!(heard, Told::Note("first".to_owned()));
    let heard = second.next().await.unwrap();
    assert_eq!(heard, Told::Note("second".to_owned()));
    first.say(&Said::Leave).await.unwrap();
    assert!(matches!(holder.command().await, Command::Left(LeaseId(1))));
    drop(first);
    drop(second);
    let lost = holder.command().await;
    assert!(matches!(lost, Command::Lost(LeaseId(2))), "{lost:?}");
    assert!(to_second.is_closed());
}

#[tokio::test]
async fn a_read_that_was_given_up_has_lost_nothing() {
    let mut holder = Holder::start().await;
    let (_welcome, mut session, line) = holder.guest(3).await;
    for number in 0..20 {
        let given_up = time::timeout(Duration::from_micros(100), session.next()).await;
        assert!(given_up.is_err());
        tell(&line, Told::Note(number.to_string())).await;
        let heard = session.next().await.unwrap();
        assert_eq!(heard, Told::Note(number.to_string()));
    }
}

#[tokio::test]
async fn a_guest_that_goes_before_it_is_let_in_is_lost() {
    let mut holder = Holder::start().await;
    let body = serde_json::to_string(&wanted()).unwrap();
    let stream = holder.upgrade("/v1/join", &body, "").await;
    let Command::Join { line, reply, .. } = holder.command().await else {
        panic!("somebody joins");
    };
    drop(stream);
    reply.send(Ok(welcome(3))).unwrap();
    let lost = holder.command().await;
    assert!(matches!(lost, Command::Lost(LeaseId(3))), "{lost:?}");
    line.closed().await;
}

#[tokio::test(start_paused = true)]
async fn a_guest_that_does_not_read_is_lost() {
    let mut holder = Holder::start().await;
    let (_welcome, session, line) = holder.guest(3).await;
    let begun = time::Instant::now();
    let flood = async { while tell_or_stop(&line, Told::Note("x".repeat(64 << 10))).await {} };
    let (lost, ()) = tokio::join!(holder.commands.recv(), flood);
    assert!(matches!(lost, Some(Command::Lost(LeaseId(3)))), "{lost:?}");
    assert!(begun.elapsed() >= GUEST_WRITE_TIMEOUT);
    drop(session);
}

#[tokio::test]
async fn a_holder_that_stops_accepting_keeps_its_guests() {
    let mut holder = Holder::start().await;
    let (_welcome, mut session, line) = holder.guest(3).await;
    holder.serving.stop_accepting();
    tell(&line, Told::Note("still here".to_owned())).await;
    let heard = session.next().await.unwrap();
    assert_eq!(heard, Told::Note("still here".to_owned()));
    let refused = join(&holder.place, &wanted(), DEADLINE).await.unwrap_err();
    assert!(
        matches!(refused, NotJoined::NobodyThere | NotJoined::Broken(_)),
        "{refused:?}"
    );
}

async fn offered(holder: &mut Holder) -> (oneshot::Sender<Result<Accepted, Refusal>>, u64) {
    let Command::Offer {
        lease: LeaseId(3),
        based_on,
        reply,
        ..
    } = holder.command().await
    else {
        panic!("guest 3 offers something");
    };
    (reply, based_on)
}

async fn inherit(line: &Line, descriptors: Vec<OwnedFd>) {
    let estate = Estate {
        revision: 7,
        doorway: None,
        next_lease: 4,
        storage: "/storage".into(),
        listeners: Vec::new(),
        guests: Vec::new(),
    };
    let told = Told::Inherit(Box::new(estate));
    line.send(Outgoing { told, descriptors }).await.unwrap();
}

async fn tell(line: &Line, told: Told) {
    assert!(tell_or_stop(line, told).await);
}

async fn tell_or_stop(line: &Line, told: Told) -> bool {
    let descriptors = Vec::new();
    line.send(Outgoing { told, descriptors }).await.is_ok()
}

//! Others than a onedoor of today: other versions, garbage, too much of everything.

use super::*;
use crate::control::client::Stranger;
use crate::control::server::SESSIONS_MAX;
use crate::control::session::hosting::OFFER_BYTES_MAX;
use crate::control::session::message::Refusal;

#[tokio::test]
async fn a_guest_whose_versions_do_not_meet_ours_is_refused_with_both() {
    let holder = Holder::start().await;
    #[rustfmt::skip]
    let cases = [
        (r#"{"protocol":9,"min":8,"version":"9.1.0","offer":"of another shape"}"#, "onedoor restart"),
        (r#"{"protocol":0,"min":0,"version":"0.0.9"}"#, "a newer one"),
    ];
    for (body, way_out) in cases {
        for path in ["/v1/join", "/v1/succeed"] {
            let reply = holder.raw(&upgrade(path, body)).await;
            assert!(reply.starts_with("HTTP/1.1 426 "), "{reply}");
            assert!(reply.contains("upgrade: onedoor-session\r\n"), "{reply}");
            let refusal = refusal(&reply);
            assert_eq!(
                (refusal.error.as_str(), refusal.exit),
                ("unsupported-protocol", 1)
            );
            assert!(
                refusal.text.contains(env!("CARGO_PKG_VERSION")),
                "{refusal:?}"
            );
            assert!(refusal.text.contains(way_out), "{refusal:?}");
        }
    }
}

#[tokio::test]
async fn a_newer_guest_that_still_speaks_ours_is_understood() {
    let mut holder = Holder::start().await;
    let mut body = serde_json::to_value(wanted()).unwrap();
    body["protocol"] = 5.into();
    body["mood"] = "good".into();
    let said = "{\"cannot-take\":{\"problem\":\"none\",\"mood\":\"good\"}}\n\"leave\"\n";
    // What is said before the 101 is not lost.
    let _stream = holder.upgrade("/v1/join", &body.to_string(), said).await;
    let _line = holder.admit(3).await;
    let command = holder.command().await;
    assert!(matches!(command, Command::CannotTake { .. }), "{command:?}");
    assert!(matches!(holder.command().await, Command::Left(LeaseId(3))));
}

#[tokio::test]
async fn garbage_and_half_a_message_lose_the_guest() {
    for said in ["garbage\n", "{\"offer\":{}}\n", "\"unheard-of\"\n", "\"lea"] {
        let mut holder = Holder::start().await;
        let body = serde_json::to_string(&wanted()).unwrap();
        let mut stream = holder.upgrade("/v1/join", &body, said).await;
        let line = holder.admit(3).await;
        stream.shutdown().await.unwrap();
        let lost = holder.command().await;
        assert!(
            matches!(lost, Command::Lost(LeaseId(3))),
            "{said}: {lost:?}"
        );
        line.closed().await;
    }
}

#[tokio::test]
async fn what_is_no_join_is_refused() {
    let holder = Holder::start().await;
    let reply = holder.raw(&upgrade("/v1/join", "{}")).await;
    assert!(reply.starts_with("HTTP/1.1 400 "), "{reply}");
    let bare = "POST /v1/join HTTP/1.1\r\nhost: onedoor\r\ncontent-length: 0\r\n\r\n";
    let reply = holder.raw(bare).await;
    assert!(reply.starts_with("HTTP/1.1 426 "), "{reply}");
    let long =
        upgrade("/v1/join", "").replace("length: 0", &format!("length: {}", OFFER_BYTES_MAX + 1));
    let reply = holder.raw(&long).await;
    assert!(reply.starts_with("HTTP/1.1 413 "), "{reply}");
}

#[tokio::test]
async fn an_offer_that_is_too_large_is_refused_before_it_is_all_sent() {
    let holder = Holder::start().await;
    let mut large = wanted();
    large.offer.arguments = vec!["x".repeat(OFFER_BYTES_MAX)];
    let refused = join(&holder.place, &large, DEADLINE).await.unwrap_err();
    let NotJoined::Refused(refusal) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(refusal.error, "too-large");
}

#[tokio::test]
async fn a_refusal_of_app_arrives_whole() {
    let mut holder = Holder::start().await;
    let place = holder.place.clone();
    let wanted = wanted();
    let refusal = Refusal {
        error: "name-conflict".to_owned(),
        text: "`a.test` is taken\nby somebody".to_owned(),
        exit: 3,
    };
    let refusing = async {
        let Command::Join { uid, reply, .. } = holder.command().await else {
            panic!("somebody joins");
        };
        assert_eq!(uid, rustix::process::geteuid().as_raw());
        reply.send(Err(refusal.clone())).unwrap();
    };
    let (refused, ()) = tokio::join!(join(&place, &wanted, DEADLINE), refusing);
    let NotJoined::Refused(found) = refused.unwrap_err() else {
        panic!("it is refused");
    };
    assert_eq!(found, refusal);
}

#[tokio::test]
async fn guests_beyond_the_limit_are_refused_and_health_is_still_told() {
    let mut holder = Holder::start().await;
    let mut guests = Vec::new();
    for number in 0..SESSIONS_MAX {
        guests.push(holder.guest(u32::try_from(number).unwrap()).await);
    }
    let refused = join(&holder.place, &wanted(), DEADLINE).await.unwrap_err();
    let NotJoined::Refused(refusal) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(refusal.error, "too-many-leases");
    let reply = holder
        .raw("GET /v1/health HTTP/1.1\r\nhost: x\r\n\r\n")
        .await;
    assert!(reply.starts_with("HTTP/1.1 503 "), "{reply}");
    drop(guests);
    assert!(matches!(holder.command().await, Command::Lost(_)));
}

#[tokio::test]
async fn holders_of_other_times_are_told_apart() {
    let too_old =
        speak("HTTP/1.1 404 Not Found\r\ncontent-length: 21\r\n\r\n{\"error\":\"not-found\"}")
            .await;
    assert!(matches!(too_old, NotJoined::Older), "{too_old:?}");
    let newer = speak(&welcomed(r#""protocol":9,"min":8,"version":"9.1.0""#)).await;
    let NotJoined::OtherVersions(theirs) = &newer else {
        panic!("{newer:?}");
    };
    assert_eq!(theirs.version, "9.1.0");
    assert!(newer.to_string().contains("9.1.0"), "{newer}");
    for strange in [
        "220 mail\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 101 Hi\r\nupgrade: onedoor-session\r\n\r\n\"took\"\n",
    ] {
        let strange = speak(strange).await;
        let known = matches!(
            strange,
            NotJoined::NotOurs(Stranger::Protocol) | NotJoined::Broken(_)
        );
        assert!(known, "{strange:?}");
    }
    let broken = speak("HTTP/1.1 101 Hi\r\nupgrade: onedoor-session\r\n").await;
    assert!(matches!(broken, NotJoined::Broken(_)), "{broken:?}");
}

#[tokio::test]
async fn nobody_is_told_apart_from_silence() {
    let root = tempfile::tempdir().unwrap();
    let place = place(root.path());
    let refused = join(&place, &wanted(), DEADLINE).await;
    assert!(matches!(refused, Err(NotJoined::NobodyThere)));
    place.prepare().unwrap();
    let _silent = std::os::unix::net::UnixListener::bind(place.socket()).unwrap();
    let refused = join(&place, &wanted(), Duration::from_millis(50)).await;
    assert!(matches!(refused, Err(NotJoined::TimedOut)));
}

#[tokio::test]
async fn a_newer_holder_that_still_speaks_ours_is_understood() {
    let reply = welcomed(r#""protocol":5,"min":1,"version":"5.0.0","mood":"good""#);
    let (welcome, _session) = joined(&reply).await.unwrap();
    assert_eq!((welcome.lease, welcome.versions.protocol), (LeaseId(3), 5));
}

/// A 101 and a welcome with these versions.
fn welcomed(versions: &str) -> String {
    format!(
        "HTTP/1.1 101 Hi\r\nupgrade: onedoor-session\r\n\r\n{{\"welcome\":{{{versions},\"pid\":1,\"lease\":3,\
         \"token\":\"t\",\"accepted\":{{\"revision\":1,\"table\":\"\",\"listeners\":[]}},\"storage\":\"/s\",\"local_ca\":null}}}}\n"
    )
}

async fn speak(reply: &str) -> NotJoined {
    joined(reply).await.unwrap_err()
}

/// What a guest makes of this reply.
async fn joined(reply: &str) -> Result<(Welcome, Session), NotJoined> {
    let root = tempfile::tempdir().unwrap();
    let place = place(root.path());
    place.prepare().unwrap();
    let listener = tokio::net::UnixListener::bind(place.socket()).unwrap();
    let speaking = async {
        let (mut stream, _address) = listener.accept().await.unwrap();
        let mut first = [0; 4096];
        let _read = stream.read(&mut first).await.unwrap();
        stream.write_all(reply.as_bytes()).await.unwrap();
    };
    let wanted = wanted();
    let (joined, ()) = tokio::join!(join(&place, &wanted, DEADLINE), speaking);
    joined
}

fn refusal(reply: &str) -> Refusal {
    let (_head, body) = reply.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(body).unwrap()
}

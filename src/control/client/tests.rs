//! What is made of answers, over real sockets.

use std::os::unix::net::UnixListener;
use std::path::Path;

use tokio::io::AsyncWriteExt;
use tokio::sync::watch;

use super::*;
use crate::control::claim::Claim;
use crate::control::place::Wishes;
use crate::control::server::{self, Sources};
use crate::shutdown::Shutdown;

const DEADLINE: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_holder_is_not_ready_and_then_ready() {
    let root = tempfile::tempdir().unwrap();
    let place = place(root.path());
    let claim = Claim::take(&place).await.unwrap();
    let since = "2026-01-31T12:00:00Z".parse().unwrap();
    let (state, told) = watch::channel(Health::starting(since));
    let shutdown = Shutdown::new();
    let sources = Sources::of(told);
    server::start(claim.listen().unwrap(), sources, &shutdown).unwrap();
    let refused = health(&place, DEADLINE).await.unwrap_err();
    assert!(matches!(refused, Unhealthy::NotReady(_)), "{refused}");
    state.send_modify(|health| health.status = Status::Ready);
    assert_eq!(health(&place, DEADLINE).await.unwrap(), *state.borrow());
    shutdown.cut_off();
}

#[tokio::test]
async fn nobody_is_there_without_a_folder_or_behind_a_stale_socket() {
    let root = tempfile::tempdir().unwrap();
    let place = place(root.path());
    let refused = health(&place, DEADLINE).await;
    assert!(matches!(refused, Err(Unhealthy::NobodyThere)));
    place.prepare().unwrap();
    drop(UnixListener::bind(place.socket()).unwrap());
    let refused = health(&place, DEADLINE).await;
    assert!(matches!(refused, Err(Unhealthy::NobodyThere)));
}

#[tokio::test]
async fn a_foreign_tongue_is_not_ours() {
    for reply in [
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}",
        "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
        "220 mail\r\n",
        "",
    ] {
        let root = tempfile::tempdir().unwrap();
        let place = place(root.path());
        let speaker = speaker(&place, reply);
        let refused = health(&place, DEADLINE).await.unwrap_err();
        assert!(
            matches!(refused, Unhealthy::NotOurs(Stranger::Protocol)),
            "{refused:?}"
        );
        speaker.cut_off();
    }
}

#[tokio::test]
async fn an_answer_without_end_is_cut() {
    let root = tempfile::tempdir().unwrap();
    let place = place(root.path());
    let reply = format!("HTTP/1.0 200 OK\r\n\r\n{}", " ".repeat(REPLY_BYTES_MAX + 1));
    let speaker = speaker(&place, &reply);
    let refused = health(&place, DEADLINE).await.unwrap_err();
    assert!(
        matches!(refused, Unhealthy::NotOurs(Stranger::Protocol)),
        "{refused:?}"
    );
    speaker.cut_off();
}

#[tokio::test]
async fn silence_ends_at_the_deadline() {
    let root = tempfile::tempdir().unwrap();
    let place = place(root.path());
    place.prepare().unwrap();
    let _silent = UnixListener::bind(place.socket()).unwrap();
    let refused = health(&place, ASK_INTERVAL).await;
    assert!(matches!(refused, Err(Unhealthy::TimedOut)));
}

/// Says the same to everyone, whatever they ask.
fn speaker(place: &Place, reply: &str) -> Shutdown {
    place.prepare().unwrap();
    let listener = tokio::net::UnixListener::bind(place.socket()).unwrap();
    let reply = reply.to_owned();
    let shutdown = Shutdown::new();
    let _task = shutdown.spawn(async move {
        while let Ok((mut stream, _address)) = listener.accept().await {
            // The client may have heard enough.
            let _written = stream.write_all(reply.as_bytes()).await;
        }
    });
    shutdown
}

fn place(root: &Path) -> Place {
    Place::choose(Wishes {
        explicit: None,
        runtime: None,
        state: root,
    })
}

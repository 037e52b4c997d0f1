//! Requests that ask `app`, with the commands that come of them.

use bytes::Bytes;

use super::*;
use crate::control::client::{self, NotDone};
use crate::control::command::{BasedOn, Extent};
use crate::control::session::message::Refusal;
use crate::control::status::{Explanation, Status};

#[tokio::test]
async fn what_is_asked_of_app_is_asked_and_answered() {
    let mut holder = Holder::start().await;
    let place = holder.place.clone();
    let health = holder.health.borrow().clone();
    let app = async {
        while let Some(command) = holder.commands.recv().await {
            serve(command, &health);
        }
    };
    let asking = async {
        let found = client::status(&place, DEADLINE).await.unwrap();
        assert_eq!(found, status(health.clone()));
        let url = "https://é.test/a b?c=d&e=%20";
        let found = client::explain(&place, url, DEADLINE).await.unwrap();
        assert_eq!(found, explanation(url));
        let revision = client::reload(&place, BasedOn::Revision(7)).await.unwrap();
        assert_eq!(revision, 8);
        assert_eq!(client::restart(&place).await.unwrap(), 4312);
        let name = "*.a.test:8443";
        let removed = client::remove(&place, name, BasedOn::Whatever).await;
        assert_eq!(removed.unwrap(), 9);
        client::stop(&place, Extent::Door, DEADLINE).await.unwrap();
    };
    tokio::select! {
        () = asking => {}
        () = app => panic!("the queue does not end"),
    }
}

/// Anything else is left without an answer.
fn serve(command: Command, health: &Health) {
    if let Command::Status(reply) = command {
        reply.send(status(health.clone())).unwrap();
    } else if let Command::Explain { url, reply } = command {
        reply.send(Ok(explanation(&url))).unwrap();
    } else if let Command::Reload(reply) = command {
        reply.send(Ok(8)).unwrap();
    } else if let Command::Restart(reply) = command {
        reply.send(Ok(4312)).unwrap();
    } else if let Command::Remove { name, reply, .. } = command {
        assert_eq!(name, "*.a.test:8443");
        reply.send(Ok(9)).unwrap();
    } else if let Command::Stop { extent, reply } = command {
        assert_eq!(extent, Extent::Door);
        reply.send(()).unwrap();
    }
}

#[tokio::test]
async fn a_change_is_conditional_and_a_stale_one_tells_the_revision() {
    let mut holder = Holder::start().await;
    for request in [
        "POST /v1/reload",
        "PUT /v1/leases/a.test",
        "DELETE /v1/leases/a.test",
    ] {
        let head = format!("{request} HTTP/1.1\r\nhost: x\r\n");
        let reply = holder.raw(&format!("{head}\r\n")).await;
        assert!(reply.starts_with("HTTP/1.1 428 "), "{reply}");
        let reply = holder.raw(&format!("{head}if-match: 7\r\n\r\n")).await;
        assert!(reply.starts_with("HTTP/1.1 400 "), "{reply}");
    }
    let stale = "POST /v1/reload HTTP/1.1\r\nhost: x\r\nif-match: \"6\"\r\n\r\n";
    let reply = holder.raw(stale).await;
    assert!(reply.starts_with("HTTP/1.1 412 "), "{reply}");
    assert!(reply.contains(r#""error":"stale-revision""#), "{reply}");
    assert!(reply.contains(r#""revision":7"#), "{reply}");
    let place = holder.place.clone();
    let removing = client::remove(&place, "a.test", BasedOn::Revision(6));
    let refusing = async {
        let Command::Remove {
            based_on, reply, ..
        } = holder.command().await
        else {
            panic!("something is removed");
        };
        assert_eq!(based_on, BasedOn::Revision(6));
        let refusal = Refusal::new("stale-revision", "revision 6 is over");
        reply.send(Err(refusal)).unwrap();
    };
    let (removed, ()) = tokio::join!(removing, refusing);
    assert_refused(removed, "stale-revision");
}

#[tokio::test]
async fn a_full_queue_is_busy_and_so_is_a_door_without_app() {
    let mut holder = Holder::start().await;
    let place = holder.place.clone();
    let mut waiting = Vec::new();
    for _command in 0..COMMANDS_MAX {
        // Sessions that are not looked at fill the queue.
        let body = serde_json::to_string(&wanted()).unwrap();
        waiting.push(holder.upgrade("/v1/join", &body, "").await);
    }
    while holder.commands.len() < COMMANDS_MAX {
        tokio::task::yield_now().await;
    }
    // The connections of those that wait are taken, so some of them end first.
    waiting.truncate(COMMANDS_MAX / 2);
    assert_refused(client::status(&place, DEADLINE).await, "busy");
    holder.commands.close();
    drop(waiting);
    while holder.commands.recv().await.is_some() {}
    assert_refused(client::status(&place, DEADLINE).await, "busy");
    let refused = join(&place, &wanted(), DEADLINE).await;
    assert!(matches!(refused, Err(NotJoined::Refused(refusal)) if refusal.error == "busy"));
}

#[tokio::test]
async fn lines_are_watched_until_either_side_ends() {
    let mut holder = Holder::start().await;
    let place = holder.place.clone();
    let watching = client::logs(&place, Some("*.a.test"), LogForm::Json, DEADLINE);
    let app = async {
        let Command::Watch { host, log, reply } = holder.command().await else {
            panic!("somebody watches");
        };
        assert_eq!((host.as_deref(), log), (Some("*.a.test"), LogForm::Json));
        let (lines, watched) = mpsc::channel(4);
        reply.send(watched).unwrap();
        lines
    };
    let (logs, lines) = tokio::join!(watching, app);
    let mut logs = logs.unwrap();
    for line in ["one\n", "two\n"] {
        lines
            .send(Bytes::from_static(line.as_bytes()))
            .await
            .unwrap();
        assert_eq!(logs.next().await.unwrap(), line);
    }
    drop(logs);
    time::timeout(DEADLINE, lines.closed()).await.unwrap();
    let reply = holder
        .raw("GET /v1/logs?form=xml HTTP/1.1\r\nhost: x\r\n\r\n")
        .await;
    assert!(reply.starts_with("HTTP/1.1 400 "), "{reply}");
}

#[track_caller]
pub(super) fn assert_refused<T: std::fmt::Debug>(done: Result<T, NotDone>, error: &str) -> String {
    match done {
        Err(NotDone::Refused(refusal)) => {
            assert_eq!(refusal.error, error);
            refusal.text
        }
        other => panic!("{other:?}"),
    }
}

fn status(health: Health) -> Status {
    Status {
        health,
        holder: owner(),
        file: "proxy.toml".to_owned(),
        storage: "/storage".to_owned(),
        connections: 3,
        leases: Vec::new(),
        sites: Vec::new(),
        shadowed: Vec::new(),
        down: Vec::new(),
        storage_problem: None,
        refused: None,
    }
}

fn explanation(url: &str) -> Explanation {
    Explanation {
        url: url.to_owned(),
        listener: None,
        spoken: None,
        certificate: None,
        site: None,
        rule: None,
        target: None,
        guard: Vec::new(),
        choice: Vec::new(),
        request: Vec::new(),
        answer: Vec::new(),
        outcome: "served".to_owned(),
        lease: Some(LeaseId(3)),
        owner: None,
        since: None,
    }
}

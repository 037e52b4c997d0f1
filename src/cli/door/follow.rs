//! Changes of a saved lease that follow what was seen: tried again when the door moved on, given up when the name itself was changed.

use super::asked::Asked;
use super::failure::Failure;
use crate::control::claim::{Claim, ClaimProblem};
use crate::control::client::{self, NotDone, Unhealthy};
use crate::control::command::BasedOn;
use crate::control::leases::Kind;
use crate::control::place::Place;
use crate::control::status::Status;

/// How often a change is tried while guests come and go.
const ATTEMPTS_MAX: usize = 8;

/// What a change led to.
#[derive(Debug)]
pub(super) enum Changed<T> {
    AtDoor {
        answer: T,
        /// The saved target that the name had.
        before: Option<String>,
    },
    /// Nobody has the door, and nobody takes it while this is held.
    Nobody(Claim),
}

/// Has the holder make a change that is based on the revision in service.
pub(super) async fn change<T>(
    place: &Place,
    host: &Asked,
    make: impl AsyncFn(BasedOn) -> Result<T, NotDone>,
) -> Result<Changed<T>, Failure> {
    let mut first: Option<Option<String>> = None;
    for _attempt in 0..ATTEMPTS_MAX {
        let status = match client::status(place, super::TELL_TIME).await {
            Ok(status) => status,
            Err(NotDone::Unhealthy(Unhealthy::NobodyThere)) => match Claim::take(place).await {
                Ok(claim) => return Ok(Changed::Nobody(claim)),
                // Somebody who only just begins, or ends.
                Err(ClaimProblem::Held { .. }) => continue,
                Err(problem) => return Err(problem.into()),
            },
            Err(not_done) => return Err(not_done.into()),
        };
        let seen = saved_target(&status, host);
        let before = first.get_or_insert_with(|| seen.clone());
        if *before != seen {
            return Err(changed(host, seen.as_deref()));
        }
        match make(BasedOn::Revision(status.health.revision)).await {
            Ok(answer) => {
                let before = seen;
                return Ok(Changed::AtDoor { answer, before });
            }
            Err(NotDone::Refused(refusal)) if refusal.error == "stale-revision" => {}
            Err(NotDone::Unhealthy(Unhealthy::NobodyThere)) => {}
            Err(not_done) => return Err(not_done.into()),
        }
    }
    let sentence = "the door changes all the time, and nothing was done";
    Err(Failure::new("stale-revision", sentence, "  try:  again\n"))
}

/// Where `add` has the name lead, if it does.
fn saved_target(status: &Status, host: &Asked) -> Option<String> {
    let name = host.name.to_string();
    let mut sites = status.sites.iter().filter(|site| {
        let on_port = |port: u16| {
            let mut listen = site.listen.iter();
            listen
                .any(|listen| listen == &port.to_string() || listen.ends_with(&format!(":{port}")))
        };
        site.names.contains(&name) && host.port.is_none_or(on_port)
    });
    let is_saved = |id| {
        let mut leases = status.leases.iter();
        leases.any(|lease| lease.lease == id && lease.kind == Kind::Saved)
    };
    let site = sites.find(|site| is_saved(site.lease))?;
    Some(site.target.clone())
}

fn changed(host: &Asked, target: Option<&str>) -> Failure {
    let now = match target {
        Some(target) => format!("it leads to {target} now"),
        None => "it is removed".to_owned(),
    };
    let sentence = format!("somebody else changed `{host}` meanwhile, and nothing was done: {now}");
    let way = "  try:  again, if this is still wanted\n";
    Failure::new("stale-revision", &sentence, way)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::VecDeque;

    use tokio::sync::{mpsc, watch};

    use super::*;
    use crate::cli::door::samples::door;
    use crate::control::command::{COMMANDS_MAX, Command};
    use crate::control::place::Wishes;
    use crate::control::probe::Probe;
    use crate::control::renewal::{Renewal, Renewer};
    use crate::control::server::{self, Sources, Strangers};
    use crate::control::session::message::Refusal;
    use crate::shutdown::Shutdown;

    /// What comes of a change at a door that tells these statuses one after another, the last one for ever, where the change works at
    /// this revision alone; and the revisions that it was tried at.
    async fn tried(
        statuses: Vec<Status>,
        works_at: u64,
    ) -> (Result<Option<String>, Failure>, Vec<u64>) {
        let root = tempfile::tempdir().unwrap();
        let place = place(root.path());
        let claim = Claim::take(&place).await.unwrap();
        let (commands, mut asked) = mpsc::channel(COMMANDS_MAX);
        let (_health, told) = watch::channel(statuses[0].health.clone());
        let sources = Sources {
            strangers: Strangers::TurnedAway,
            health: told,
            renewer: Renewer::new(|_name| Box::pin(async { Renewal::Unknown })),
            commands,
            probe: Probe::new(|_probed| Box::pin(async { Ok(()) })),
        };
        let shutdown = Shutdown::new();
        server::start(claim.listen().unwrap(), sources, &shutdown).unwrap();
        let mut statuses = VecDeque::from(statuses);
        let app = async {
            while let Some(command) = asked.recv().await {
                let Command::Status(reply) = command else {
                    panic!("only the status is asked for");
                };
                let status = match statuses.len() {
                    1 => statuses[0].clone(),
                    _ => statuses.pop_front().unwrap(),
                };
                reply.send(status).unwrap();
            }
        };
        let tries = RefCell::new(Vec::new());
        let make = async |based_on| {
            let BasedOn::Revision(revision) = based_on else {
                panic!("a change follows what was seen");
            };
            tries.borrow_mut().push(revision);
            if revision == works_at {
                return Ok(());
            }
            let refusal = Refusal::new("stale-revision", "the door has moved on");
            Err(NotDone::Refused(refusal))
        };
        let host = Asked::parse("c.localhost").unwrap();
        let changed = tokio::select! {
            changed = change(&place, &host, make) => changed,
            () = app => panic!("the door ended"),
        };
        shutdown.cut_off();
        let before = changed.map(|changed| match changed {
            Changed::AtDoor { before, .. } => before,
            Changed::Nobody(_claim) => panic!("somebody was there"),
        });
        (before, tries.into_inner())
    }

    fn at(revision: u64) -> Status {
        let mut door = door();
        door.health.revision = revision;
        door
    }

    fn place(root: &std::path::Path) -> Place {
        Place::choose(Wishes {
            explicit: None,
            runtime: None,
            state: root,
        })
    }

    #[tokio::test]
    async fn a_change_follows_a_door_that_moves_on() {
        let (before, tries) = tried(vec![at(7), at(8), at(9)], 9).await;
        assert_eq!(before.unwrap().as_deref(), Some("https://up.test"));
        assert_eq!(tries, [7, 8, 9]);
    }

    #[tokio::test]
    async fn a_door_that_never_rests_is_given_up() {
        let (before, tries) = tried(vec![at(7)], 9).await;
        let text = before.unwrap_err().text;
        assert!(text.starts_with("error[stale-revision]: "), "{text}");
        assert_eq!(tries.len(), ATTEMPTS_MAX);
    }

    #[tokio::test]
    async fn a_name_that_somebody_else_changed_is_left_alone() {
        let mut other = at(8);
        other.sites[3].target = "localhost:9".to_owned();
        let (before, tries) = tried(vec![at(7), other], 8).await;
        let text = before.unwrap_err().text;
        assert!(text.contains("it leads to localhost:9 now"), "{text}");
        assert_eq!(tries, [7]);
    }

    #[tokio::test]
    async fn where_nobody_is_nobody_comes_meanwhile() {
        let root = tempfile::tempdir().unwrap();
        let place = place(root.path());
        let host = Asked::parse("c.localhost").unwrap();
        let make = async |_based_on| -> Result<(), NotDone> { panic!("nobody is asked") };
        let changed = change(&place, &host, make).await.unwrap();
        let Changed::Nobody(claim) = changed else {
            panic!("nobody was there");
        };
        let other = Claim::attempt(&place).unwrap();
        assert!(other.is_none());
        drop(claim);
        assert!(Claim::attempt(&place).unwrap().is_some());
    }

    #[test]
    fn only_what_was_added_counts() {
        #[track_caller]
        fn check(host: &str, expected: Option<&str>) {
            let host = Asked::parse(host).unwrap();
            let target = saved_target(&door(), &host);
            assert_eq!(target.as_deref(), expected, "{host}");
        }
        check("c.localhost", Some("https://up.test"));
        check("c.localhost:443", Some("https://up.test"));
        check("c.localhost:43", None);
        check("a.localhost", None);
        check("shop.localhost", None);
        check("none.localhost", None);
    }

    #[test]
    fn a_change_by_somebody_else_is_told() {
        let host = Asked::parse("a.test").unwrap();
        let text = changed(&host, Some("localhost:1")).text;
        assert!(text.contains("it leads to localhost:1 now\n"), "{text}");
        assert!(changed(&host, None).text.contains("it is removed\n"));
    }
}

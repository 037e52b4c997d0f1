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
    use super::*;
    use crate::cli::door::samples::door;

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

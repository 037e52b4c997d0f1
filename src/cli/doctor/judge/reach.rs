//! Whether connections to what the door listens on come to the door.

use std::net::SocketAddr;

use crate::cli::doctor::finding::{Finding, Status};
use crate::system::System;

/// A connection that was made to an address of the door, with a name in the hello that nobody has.
#[derive(Debug, Clone)]
pub(in crate::cli::doctor) struct Reach {
    pub(in crate::cli::doctor) target: SocketAddr,
    pub(in crate::cli::doctor) answer: Answer,
    /// Who else listens where this connection may go: name and process number.
    pub(in crate::cli::doctor) stranger: Option<(String, u32)>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli::doctor) enum Answer {
    /// The alert that our door has for a name that nobody serves.
    UnknownName,
    /// Another alert, or no TLS at all, in words.
    Other(String),
    /// A certificate was shown, by this issuer.
    Certificate(String),
    /// Plain HTTP is spoken there, and nothing was asked.
    Connected,
    Refused(String),
    TimedOut,
}

/// Whether the door shows a certificate to a name that nobody has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli::doctor) enum Unknown {
    Refused,
    Served,
}

pub(in crate::cli::doctor) fn judge(reach: &Reach, unknown: Unknown, system: System) -> Finding {
    let target = reach.target;
    let id = format!("reach-{target}");
    let finding = |status, what: String| Finding::new(&id, status, what);
    let stranger = reach.stranger.as_ref();
    let taken = |answer: &str| {
        let found = finding(
            Status::Problem,
            format!("connections to {target} do not come to the onedoor that serves"),
        );
        match stranger {
            Some((name, pid)) => found
                .detail(format!("{name} (pid {pid}) listens there too; {answer}"))
                .fix(format!("kill {pid}")),
            None => found.detail(answer).fix(format!(
                "sudo lsof -nP -iTCP:{} -sTCP:LISTEN",
                target.port()
            )),
        }
    };
    match (&reach.answer, unknown) {
        (Answer::UnknownName, _) => finding(
            Status::Ok,
            format!("connections to {target} come to the door"),
        ),
        (Answer::Connected, _) if stranger.is_none() => finding(
            Status::Ok,
            format!("connections to {target} come to the door"),
        ),
        (Answer::Certificate(_), Unknown::Served) if stranger.is_none() => finding(
            Status::Ok,
            format!("connections to {target} come to the door"),
        ),
        (Answer::Connected, _) => taken("who answers cannot be told"),
        (Answer::Certificate(issuer), _) => taken(&format!(
            "the certificate that is shown there is by {issuer}"
        )),
        (Answer::Other(what), _) => taken(what),
        (Answer::Refused(why), _) => finding(
            Status::Problem,
            format!("connections to {target} are refused, though the door listens there"),
        )
        .detail(why)
        .fix("onedoor restart"),
        (Answer::TimedOut, _) => finding(
            Status::Problem,
            format!("connections to {target} get no answer: a packet filter, or a door that hangs"),
        )
        .fix(match system {
            System::Linux => "sudo nft list ruleset",
            System::Darwin | System::OtherUnix => "sudo pfctl -s rules",
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(answer: Answer, stranger: Option<u32>, unknown: Unknown, expected: Status) -> Finding {
        let reach = Reach {
            target: "127.0.0.1:443".parse().unwrap(),
            answer,
            stranger: stranger.map(|pid| ("caddy".to_owned(), pid)),
        };
        let finding = judge(&reach, unknown, System::Linux);
        assert_eq!(finding.status, expected);
        finding
    }

    #[test]
    fn only_our_own_refusal_is_proof() {
        check(Answer::UnknownName, None, Unknown::Refused, Status::Ok);
        let issuer = "Caddy Local Authority".to_owned();
        let taken = check(
            Answer::Certificate(issuer.clone()),
            Some(4312),
            Unknown::Refused,
            Status::Problem,
        );
        assert_eq!(taken.fix.unwrap(), "kill 4312");
        assert!(taken.detail.unwrap().contains(&issuer));
        let ours = Answer::Certificate("onedoor".to_owned());
        check(ours.clone(), None, Unknown::Served, Status::Ok);
        check(ours, Some(1), Unknown::Served, Status::Problem);
    }

    #[test]
    fn a_plain_port_is_judged_by_who_listens() {
        check(Answer::Connected, None, Unknown::Refused, Status::Ok);
        check(
            Answer::Connected,
            Some(1),
            Unknown::Refused,
            Status::Problem,
        );
    }

    #[test]
    fn silence_and_refusals_are_told_apart() {
        let silent = check(Answer::TimedOut, None, Unknown::Refused, Status::Problem);
        assert!(silent.what.contains("no answer"));
        let refused = Answer::Refused("connection refused".to_owned());
        check(refused, None, Unknown::Refused, Status::Problem);
    }
}

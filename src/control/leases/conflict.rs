//! Names that somebody else has, for people: who, since when, and the ways out.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::{Claim, Kind, LeaseId};
use crate::control::owner::Owner;

/// A claim that was refused because of one that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    pub wanted: Claim,
    pub held: Claim,
    /// Whose the held one is.
    pub lease: LeaseId,
    pub kind: Kind,
    pub owner: Owner,
}

/// Conflicts that are shown one by one; more are only counted.
const CONFLICTS_SHOWN_MAX: usize = 20;
/// Ways out that are shown; more do not help.
const WAYS_MAX: usize = 6;
const PORT_HTTPS: u16 = 443;

/// All conflicts in one text that ends with a line feed.
#[must_use]
pub fn render(conflicts: &[Conflict], now: Timestamp) -> String {
    let mut names: Vec<&str> = Vec::new();
    for conflict in conflicts {
        if !names.contains(&conflict.wanted.name.as_str()) {
            names.push(&conflict.wanted.name);
        }
    }
    let mut text = match names[..] {
        [name] => format!("error[name-conflict]: `{name}` is served already\n"),
        _ => format!(
            "error[name-conflict]: {} names are served already\n",
            names.len()
        ),
    };
    let shown = conflicts.iter().take(CONFLICTS_SHOWN_MAX);
    let width = shown.clone().map(|conflict| place(conflict).len()).max();
    let width = width.unwrap_or_default();
    let mut earlier: Option<LeaseId> = None;
    for conflict in shown {
        let place = place(conflict);
        if earlier == Some(conflict.lease) {
            line(
                &mut text,
                &format!("  {place:width$}   held by  the same process"),
            );
        } else {
            hold(&mut text, conflict, &place, width, now);
        }
        earlier = Some(conflict.lease);
    }
    if conflicts.len() > CONFLICTS_SHOWN_MAX {
        let hidden = conflicts.len() - CONFLICTS_SHOWN_MAX;
        line(&mut text, &format!("  … and {hidden} more"));
    }
    ways(&mut text, conflicts);
    text
}

fn place(conflict: &Conflict) -> String {
    conflict.wanted.to_string()
}

/// Who has it, where it leads, and since when.
fn hold(text: &mut String, conflict: &Conflict, place: &str, width: usize, now: Timestamp) {
    let Owner {
        pid,
        command,
        folder,
        since,
        ..
    } = &conflict.owner;
    let who = match conflict.kind {
        Kind::File => {
            format!("{command} (pid {pid}), which serves this door: its own configuration")
        }
        Kind::Session => format!("{command} (pid {pid})"),
        Kind::Saved => format!("{command}, which saved it"),
    };
    line(text, &format!("  {place:width$}   held by  {who}"));
    let folder = folder.display();
    let since = ago(*since, now);
    let begun = match conflict.kind {
        Kind::File | Kind::Session => "started",
        Kind::Saved => "saved",
    };
    let indent = width + 5;
    line(
        text,
        &format!("{:indent$}{begun:7}  {since} in {folder}", ""),
    );
    let (held, wanted) = (&conflict.held.target, &conflict.wanted.target);
    line(
        text,
        &format!("{:indent$}leads to {held}, and here to {wanted}", ""),
    );
}

/// At most three ways for each holder's kind, each a line that can be typed, or nearly.
fn ways(text: &mut String, conflicts: &[Conflict]) {
    let mut ways: Vec<(String, &str)> = vec![(
        "--replace".to_owned(),
        "serve it from here until this ends; they get it back then",
    )];
    for conflict in conflicts {
        let way = match conflict.kind {
            Kind::Saved => (format!("onedoor rm {}", host(&conflict.held)), "end it"),
            Kind::Session => (
                format!("kill {}", conflict.owner.pid),
                "end theirs, or press Ctrl-C in its terminal",
            ),
            Kind::File => (
                "another name".to_owned(),
                "or take it out of that configuration, which is read again by itself",
            ),
        };
        if ways.len() < WAYS_MAX && !ways.contains(&way) {
            ways.push(way);
        }
    }
    if !ways.iter().any(|(way, _)| way == "another name") {
        ways.push(("another name".to_owned(), "serve both"));
    }
    let width = ways.iter().map(|(way, _)| way.chars().count()).max();
    let width = width.unwrap_or_default();
    let mut head = "  try:";
    for (way, why) in ways {
        line(text, &format!("{head:6}  {way:width$}   {why}"));
        head = "";
    }
}

/// As `onedoor rm` takes it.
fn host(claim: &Claim) -> String {
    match claim.port {
        PORT_HTTPS => claim.name.clone(),
        port if claim.name.contains(':') => format!("[{}]:{port}", claim.name),
        port => format!("{}:{port}", claim.name),
    }
}

/// How long ago that was: `14 min ago`.
#[must_use]
pub fn ago(since: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(since).as_secs().max(0);
    let (number, unit) = match seconds {
        0..60 => (seconds, "s"),
        60..3600 => (seconds / 60, "min"),
        3600..86_400 => (seconds / 3600, "h"),
        86_400..172_800 => return "1 day ago".to_owned(),
        _ => (seconds / 86_400, "days"),
    };
    format!("{number} {unit} ago")
}

fn line(text: &mut String, line: &str) {
    // Writing into a string cannot fail.
    let _written = writeln!(text, "{}", line.trim_end());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::leases::ClaimedPath;

    fn conflict(name: &str, lease: u32, kind: Kind, command: &str) -> Conflict {
        let claim = |target: &str| Claim {
            name: name.to_owned(),
            port: 443,
            path: ClaimedPath::Prefix("/".to_owned()),
            target: target.to_owned(),
        };
        Conflict {
            wanted: claim("localhost:4000"),
            held: claim("localhost:3000"),
            lease: LeaseId(lease),
            kind,
            owner: Owner {
                pid: 4312,
                uid: 1000,
                command: command.to_owned(),
                folder: "/src/shop".into(),
                since: "2026-01-31T12:00:00Z".parse().unwrap(),
            },
        }
    }

    #[track_caller]
    fn check(conflicts: &[Conflict], expected: &str) {
        let now = "2026-01-31T12:14:30Z".parse().unwrap();
        assert_eq!(render(conflicts, now), expected);
    }

    #[test]
    fn a_conflict_says_who_where_since_when_and_the_ways_out() {
        check(
            &[conflict("shop.test", 3, Kind::Session, "onedoor up")],
            "\
error[name-conflict]: `shop.test` is served already
  shop.test:443   held by  onedoor up (pid 4312)
                  started  14 min ago in /src/shop
                  leads to localhost:3000, and here to localhost:4000
  try:  --replace      serve it from here until this ends; they get it back then
        kill 4312      end theirs, or press Ctrl-C in its terminal
        another name   serve both
",
        );
    }

    #[test]
    fn several_conflicts_are_one_text() {
        check(
            &[
                conflict("a.test", 3, Kind::Session, "onedoor up"),
                conflict("long.test", 3, Kind::Session, "onedoor up"),
                conflict("b.test", 4, Kind::Saved, "onedoor add b.test 3000"),
            ],
            "\
error[name-conflict]: 3 names are served already
  a.test:443      held by  onedoor up (pid 4312)
                  started  14 min ago in /src/shop
                  leads to localhost:3000, and here to localhost:4000
  long.test:443   held by  the same process
  b.test:443      held by  onedoor add b.test 3000, which saved it
                  saved    14 min ago in /src/shop
                  leads to localhost:3000, and here to localhost:4000
  try:  --replace           serve it from here until this ends; they get it back then
        kill 4312           end theirs, or press Ctrl-C in its terminal
        onedoor rm b.test   end it
        another name        serve both
",
        );
    }

    #[test]
    fn thousands_of_conflicts_are_counted_not_shown() {
        let conflicts: Vec<_> = (0..5000)
            .map(|number| conflict(&format!("n{number}.test"), 3, Kind::Session, "onedoor up"))
            .collect();
        let text = render(&conflicts, "2026-01-31T12:00:00Z".parse().unwrap());
        assert!(text.contains("5000 names") && text.contains("and 4980 more"));
        assert!(text.lines().count() < 40, "{text}");
    }

    #[test]
    fn times_are_relative() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let now = at("2026-01-31T12:00:00Z");
        for (since, expected) in [
            ("2026-01-31T12:00:05Z", "0 s ago"),
            ("2026-01-31T11:59:01Z", "59 s ago"),
            ("2026-01-31T09:30:00Z", "2 h ago"),
            ("2026-01-30T11:00:00Z", "1 day ago"),
            ("2026-01-01T11:00:00Z", "30 days ago"),
        ] {
            assert_eq!(ago(at(since), now), expected, "{since}");
        }
    }
}

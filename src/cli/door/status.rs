//! `onedoor status`: the whole door.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::failure::Failure;
use super::who::{self, process, whole};
use crate::app::banner::counted;
use crate::cli::place::ControlArguments;
use crate::cli::say;
use crate::control::health::{Kind as Spoken, Status as Readiness};
use crate::control::leases::{Kind, Presence, ago};
use crate::control::status::{LeaseStatus, Status};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    control: ControlArguments,
    /// Print what `GET /v1/status` says
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(arguments: &Arguments) -> Result<(), Failure> {
    let status = super::status(&super::place(&arguments.control)).await?;
    let text = if arguments.json {
        super::json(&status)
    } else {
        tell(&status, super::now())
    };
    say::out(&text);
    Ok(())
}

fn tell(status: &Status, now: Timestamp) -> String {
    let mut text = String::new();
    head(&mut text, status, now);
    if let Some(problem) = &status.storage_problem {
        text.push_str(
            "the storage cannot be used: nothing is ordered, what is loaded is served on\n",
        );
        line(&mut text, &format!("  {problem}"));
    }
    leases(&mut text, status, now);
    overrides(&mut text, status);
    if !status.shadowed.is_empty() {
        text.push_str("shadowed: another process takes connections of these addresses\n");
        for address in &status.shadowed {
            line(&mut text, &format!("  {address}"));
        }
    }
    down(&mut text, status, now);
    if let Some(refused) = &status.refused {
        text.push_str("the latest change of the file was refused; the one before it is served\n");
        for problem in refused.lines() {
            line(&mut text, &format!("  {problem}"));
        }
    }
    text
}

fn head(text: &mut String, status: &Status, now: Timestamp) {
    let health = &status.health;
    let readiness = match health.status {
        Readiness::Starting => "starting",
        Readiness::Ready => "ready",
        Readiness::Draining => "draining",
    };
    let (version, pid) = (&health.version, health.pid);
    line(
        text,
        &format!("onedoor {version} (pid {pid}) is {readiness}"),
    );
    let listeners: Vec<String> = health
        .listeners
        .iter()
        .map(|listener| {
            let spoken = match listener.kind {
                Spoken::Tls => "tls",
                Spoken::Plain => "plain",
            };
            format!("{} ({spoken})", listener.address)
        })
        .collect();
    let sites = counted(health.sites, "site");
    let connections = counted(status.connections, "connection");
    let since = format!("{} ({})", ago(health.since, now), whole(health.since));
    let holder = &status.holder;
    let command = who::printable(&holder.command);
    let begun = format!("`{command}` in {}", who::folder(holder));
    for (what, fact) in [
        ("since", since),
        ("started", begun),
        ("file", status.file.clone()),
        ("storage", status.storage.clone()),
        ("revision", health.revision.to_string()),
        ("listens on", listeners.join(", ")),
        ("serves", format!("{sites}, {connections} open")),
    ] {
        line(text, &format!("  {what:12}{fact}"));
    }
}

fn leases(text: &mut String, status: &Status, now: Timestamp) {
    let of_kind = |kind: Kind| {
        let leases = status.leases.iter();
        leases.filter(move |lease| lease.kind == kind)
    };
    if of_kind(Kind::Session).next().is_some() {
        text.push_str("guests\n");
    }
    for guest in of_kind(Kind::Session) {
        let since = guest.owner.since;
        let away = match guest.presence {
            Presence::Connected => "",
            Presence::Away => ", away",
        };
        let (who, ago) = (process(&guest.owner), ago(since, now));
        line(
            text,
            &format!("  {who}, since {ago} ({}){away}", whole(since)),
        );
        names(text, guest, status);
    }
    if of_kind(Kind::Saved).next().is_some() {
        text.push_str("saved\n");
    }
    for saved in of_kind(Kind::Saved) {
        line(
            text,
            &format!("  {}", who::origin(saved, &status.file, now)),
        );
        names(text, saved, status);
    }
}

fn names(text: &mut String, lease: &LeaseStatus, status: &Status) {
    let sites = status.sites.iter().filter(|site| site.lease == lease.lease);
    let names: Vec<&str> = sites
        .flat_map(|site| site.names.iter().map(String::as_str))
        .collect();
    if !names.is_empty() {
        line(text, &format!("    serves {}", names.join(", ")));
    }
    if !lease.displaced.is_empty() {
        let names = lease.displaced.join(", ");
        line(text, &format!("    displaced: {names}"));
    }
}

fn overrides(text: &mut String, status: &Status) {
    let mut sites = status
        .sites
        .iter()
        .filter_map(|site| Some((site, site.overrides?)))
        .peekable();
    if sites.peek().is_some() {
        text.push_str("overrides\n");
    }
    for (site, overridden) in sites {
        let whose = who::possessive(overridden, status);
        let names = site.names.join(", ");
        let by = match who::lease(site.lease, status) {
            Some(lease) => format!(", by pid {} until it ends", lease.owner.pid),
            None => String::new(),
        };
        line(text, &format!("  {names} overrides {whose}{by}"));
    }
}

fn down(text: &mut String, status: &Status, now: Timestamp) {
    if !status.down.is_empty() {
        text.push_str("down: targets that are asked no more until their checks pass\n");
    }
    for down in &status.down {
        let (since, at) = (ago(down.since, now), whole(down.since));
        let target = &down.target;
        line(text, &format!("  {target}, since {since} ({at})"));
        line(text, &format!("    {}: {}", down.check, down.why));
        if !down.sites.is_empty() {
            line(text, &format!("    for {}", down.sites.join(", ")));
        }
    }
}

fn line(text: &mut String, line: &str) {
    // Writing into a string cannot fail.
    let _written = writeln!(text, "{}", line.trim_end());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::door::samples::{NOW, door};
    use crate::control::status::DownStatus;

    #[test]
    fn the_whole_door_is_told() {
        let status = Status {
            shadowed: vec!["127.0.0.1:443 by nginx (pid 99)".to_owned()],
            down: vec![DownStatus {
                target: "localhost:4000".to_owned(),
                check: "GET /up".to_owned(),
                sites: vec!["shop.localhost".to_owned()],
                since: "2026-01-31T11:58:00Z".parse().unwrap(),
                why: "answers 500 Internal Server Error under /up".to_owned(),
            }],
            storage_problem: Some("nobody answers at redis://redis.test".to_owned()),
            refused: Some("no setting called `too`\n  --> proxy.toml:2".to_owned()),
            ..door()
        };
        let expected = "\
onedoor 0.1.0 (pid 4312) is ready
  since       14 min ago (2026-01-31T11:46:00Z)
  started     `onedoor up` in /src/a
  file        proxy.toml
  storage     /data/onedoor
  revision    8
  listens on  127.0.0.1:443 (tls), 127.0.0.1:80 (plain), 127.0.0.1:8443 (tls)
  serves      4 sites, 12 connections open
the storage cannot be used: nothing is ordered, what is loaded is served on
  nobody answers at redis://redis.test
guests
  pid 4313 `onedoor up -c b.toml` in /src/b, since 2 min ago (2026-01-31T11:58:00Z)
    serves shop.localhost, *.dev.localhost
saved
  saved 2 days ago in /src/c
    serves c.localhost
overrides
  shop.localhost overrides the file's, by pid 4313 until it ends
shadowed: another process takes connections of these addresses
  127.0.0.1:443 by nginx (pid 99)
down: targets that are asked no more until their checks pass
  localhost:4000, since 2 min ago (2026-01-31T11:58:00Z)
    GET /up: answers 500 Internal Server Error under /up
    for shop.localhost
the latest change of the file was refused; the one before it is served
  no setting called `too`
    --> proxy.toml:2
";
        assert_eq!(tell(&status, NOW.parse().unwrap()), expected);
    }

    #[test]
    fn a_door_without_guests_is_short() {
        let mut door = door();
        door.leases.truncate(1);
        door.sites.truncate(1);
        let text = tell(&door, NOW.parse().unwrap());
        assert_eq!(text.lines().count(), 8, "{text}");
    }

    #[test]
    fn a_guest_that_is_away_and_displaced_says_so() {
        let mut door = door();
        door.leases[1].presence = Presence::Away;
        door.leases[1].displaced = vec!["x.localhost".to_owned()];
        let text = tell(&door, NOW.parse().unwrap());
        assert!(text.contains("(2026-01-31T11:58:00Z), away\n"), "{text}");
        assert!(text.contains("    displaced: x.localhost\n"), "{text}");
    }
}

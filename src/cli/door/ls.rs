//! `onedoor ls`: a line for every name that is served, and for every name that somebody else has for now.

use jiff::Timestamp;
use serde::Serialize;

use super::failure::Failure;
use super::who;
use crate::cli::place::ControlArguments;
use crate::cli::say;
use crate::cli::table::table;
use crate::control::leases::{LeaseId, Presence};
use crate::control::status::{LeaseStatus, SiteStatus, Status};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    control: ControlArguments,
    /// Print the sites and leases of `GET /v1/status`
    #[arg(long)]
    json: bool,
}

/// The part of [`Status`] that is listed.
#[derive(Serialize)]
struct Listed<'a> {
    sites: &'a [SiteStatus],
    leases: &'a [LeaseStatus],
}

pub(super) async fn run(arguments: &Arguments) -> Result<(), Failure> {
    let status = super::status(&super::place(&arguments.control)).await?;
    let text = if arguments.json {
        super::json(&Listed {
            sites: &status.sites,
            leases: &status.leases,
        })
    } else {
        list(&status, super::now())
    };
    say::out(&text);
    Ok(())
}

fn list(status: &Status, now: Timestamp) -> String {
    let mut rows = vec![["NAME", "TARGET", "FROM", "STATE"].map(str::to_owned)];
    let from = |id: LeaseId| {
        let lease = who::lease(id, status);
        lease.map_or_else(
            // A door without guests keeps no leases: everything is its own.
            || format!("file {}", status.file),
            |lease| who::origin(lease, &status.file, now),
        )
    };
    for site in &status.sites {
        for name in &site.names {
            rows.push([
                url_of(name, site).unwrap_or(name).to_owned(),
                site.target.clone(),
                from(site.lease),
                state(site, status),
            ]);
        }
    }
    for lease in &status.leases {
        for name in &lease.displaced {
            let by = match displacer(name, lease.lease, status) {
                Some(site) => format!("displaced by {}", serving(site.lease, status)),
                None => "displaced".to_owned(),
            };
            rows.push([name.clone(), String::new(), from(lease.lease), by]);
        }
    }
    if rows.len() == 1 {
        return "no site is served\n".to_owned();
    }
    table(&rows)
}

/// The URL for a name; patterns have none.
fn url_of<'a>(name: &str, site: &'a SiteStatus) -> Option<&'a str> {
    let mut urls = site.urls.iter().map(String::as_str);
    urls.find(|url| {
        let authority = url.split_once("://").map_or("", |(_scheme, rest)| rest);
        let behind = authority.strip_prefix(name).or_else(|| {
            let bare = authority.strip_prefix('[')?.strip_prefix(name)?;
            bare.strip_prefix(']')
        });
        behind.is_some_and(|behind| behind.is_empty() || behind.starts_with(':'))
    })
}

fn state(site: &SiteStatus, status: &Status) -> String {
    let lease = who::lease(site.lease, status);
    let is_away = lease.is_some_and(|lease| lease.presence == Presence::Away);
    let overrides = site.overrides.map(|id| {
        let whose = who::possessive(id, status);
        format!("overrides {whose}")
    });
    match (is_away, overrides) {
        (false, None) => "served".to_owned(),
        (false, Some(overrides)) => overrides,
        (true, None) => "away".to_owned(),
        (true, Some(overrides)) => format!("away, {overrides}"),
    }
}

/// The site that serves a name in place of a lease.
fn displacer<'a>(name: &str, lease: LeaseId, status: &'a Status) -> Option<&'a SiteStatus> {
    let has_it = |site: &&SiteStatus| site.names.iter().any(|own| own == name);
    let mut others = status.sites.iter().filter(has_it);
    others.find(|site| site.lease != lease)
}

fn serving(id: LeaseId, status: &Status) -> String {
    match who::lease(id, status) {
        Some(lease) => format!("pid {}", lease.owner.pid),
        None => "somebody".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::door::samples::{NOW, door};

    #[track_caller]
    fn check(status: &Status, expected: &str) {
        assert_eq!(list(status, NOW.parse().unwrap()), expected);
    }

    #[test]
    fn every_name_has_its_line() {
        check(
            &door(),
            "\
NAME                     TARGET              FROM                                       STATE
https://a.localhost      localhost:3000      file proxy.toml                            served
https://www.a.localhost  localhost:3000      file proxy.toml                            served
https://shop.localhost   localhost:4000      pid 4313 `onedoor up -c b.toml` in /src/b  overrides the file's
*.dev.localhost          unix:/run/dev.sock  pid 4313 `onedoor up -c b.toml` in /src/b  served
https://c.localhost      https://up.test     saved 2 days ago in /src/c                 served
shop.localhost                               file proxy.toml                            displaced by pid 4313
",
        );
    }

    #[test]
    fn a_guest_that_broke_off_is_away() {
        let mut door = door();
        door.leases[1].presence = Presence::Away;
        door.sites.drain(..1);
        door.sites.pop();
        door.leases[0].displaced.clear();
        check(
            &door,
            "\
NAME                    TARGET              FROM                                       STATE
https://shop.localhost  localhost:4000      pid 4313 `onedoor up -c b.toml` in /src/b  away, overrides the file's
*.dev.localhost         unix:/run/dev.sock  pid 4313 `onedoor up -c b.toml` in /src/b  away
",
        );
    }

    #[test]
    fn a_door_without_guests_names_its_file() {
        let mut alone = door();
        alone.sites.truncate(1);
        alone.leases.clear();
        let told = list(&alone, NOW.parse().unwrap());
        assert!(told.contains("file proxy.toml"), "{told}");
    }

    #[test]
    fn an_empty_door_says_so() {
        let empty = Status {
            sites: Vec::new(),
            leases: Vec::new(),
            ..door()
        };
        check(&empty, "no site is served\n");
    }

    #[test]
    fn a_url_belongs_to_its_name_alone() {
        let site = SiteStatus {
            urls: vec![
                "https://a.test:8443".to_owned(),
                "https://a.test.example".to_owned(),
                "https://[::1]:8443".to_owned(),
            ],
            ..door().sites.remove(0)
        };
        assert_eq!(url_of("a.test", &site), Some("https://a.test:8443"));
        assert_eq!(
            url_of("a.test.example", &site),
            Some("https://a.test.example")
        );
        assert_eq!(url_of("::1", &site), Some("https://[::1]:8443"));
        assert_eq!(url_of("a", &site), None);
    }
}

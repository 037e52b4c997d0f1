//! `onedoor certs check`: for cron and monitoring. Works without a running onedoor.

use std::cmp::Reverse;
use std::path::Path;
use std::process::ExitCode;
use std::time::SystemTime;

use serde::Serialize;

use super::connect::Server;
use super::entry::Source;
use super::judge::{Level, Verdict, verdict};
use super::known::{Known, Scene};
use super::{CheckArguments, json};
use crate::app::wall_clock;
use crate::cli::table::{left, minute};
use crate::cli::{place, say};
use crate::config;
use crate::hostname::HostPattern;
use crate::storage::files::Storage;

#[derive(Debug, Serialize)]
struct Report {
    level: Level,
    checked: Vec<Verdict>,
}

pub(super) fn run(arguments: &CheckArguments) -> ExitCode {
    let now = wall_clock();
    let looked = match &arguments.connect {
        Some(address) => connected(arguments, address, now),
        None => Scene::open(arguments.config.as_deref())
            .ok()
            .and_then(|scene| known(&scene, &arguments.hosts)),
    };
    let Some(mut checked) = looked else {
        return Level::Unknown.exit_code().into();
    };
    // The first line is what many tools show.
    checked.sort_by_key(|verdict| Reverse(verdict.level));
    let level = checked.first().map_or(Level::Fine, |worst| worst.level);
    if arguments.json {
        say::out(&json(&Report { level, checked }));
    } else if checked.is_empty() {
        say::out("OK: no site needs a certificate\n");
    } else {
        let lines: Vec<String> = checked.iter().map(|verdict| line(verdict, now)).collect();
        say::out(&lines.concat());
    }
    level.exit_code().into()
}

fn known(scene: &Scene, hosts: &[HostPattern]) -> Option<Vec<Verdict>> {
    let known = super::block_on(scene.known()).ok()?;
    let now = scene.now;
    if hosts.is_empty() {
        if scene.loaded.is_none() && known.entries.is_empty() {
            say::err(&format!(
                "UNKNOWN: there is no configuration here, and no certificate in {}\n",
                scene.folder.display()
            ));
            return None;
        }
        let wanted = known.entries.iter().filter(|entry| entry.is_wanted());
        return Some(
            wanted
                .map(|entry| verdict(entry, &entry.pattern, now))
                .collect(),
        );
    }
    let of = |host: &HostPattern| of_one(scene, &known, host);
    Some(hosts.iter().flat_map(of).collect())
}

/// What is said of one name. Whoever asks for it wants it, whatever the configuration says.
fn of_one(scene: &Scene, known: &Known, host: &HostPattern) -> Vec<Verdict> {
    let mut entries = known.of(host);
    if entries.iter().any(|entry| entry.is_wanted()) {
        entries.retain(|entry| entry.is_wanted());
    }
    if entries.is_empty() {
        let nothing = Verdict::fine(host, Source::Nowhere, None);
        let reason = "no certificate: it is in no site of the configuration and not in the storage";
        return vec![nothing.add(Level::Critical, reason)];
    }
    let judged = entries.into_iter().map(|entry| {
        let judged = verdict(entry, host, scene.now);
        if entry.is_wanted() {
            judged
        } else {
            judged.add(
                Level::Warning,
                "no site wants it any more, so it is not renewed",
            )
        }
    });
    judged.collect()
}

/// Without names, the one that is connected to.
fn connected(arguments: &CheckArguments, address: &str, now: SystemTime) -> Option<Vec<Verdict>> {
    let own;
    let hosts = if arguments.hosts.is_empty() {
        let host = address.rsplit_once(':').map(|(host, _port)| host);
        own = [host.and_then(|host| HostPattern::parse(host).ok())?];
        &own
    } else {
        arguments.hosts.as_slice()
    };
    let storage = storage(arguments.config.as_deref());
    let server = Server::at(address, storage.as_ref(), now);
    let runtime = super::runtime().ok()?;
    Some(runtime.block_on(async {
        let mut verdicts = Vec::with_capacity(hosts.len());
        for host in hosts {
            verdicts.push(server.judge(host).await);
        }
        verdicts
    }))
}

/// Where a local CA may lie. Other machines than the server's have none, and need no configuration either.
fn storage(config: Option<&Path>) -> Option<Storage> {
    let found = config.map(Path::to_owned).or_else(config::find);
    let loaded = found.and_then(|path| config::load(&path, None).ok());
    let folder = match loaded {
        Some(loaded) => place::storage(&loaded.config),
        None => crate::storage::default_place(),
    };
    folder.ok().map(Storage::at)
}

fn line(verdict: &Verdict, now: SystemTime) -> String {
    let Verdict {
        name,
        level,
        source,
        reasons,
        certificate,
    } = verdict;
    let word = level.word();
    let mut words = reasons.join("; ");
    if words.is_empty() {
        words = certificate.as_ref().map_or_else(String::new, |leaf| {
            let ends = left(leaf.not_after, now);
            format!("until {}, {ends} left", minute(leaf.not_after))
        });
    }
    format!("{word}: {name}: {words} ({source})\n")
}

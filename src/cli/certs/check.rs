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
use crate::app::storing::Depot;
use crate::app::wall_clock;
use crate::certs::utc::minute;
use crate::cli::say;
use crate::cli::table::left;
use crate::config;
use crate::hostname::HostPattern;
use crate::storage::files::Storage;

#[derive(Debug, Serialize)]
struct Report {
    level: Level,
    /// Why nothing could be looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    checked: Vec<Verdict>,
}

/// Why nothing could be looked at.
struct Unknown(String);

pub(super) fn run(arguments: &CheckArguments) -> ExitCode {
    let now = wall_clock();
    let looked = match &arguments.connect {
        Some(address) => connected(arguments, address, now),
        None => known(arguments),
    };
    let report = match looked {
        Ok(checked) => Report::of(checked),
        Err(Unknown(reason)) => Report {
            level: Level::Unknown,
            reason: Some(reason),
            checked: Vec::new(),
        },
    };
    if arguments.json {
        say::out(&json(&report));
    } else {
        say::out(&report.text(now));
    }
    report.level.exit_code().into()
}

impl Report {
    /// The worst first: the first line is what many tools show.
    fn of(mut checked: Vec<Verdict>) -> Self {
        checked.sort_by_key(|verdict| Reverse(verdict.level));
        Self {
            level: checked.first().map_or(Level::Fine, |worst| worst.level),
            reason: None,
            checked,
        }
    }

    fn text(&self, now: SystemTime) -> String {
        if let Some(reason) = &self.reason {
            return format!("{}: {reason}\n", self.level.word());
        }
        if self.checked.is_empty() {
            return "OK: no site needs a certificate\n".to_owned();
        }
        let lines = self.checked.iter().map(|verdict| line(verdict, now));
        lines.collect()
    }
}

fn known(arguments: &CheckArguments) -> Result<Vec<Verdict>, Unknown> {
    let hosts = &arguments.hosts;
    let scene = Scene::open(arguments.config.as_deref()).map_err(|_told| told())?;
    let known = super::block_on(scene.known()).map_err(|_told| told())?;
    if !hosts.is_empty() {
        let of = |host: &HostPattern| of_one(&scene, &known, host);
        return Ok(hosts.iter().flat_map(of).collect());
    }
    if scene.loaded.is_none() && known.entries.is_empty() {
        return Err(Unknown(format!(
            "there is no configuration here, and no certificate in {}: name a configuration with -c",
            scene.depot
        )));
    }
    let wanted = known.entries.iter().filter(|entry| entry.is_wanted());
    let judged = wanted.map(|entry| verdict(entry, &entry.pattern, scene.now));
    Ok(judged.collect())
}

/// For what is told at standard error already.
fn told() -> Unknown {
    Unknown("nothing could be looked at: standard error says why".to_owned())
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
fn connected(
    arguments: &CheckArguments,
    address: &str,
    now: SystemTime,
) -> Result<Vec<Verdict>, Unknown> {
    let own;
    let hosts = if arguments.hosts.is_empty() {
        own = [own_name(address)?];
        &own
    } else {
        arguments.hosts.as_slice()
    };
    let storage = storage(arguments.config.as_deref());
    let server = Server::at(address, storage.as_ref(), now);
    let runtime = super::runtime().map_err(|_told| told())?;
    Ok(runtime.block_on(async {
        let mut verdicts = Vec::with_capacity(hosts.len());
        for host in hosts {
            verdicts.push(server.judge(host).await);
        }
        verdicts
    }))
}

fn own_name(address: &str) -> Result<HostPattern, Unknown> {
    let host = address.rsplit_once(':').map_or("", |(host, _port)| host);
    HostPattern::parse(host).map_err(|error| {
        Unknown(format!(
            "`{host}` is no name to ask for: {error}: say one, as in `--connect {address} shop.example.com`"
        ))
    })
}

/// Where a local CA may lie. Other machines than the server's have none, and need no configuration either.
fn storage(config: Option<&Path>) -> Option<Storage> {
    let found = config.map(Path::to_owned).or_else(config::find);
    let loaded = found.and_then(|path| config::load(&path, None).ok());
    let depot = Depot::find(loaded.as_ref().map(|loaded| &loaded.config)).ok()?;
    Some(Storage::at(depot.folder().to_owned()))
}

fn line(verdict: &Verdict, now: SystemTime) -> String {
    let Verdict {
        name,
        level,
        source,
        reasons,
        certificate,
    } = verdict;
    let lasts = certificate.as_ref().filter(|_leaf| *level == Level::Fine);
    let lasts = lasts.map(|leaf| {
        let ends = left(leaf.not_after, now);
        format!("until {}, {ends} left", minute(leaf.not_after))
    });
    let words: Vec<String> = lasts.into_iter().chain(reasons.iter().cloned()).collect();
    let words = words.join("; ");
    let word = level.word();
    match source {
        Source::Nowhere => format!("{word}: {name}: {words}\n"),
        Source::Ca { .. }
        | Source::OwnPair { .. }
        | Source::CertDir { .. }
        | Source::LocalCa
        | Source::Connection { .. } => format!("{word}: {name}: {words} ({source})\n"),
    }
}

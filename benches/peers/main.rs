//! onedoor beside other proxies on the same machine, in the same run: CPU time, answer times and memory, as ratios to nginx.
//!
//! Not a unit of anything: a program to run by hand. What it measures and how to read it is in `benches/README.md`.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program whose output is its purpose"
)]

mod child;
mod client;
mod cpu;
mod ground;
mod load;
mod memory;
mod options;
mod peer;
mod table;
mod text;
mod workload;

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;

use crate::ground::{Cores, Ground};
use crate::options::{Entry, Options};
use crate::peer::Peer;
use crate::table::Table;
use crate::workload::{Size, Workload};

fn main() -> Result<ExitCode> {
    let options = Options::parse();
    options.check()?;
    allow_many_files()?;
    let entries = options.entries()?;
    ensure!(!entries.is_empty(), "no peer to run");
    stay_on(options.load_core)?;
    let ground = Ground::lay(Cores {
        proxy: options.proxy_core,
        load: options.load_core,
    })?;
    end_cleanly_on_signals(ground.path());
    if let Some(seconds) = options.keep {
        keep(&ground, &entries, &options, Duration::from_secs(seconds))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::new(entries.iter().map(|entry| entry.name.clone()).collect());
    let failures = measure(&ground, &entries, &options, &mut table);
    println!(
        "\n{}\n\n{}",
        surroundings(&entries, &options),
        table.markdown()
    );
    let with_rules = table.comparison(Peer::Rules.name(), Peer::Onedoor.name());
    if !with_rules.is_empty() {
        println!("{with_rules}");
    }
    if let Some(file) = &options.json {
        write_json(file, &table, &entries, &options)?;
    }
    if failures > 0 {
        eprintln!("{failures} measurements failed; they are not in the table");
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// Every workload on every peer, the peers in turn, each round begun by another one.
fn measure(ground: &Ground, entries: &[Entry], options: &Options, table: &mut Table) -> u32 {
    let mut failures = 0;
    for round in 1..=options.rounds {
        for workload in options.workloads() {
            for turn in 0..entries.len() {
                let index = (turn + round as usize - 1) % entries.len();
                let Some(entry) = entries.get(index) else {
                    continue;
                };
                if !workload.is_for(entry.peer) {
                    continue;
                }
                let words = format!("round {round}, {}, {}", workload.name(), entry.name);
                match trial(ground, entry, workload, options.size()) {
                    Ok(readings) => {
                        let values: Vec<String> = readings
                            .iter()
                            .map(|(_, value)| format!("{value:.1}"))
                            .collect();
                        eprintln!("{words}: {}", values.join(" "));
                        for (measure, value) in readings {
                            table.add(round, index, measure, value);
                        }
                    }
                    Err(error) => {
                        failures += 1;
                        eprintln!("{words}: FAILED: {error:#}");
                    }
                }
            }
        }
    }
    failures
}

fn trial(
    ground: &Ground,
    entry: &Entry,
    workload: Workload,
    size: Size,
) -> Result<workload::Readings> {
    let mut readings = Vec::new();
    for &protocol in workload.protocols() {
        let proxy = ground.start(entry.peer, &entry.program)?;
        readings.extend(workload.run(&proxy, protocol, size)?);
    }
    Ok(readings)
}

fn keep(ground: &Ground, entries: &[Entry], options: &Options, lasting: Duration) -> Result<()> {
    let ([entry], [workload]) = (entries, options.workload.as_slice()) else {
        anyhow::bail!("--keep wants one peer (--only) and one workload (--workload)");
    };
    let proxy = ground.start(entry.peer, &entry.program)?;
    let tree: Vec<String> = cpu::tree(proxy.pid()).iter().map(u32::to_string).collect();
    println!(
        "{} {}: pid {}, port {}",
        entry.name,
        workload.name(),
        tree.join(","),
        proxy.port()
    );
    println!("perf record -g -p {} -- sleep 10", tree.join(","));
    let deadline = Instant::now() + lasting;
    while Instant::now() < deadline {
        for &protocol in workload.protocols() {
            let readings = workload.run(&proxy, protocol, options.size())?;
            println!("{readings:.1?}");
        }
    }
    Ok(())
}

/// One line that says what the numbers were taken with.
fn surroundings(entries: &[Entry], options: &Options) -> String {
    let versions: Vec<&str> = entries.iter().map(|entry| entry.version.as_str()).collect();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let processor = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let processor = processor
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .unwrap_or("unknown processor");
    format!(
        "{}. Linux {}, {}. Rounds: {}; {} requests per second at the fixed rate; {} idle connections.",
        versions.join("; "),
        kernel.trim(),
        processor.trim_start_matches([' ', '\t', ':']),
        options.rounds,
        options.rate,
        options.connections
    )
}

#[expect(
    clippy::disallowed_methods,
    reason = "a report, made anew by the next run"
)]
fn write_json(file: &Path, table: &Table, entries: &[Entry], options: &Options) -> Result<()> {
    let mut report = json!({ "surroundings": surroundings(entries, options) });
    report["results"] = table.json();
    fs::write(file, serde_json::to_string_pretty(&report)?)
        .with_context(|| format!("cannot write {}", file.display()))
}

/// This process, and whatever it starts without saying otherwise.
fn stay_on(core: usize) -> Result<()> {
    let mut command = Command::new("taskset");
    command
        .args(["-a", "-c", "-p"])
        .arg(core.to_string())
        .arg(std::process::id().to_string());
    let output = command.output().context("cannot run taskset")?;
    ensure!(
        output.status.success(),
        "core {core}: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}

fn allow_many_files() -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        },
    )?;
    Ok(())
}

/// The scratch directory goes; the children are told by the kernel when this process ends.
#[expect(clippy::exit, reason = "the main thread may be waiting for anything")]
fn end_cleanly_on_signals(scratch: &Path) {
    use tokio::signal::unix::{SignalKind, signal};
    let scratch = scratch.to_owned();
    std::thread::spawn(move || {
        let waited = client::run(async {
            let mut terminate = signal(SignalKind::terminate())?;
            tokio::select! {
                result = tokio::signal::ctrl_c() => result?,
                _ = terminate.recv() => {}
            }
            Ok(())
        });
        if waited.is_ok() {
            // What cannot be removed stays behind in memory until the next start of the machine.
            let _left_behind = fs::remove_dir_all(&scratch);
            std::process::exit(130);
        }
    });
}

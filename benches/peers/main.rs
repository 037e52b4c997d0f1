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
mod peer;
mod table;
mod workload;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::{Parser, ValueEnum};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;

use crate::ground::{Cores, Ground};
use crate::peer::Peer;
use crate::table::Table;
use crate::workload::{Size, Workload};

const IDLE_MAX: usize = 7000;
const RATE_MAX: u32 = 100_000;

#[derive(Debug, Parser)]
#[command(
    name = "peers",
    about = "Runs onedoor beside nginx, HAProxy and Caddy and compares what they need"
)]
struct Options {
    /// How often everything is measured; the table shows medians.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// The peers to run; one named twice is measured twice, which shows the noise.
    #[arg(long, value_delimiter = ',', default_values_t = ["nginx", "haproxy", "caddy", "onedoor"].map(String::from))]
    only: Vec<String>,
    #[arg(long, value_delimiter = ',', value_enum)]
    workload: Vec<Workload>,
    /// The onedoor to measure, instead of the one built beside this program.
    #[arg(long, value_name = "PATH")]
    onedoor: Option<PathBuf>,
    #[arg(long, value_name = "PATH")]
    nginx: Option<PathBuf>,
    #[arg(long, value_name = "PATH")]
    haproxy: Option<PathBuf>,
    #[arg(long, value_name = "PATH")]
    caddy: Option<PathBuf>,
    /// Small requests in each of the `h1` and `h2` loads.
    #[arg(long, default_value_t = 30_000)]
    requests: u32,
    /// Connections of the `handshake` load.
    #[arg(long, default_value_t = 3000)]
    handshakes: usize,
    /// Requests of the `body` loads.
    #[arg(long, default_value_t = 100)]
    bodies: u32,
    /// Connections of the `idle` loads.
    #[arg(long, default_value_t = 2000)]
    connections: usize,
    /// Requests per second where the rate is fixed.
    #[arg(long, default_value_t = 1000)]
    rate: u32,
    /// Seconds for which the rate is held.
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    #[arg(long, default_value_t = 0)]
    proxy_core: usize,
    #[arg(long, default_value_t = 1)]
    load_core: usize,
    /// Every sample, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Print the process id of one peer and repeat one workload on it, for a profiler to look at.
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "600")]
    keep: Option<u64>,
    /// What cargo passes.
    #[arg(long, hide = true)]
    bench: bool,
}

/// A peer that is here.
#[derive(Debug)]
struct Entry {
    peer: Peer,
    name: String,
    program: PathBuf,
    version: String,
}

fn main() -> Result<ExitCode> {
    let options = Options::parse();
    ensure!(
        options.connections <= IDLE_MAX,
        "--connections is {IDLE_MAX} at most"
    );
    ensure!(
        (1..=RATE_MAX).contains(&options.rate),
        "--rate is from 1 to {RATE_MAX}"
    );
    ensure!(
        peer::on_search_path("h2load").is_some(),
        "h2load is not installed (Debian: nghttp2-client)"
    );
    allow_many_files()?;
    let entries = entries(&options)?;
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
        for workload in workloads(options) {
            for turn in 0..entries.len() {
                let index = (turn + round as usize - 1) % entries.len();
                let Some(entry) = entries.get(index) else {
                    continue;
                };
                let words = format!("round {round}, {}, {}", workload.name(), entry.name);
                match trial(ground, entry, workload, size(options)) {
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
            let readings = workload.run(&proxy, protocol, size(options))?;
            println!("{readings:.1?}");
        }
    }
    Ok(())
}

fn entries(options: &Options) -> Result<Vec<Entry>> {
    let mut entries: Vec<Entry> = Vec::new();
    for word in &options.only {
        let peer = Peer::from_str(word, true)
            .map_err(|error| anyhow::anyhow!("--only {word}: {error}"))?;
        let given = match peer {
            Peer::Nginx => &options.nginx,
            Peer::Haproxy => &options.haproxy,
            Peer::Caddy => &options.caddy,
            Peer::Onedoor => &options.onedoor,
        };
        let Some(program) = given.clone().or_else(|| peer.find()) else {
            println!("{word}: not found, left out");
            continue;
        };
        let program =
            fs::canonicalize(&program).with_context(|| format!("no {}", program.display()))?;
        let version = peer.version(&program)?;
        let earlier = entries.iter().filter(|entry| entry.peer == peer).count();
        let name = if earlier == 0 {
            peer.name().to_owned()
        } else {
            format!("{} ({})", peer.name(), earlier + 1)
        };
        entries.push(Entry {
            peer,
            name,
            program,
            version,
        });
    }
    Ok(entries)
}

fn workloads(options: &Options) -> Vec<Workload> {
    if options.workload.is_empty() {
        Workload::value_variants().to_vec()
    } else {
        options.workload.clone()
    }
}

fn size(options: &Options) -> Size {
    Size {
        requests: options.requests,
        handshakes: options.handshakes,
        bodies: options.bodies,
        idle: options.connections,
        rate: options.rate,
        paced: Duration::from_secs(options.seconds),
    }
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

//! The command line: what to run, how much of it, and which of the peers are here.
#![expect(clippy::print_stdout, reason = "a peer left out is said, not hidden")]

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::{Parser, ValueEnum};

use crate::peer::{self, Peer};
use crate::workload::{Size, Workload};

const IDLE_MAX: usize = 7000;
const RATE_MAX: u32 = 100_000;
const SECONDS_MAX: u64 = 600;
const PROGRAMS: [&str; 3] = ["h2load", "taskset", "setpriv"];

#[derive(Debug, Parser)]
#[command(
    name = "peers",
    about = "Runs onedoor beside nginx, HAProxy and Caddy and compares what they need"
)]
pub(crate) struct Options {
    /// How often everything is measured; the table shows medians.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub rounds: u32,
    /// The peers to run; one named twice is measured twice, which shows the noise.
    #[arg(long, value_delimiter = ',', default_values_t = ["nginx", "haproxy", "caddy", "onedoor"].map(String::from))]
    pub only: Vec<String>,
    #[arg(long, value_delimiter = ',', value_enum)]
    pub workload: Vec<Workload>,
    /// The onedoor to measure, instead of the one built beside this program.
    #[arg(long, value_name = "PATH")]
    pub onedoor: Option<PathBuf>,
    #[arg(long, value_name = "PATH")]
    pub nginx: Option<PathBuf>,
    #[arg(long, value_name = "PATH")]
    pub haproxy: Option<PathBuf>,
    #[arg(long, value_name = "PATH")]
    pub caddy: Option<PathBuf>,
    /// Small requests in each of the `h1` and `h2` loads.
    #[arg(long, default_value_t = 30_000)]
    pub requests: u32,
    /// Connections of the `handshake` load.
    #[arg(long, default_value_t = 3000)]
    pub handshakes: usize,
    /// Requests of the `body` loads.
    #[arg(long, default_value_t = 200)]
    pub bodies: u32,
    /// Connections of the `idle` loads.
    #[arg(long, default_value_t = 2000)]
    pub connections: usize,
    /// Requests per second where the rate is fixed.
    #[arg(long, default_value_t = 1000)]
    pub rate: u32,
    /// Seconds for which the rate is held.
    #[arg(long, default_value_t = 3)]
    pub seconds: u64,
    #[arg(long, default_value_t = 0)]
    pub proxy_core: usize,
    #[arg(long, default_value_t = 1)]
    pub load_core: usize,
    /// Every sample, as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Print the process id of one peer and repeat one workload on it, for a profiler to look at.
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "600")]
    pub keep: Option<u64>,
    /// What cargo passes.
    #[arg(long, hide = true)]
    pub bench: bool,
}

/// A peer that is here.
#[derive(Debug)]
pub(crate) struct Entry {
    pub peer: Peer,
    pub name: String,
    pub program: PathBuf,
    pub version: String,
}

impl Options {
    /// # Errors
    /// An amount out of range, or a program that is needed is missing.
    pub(crate) fn check(&self) -> Result<()> {
        ensure!(
            (1..=IDLE_MAX).contains(&self.connections) && self.handshakes > 0,
            "--connections is from 1 to {IDLE_MAX}, --handshakes at least 1"
        );
        ensure!(
            (1..=RATE_MAX).contains(&self.rate),
            "--rate is from 1 to {RATE_MAX}"
        );
        ensure!(
            (1..=SECONDS_MAX).contains(&self.seconds),
            "--seconds is from 1 to {SECONDS_MAX}"
        );
        for program in PROGRAMS {
            ensure!(
                peer::on_search_path(program).is_some(),
                "{program} is not installed"
            );
        }
        Ok(())
    }

    /// The peers asked for that are here; the others are named on standard output.
    ///
    /// # Errors
    /// A name nobody has, or a path where nothing is.
    pub(crate) fn entries(&self) -> Result<Vec<Entry>> {
        let mut entries: Vec<Entry> = Vec::new();
        for word in &self.only {
            let peer = Peer::from_str(word, true)
                .map_err(|error| anyhow::anyhow!("--only {word}: {error}"))?;
            let given = match peer {
                Peer::Nginx => &self.nginx,
                Peer::Haproxy => &self.haproxy,
                Peer::Caddy => &self.caddy,
                Peer::Onedoor | Peer::Rules => &self.onedoor,
            };
            let Some(program) = given.clone().or_else(|| peer.find()) else {
                println!("{word}: not found, left out");
                continue;
            };
            let program =
                fs::canonicalize(&program).with_context(|| format!("no {}", program.display()))?;
            let version = match peer.version(&program) {
                Ok(version) => version,
                Err(error) => {
                    println!(
                        "{word}: {} does not run, left out: {error}",
                        program.display()
                    );
                    continue;
                }
            };
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

    pub(crate) fn workloads(&self) -> Vec<Workload> {
        if self.workload.is_empty() {
            Workload::value_variants().to_vec()
        } else {
            self.workload.clone()
        }
    }

    pub(crate) fn size(&self) -> Size {
        Size {
            requests: self.requests,
            handshakes: self.handshakes,
            bodies: self.bodies,
            idle: self.connections,
            rate: self.rate,
            paced: Duration::from_secs(self.seconds),
        }
    }
}

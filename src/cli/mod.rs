//! The command line: one file a verb.

mod backup;
mod certs;
mod check;
mod demo;
mod doctor;
mod door;
mod health;
mod hosts;
mod passphrase;
mod place;
mod placed;
mod quota;
mod restore;
mod run;
mod say;
mod scratch;
mod service;
mod serving;
mod table;
mod trust;
mod up;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use place::ControlArguments;

use crate::ports::passed::Passed;

/// What a verb ends with; scripts rely on the numbers. `certs check` has its own, as monitoring plugins do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Fine,
    /// Whatever has no number of its own.
    Failed,
    Configuration,
    NameConflict,
    PortInUse,
    Permission,
    /// As another process ended, or as a holder wants it.
    As(u8),
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Fine => 0,
            Exit::Failed => 1,
            Exit::Configuration => 2,
            Exit::NameConflict => 3,
            Exit::PortInUse => 4,
            Exit::Permission => 5,
            Exit::As(code) => code,
        })
    }
}

/// One process owns the ports, picks the certificate by SNI, and routes every host name to its own upstream.
#[derive(Debug, Parser)]
#[command(
    name = "onedoor",
    version,
    args_conflicts_with_subcommands = true,
    arg_required_else_help = true
)]
struct Arguments {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    up: UpArguments,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Serve the sites of a file, of the command line, or of both
    Up(UpArguments),
    /// Run a command on a port of its own and serve it under a name while it runs
    Run(run::RunArguments),
    /// Say everything that is wrong with a configuration, and change nothing
    Check(CheckArguments),
    /// Look at certificates, renew them, remove what nobody wants
    #[command(subcommand)]
    Certs(certs::Verb),
    /// Say what every CA was asked, and how much more it may be asked
    Quota(QuotaArguments),
    /// Write everything of the storage that must not be lost into one file
    Backup(backup::BackupArguments),
    /// Put back into the storage what it misses of a backup; nothing that is newer is replaced
    Restore(restore::RestoreArguments),
    /// Serve three small upstreams of its own, to be tried with curl
    Demo(DemoArguments),
    /// Look for whatever may keep onedoor from working here, and say how to mend it
    Doctor(doctor::DoctorArguments),
    /// Ask the running onedoor whether it is ready
    Health(HealthArguments),
    /// Lead local names to this machine, in the system's hosts file
    #[command(subcommand)]
    Hosts(hosts::Verb),
    /// Have this machine trust the local CA
    Trust(trust::TrustArguments),
    /// Take away what `trust` laid down, and nothing else
    Untrust(trust::UntrustArguments),
    /// Keep onedoor as a service of systemd or launchd
    #[command(subcommand)]
    Service(service::Verb),
    #[command(flatten)]
    Door(door::Verb),
    /// Say the version
    Version,
}

#[derive(Debug, clap::Args)]
struct UpArguments {
    /// The configuration [default: proxy.toml, then /etc/onedoor/proxy.toml]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    control: ControlArguments,
    /// Do not let another onedoor serve these sites
    #[arg(long)]
    no_join: bool,
    /// Serve names that somebody else has until this ends
    #[arg(long)]
    replace: bool,
    /// Sites, as in `app.localhost=3000`
    #[arg(value_name = "HOST=TARGET")]
    sites: Vec<String>,
}

#[derive(Debug, clap::Args)]
struct CheckArguments {
    /// The configuration [default: proxy.toml, then /etc/onedoor/proxy.toml]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How problems are told
    #[arg(long, value_enum, default_value_t = CheckFormat::Text)]
    format: CheckFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum CheckFormat {
    /// Snippets for people
    Text,
    /// An array for editors
    Json,
}

#[derive(Debug, clap::Args)]
struct DemoArguments {
    /// Make the requests here, say what was seen, and end: 0 if all went well, 1 if not
    #[arg(long)]
    once: bool,
}

#[derive(Debug, clap::Args)]
struct HealthArguments {
    #[command(flatten)]
    control: ControlArguments,
    /// Print what it says, as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct QuotaArguments {
    /// The configuration [default: proxy.toml, then /etc/onedoor/proxy.toml]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print an array for programs
    #[arg(long)]
    json: bool,
}

/// Runs the verb that the process was called with.
#[must_use]
pub fn run() -> ExitCode {
    // Before any thread exists: it takes the variables out of the environment.
    let passed = Passed::from_environment();
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return misused(&error),
    };
    let exit = match arguments.verb {
        None => up::run(arguments.up, passed),
        Some(Verb::Up(up)) => up::run(up, passed),
        Some(Verb::Run(arguments)) => return run::run(arguments, passed),
        Some(Verb::Check(check)) => check::run(&check),
        Some(Verb::Certs(verb)) => return certs::run(&verb),
        Some(Verb::Quota(quota)) => quota::run(&quota),
        Some(Verb::Backup(backup)) => backup::run(&backup),
        Some(Verb::Restore(restore)) => restore::run(&restore),
        Some(Verb::Demo(demo)) => demo::run(&demo),
        Some(Verb::Doctor(doctor)) => doctor::run(&doctor),
        Some(Verb::Health(health)) => health::run(&health),
        Some(Verb::Hosts(verb)) => hosts::run(&verb),
        Some(Verb::Trust(arguments)) => trust::run(&arguments),
        Some(Verb::Untrust(arguments)) => trust::run_untrust(&arguments),
        Some(Verb::Service(verb)) => service::run(&verb),
        Some(Verb::Door(verb)) => door::run(&verb),
        Some(Verb::Version) => {
            say::out(&format!("onedoor {}\n", env!("CARGO_PKG_VERSION")));
            Exit::Fine
        }
    };
    exit.into()
}

/// Says what is wrong with the command line, or what was asked of it: `--help`.
fn misused(error: &clap::Error) -> ExitCode {
    // A reader that is gone is no fault of ours.
    let _gone = error.print();
    if !error.use_stderr() {
        return Exit::Fine.into();
    }
    let arguments: Vec<String> = std::env::args_os()
        .skip(1)
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect();
    certs::misuse(&arguments).unwrap_or_else(|| Exit::Configuration.into())
}

//! `onedoor certs`: what is known of certificates, and what a person can do about them. One file a verb.

mod check;
mod connect;
pub(super) mod digest;
mod entry;
mod export;
mod import;
mod judge;
pub(super) mod known;
mod leaf;
mod list;
mod new_ca;
mod prune;
mod reach;
mod renew;
mod show;

use std::path::PathBuf;
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use clap::Subcommand;
use serde::Serialize;
use tokio::time::timeout;

use super::place::ControlArguments;
use super::{Exit, say};
use crate::hostname::{HostPattern, InvalidHostName};

/// How long nobody wonders.
const SILENCE: Duration = Duration::from_secs(1);

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// List every certificate that is known
    List(ListArguments),
    /// Show everything that is known of one name, but never its key
    Show(ShowArguments),
    /// Say whether certificates are fine, for cron and monitoring
    #[command(after_help = CHECK_HELP)]
    Check(CheckArguments),
    /// Have the running onedoor renew a certificate now
    Renew(RenewArguments),
    /// Take over certificates and accounts that another tool has, so that nothing is ordered anew
    #[command(after_help = IMPORT_HELP)]
    Import(ImportArguments),
    /// Write certificates and their keys as other tools keep them
    Export(ExportArguments),
    /// Remove from the storage what no site of the configuration wants any more
    Prune(PruneArguments),
    /// Make a new local CA in place of the one that is there, which is kept aside
    NewCa(NewCaArguments),
}

const CHECK_HELP: &str = "\
Exit codes, as monitoring plugins have them; the worst of all names counts:
  0  fine
  1  warning: less than a fifth of its life is left, its renewal is overdue, or its chain is not trusted
  2  critical: less than a tenth is left, it expired, it does not cover its name, or there is none
  3  unknown: nothing could be looked at";

const IMPORT_HELP: &str = "\
PATH is what the other tool keeps: /etc/letsencrypt, ~/.acme.sh, ~/.lego, /var/lib/dehydrated, Caddy's folder or what
`caddy storage export` writes, Traefik's acme.json, the folders of Nginx Proxy Manager or acme-companion, Kubernetes TLS
secrets as files, or any certificates beside their keys. It is only read.

Exit codes:
  0  all that is of use is here now, or was already
  1  something could not be taken, or nothing was recognised
  2  the configuration is wrong";

#[derive(Debug, clap::Args)]
pub(super) struct ImportArguments {
    /// The configuration [default: proxy.toml, then /etc/onedoor/proxy.toml]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Say what was found and what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Have CAs give accounts with RSA and P-384 keys a new key of ours; the other tool cannot use them from then on
    #[arg(long)]
    take_over_account: bool,
    /// Print an object for programs
    #[arg(long)]
    json: bool,
    /// A folder or a file
    #[arg(value_name = "PATH")]
    path: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(super) struct ExportArguments {
    /// The configuration [default: proxy.toml, then /etc/onedoor/proxy.toml]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How the files are laid out
    #[arg(long, value_enum, default_value_t = export::Layout::Pem)]
    layout: export::Layout,
    /// The folder to write to
    #[arg(long, value_name = "DIR", default_value = "onedoor-export")]
    to: PathBuf,
    /// Replace files that are there
    #[arg(long)]
    force: bool,
    /// The names whose certificates are written [default: all of the storage]
    #[arg(value_name = "NAME", value_parser = host)]
    names: Vec<HostPattern>,
}

#[derive(Debug, clap::Args)]
pub(super) struct ListArguments {
    /// The configuration [default: proxy.toml, then /etc/onedoor/proxy.toml]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print an array for programs
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct ShowArguments {
    /// The configuration [default: proxy.toml, then /etc/onedoor/proxy.toml]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print an array for programs
    #[arg(long)]
    json: bool,
    /// A name, as in `shop.example.com` or `*.example.com`
    #[arg(value_name = "HOST", value_parser = host)]
    host: HostPattern,
}

#[derive(Debug, clap::Args)]
pub(super) struct CheckArguments {
    /// The configuration [default: proxy.toml, then /etc/onedoor/proxy.toml]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print an object for programs
    #[arg(long)]
    json: bool,
    /// Look at what is shown there for each name, or for HOST itself
    #[arg(long, value_name = "HOST:PORT", value_parser = address)]
    connect: Option<String>,
    /// The names to check [default: all that sites want]
    #[arg(value_name = "HOST", value_parser = host)]
    hosts: Vec<HostPattern>,
}

#[derive(Debug, clap::Args)]
pub(super) struct RenewArguments {
    /// The configuration, for its storage where the environment names none
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    control: ControlArguments,
    /// Print what came of it, as JSON
    #[arg(long)]
    json: bool,
    /// A name that onedoor keeps a certificate for
    #[arg(value_name = "HOST", value_parser = host)]
    host: HostPattern,
}

#[derive(Debug, clap::Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the command line"
)]
pub(super) struct PruneArguments {
    /// The configuration [default: proxy.toml, then /etc/onedoor/proxy.toml]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Say what would be removed, and remove nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// What was imported lately and no site has wanted yet, too
    #[arg(long)]
    imported: bool,
    /// Print an array for programs
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct NewCaArguments {
    /// The configuration [default: proxy.toml, then /etc/onedoor/proxy.toml]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Say what would be made, and make nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

pub(super) fn run(verb: &Verb) -> ExitCode {
    match verb {
        Verb::List(arguments) => list::run(arguments).into(),
        Verb::Show(arguments) => show::run(arguments).into(),
        Verb::Check(arguments) => check::run(arguments),
        Verb::Export(arguments) => export::run(arguments).into(),
        Verb::Import(arguments) => import::run(arguments).into(),
        Verb::Renew(arguments) => renew::run(arguments).into(),
        Verb::Prune(arguments) => prune::run(arguments).into(),
        Verb::NewCa(arguments) => new_ca::run(arguments).into(),
    }
}

/// The number for a command line that makes no sense: where 2 is critical, 3 says that nothing is known.
pub(super) fn misuse(arguments: &[String]) -> Option<ExitCode> {
    let is_check = arguments.starts_with(&["certs".to_owned(), "check".to_owned()]);
    is_check.then(|| judge::Level::Unknown.exit_code().into())
}

fn host(text: &str) -> Result<HostPattern, InvalidHostName> {
    HostPattern::parse(text)
}

fn address(text: &str) -> Result<String, &'static str> {
    let port = text.rsplit_once(':').map(|(_host, port)| port);
    match port.map(str::parse::<u16>) {
        Some(Ok(_port)) => Ok(text.to_owned()),
        Some(Err(_)) | None => Err("HOST:PORT is needed, as in `shop.example.com:443`"),
    }
}

pub(super) fn runtime() -> Result<tokio::runtime::Runtime, Exit> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| {
            say::error("system", &error);
            Exit::Failed
        })
}

/// Waits for work on the storage; what goes wrong is told, and that it takes long.
pub(super) fn block_on<T, E: std::error::Error + 'static>(
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, Exit> {
    let done = runtime()?.block_on(heard(work));
    done.map_err(|error| {
        say::error("storage", &error);
        Exit::Failed
    })
}

/// Says after a moment what is waited for.
async fn heard<T>(work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    if let Ok(done) = timeout(SILENCE, &mut work).await {
        return done;
    }
    say::err("still waiting for the storage\n");
    work.await
}

pub(super) fn json(value: &impl Serialize) -> String {
    let text = serde_json::to_string_pretty(value).unwrap_or_default();
    text + "\n"
}

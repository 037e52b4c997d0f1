//! `onedoor run`: a command is started on a port of its own and served under a name for as long as it runs. Nothing is restarted.

mod adapt;
mod checkout;
mod child;
mod door;
mod elsewhere;
mod job;
mod name;
mod package;
mod port;
mod variables;
mod waiting;

use std::ffi::OsString;
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use tokio::sync::oneshot;

use super::place::ControlArguments;
use super::serving::{self, Joining, Served};
use super::trust::bundle;
use super::{Exit, say};
use crate::ports::passed::Passed;
use crate::storage::files::Storage;
use child::Signals;
use door::{Novelty, Wish};
use job::{Job, Plan};
use package::Scripts;
use variables::{Trust, Variables};

/// Seconds that a command may take until it accepts connections.
const WAIT_SECONDS: u32 = 60;

#[derive(Debug, clap::Args)]
pub(super) struct RunArguments {
    /// A label under localhost, or with a dot the whole host name [default: the folder's name]
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// The port that the command listens on [default: a free one]
    #[arg(short, long)]
    port: Option<NonZeroU16>,
    /// How many seconds to wait until the command accepts connections
    #[arg(long, value_name = "SECONDS", default_value_t = WAIT_SECONDS)]
    wait: u32,
    /// Settings, and sites that are served too
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    control: ControlArguments,
    /// Do not let another onedoor serve the name
    #[arg(long)]
    no_join: bool,
    /// Serve the name even if somebody else has it, until this ends
    #[arg(long)]
    replace: bool,
    /// The command; it finds PORT, HOST, ONEDOOR_URL and the local CA in its environment
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<OsString>,
}

pub(super) fn run(arguments: RunArguments, passed: Passed) -> ExitCode {
    let (plan, wish) = match prepare(arguments, passed) {
        Ok(prepared) => prepared,
        Err(exit) => return exit.into(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let ended = match runtime {
        Ok(runtime) => runtime.block_on(serve(plan, wish)),
        Err(error) => {
            say::error("system", &error);
            Err(Exit::Failed)
        }
    };
    ended.map_or_else(ExitCode::from, ExitCode::from)
}

fn prepare(arguments: RunArguments, passed: Passed) -> Result<(Plan, Wish), Exit> {
    let RunArguments {
        name,
        port,
        wait,
        config,
        control,
        no_join,
        replace,
        command,
    } = arguments;
    let folder = std::env::current_dir().map_err(|error| {
        say::error("folder", &error);
        Exit::Failed
    })?;
    let worktree = checkout::worktree(&folder);
    let host = name::host(name.as_deref(), &folder, worktree.as_ref()).map_err(|nameless| {
        say::error("name", &nameless);
        Exit::Configuration
    })?;
    let port = choose(port)?;
    let plan = Plan {
        command: adapted(command, &folder, port),
        port,
        patience: Duration::from_secs(wait.into()),
    };
    let wish = Wish {
        host,
        port,
        config,
        control,
        joining: Joining::of(no_join),
        insistence: serving::insistence(replace),
        passed,
    };
    Ok((plan, wish))
}

fn choose(fixed: Option<NonZeroU16>) -> Result<u16, Exit> {
    let Some(fixed) = fixed.map(NonZeroU16::get) else {
        return port::free(fastrand::u16(..)).ok_or_else(|| {
            say::err("error[no-port]: no port is free\n");
            Exit::Failed
        });
    };
    match port::taken(fixed) {
        None => Ok(fixed),
        Some(problem) => {
            say::err(&port::explain(fixed, &problem));
            Err(Exit::PortInUse)
        }
    }
}

/// With the flags that its server needs; words that are no text are none that we know.
fn adapted(command: Vec<OsString>, folder: &Path, port: u16) -> Vec<OsString> {
    let words: Option<Vec<String>> = command
        .iter()
        .map(|word| word.to_str().map(str::to_owned))
        .collect();
    let Some(words) = words else {
        return command;
    };
    let scripts = Scripts::around(folder);
    let adapted = adapt::adapt(&words, &|name| scripts.named(name), port);
    if let Some(added) = adapted.get(words.len()..).filter(|added| !added.is_empty()) {
        note(&format!(
            "`{}` is added, because this server does not read PORT",
            added.join(" ")
        ));
    }
    adapted.into_iter().map(OsString::from).collect()
}

/// Has the name served, runs the command, and ends the serving behind it. Returns what the command ended with.
async fn serve(plan: Plan, wish: Wish) -> Result<u8, Exit> {
    let mut signals = Signals::new().map_err(|error| {
        say::error("system", &error);
        Exit::Failed
    })?;
    let host = wish.host.clone();
    let (wish, loaded, trust) = door::read(wish)?;
    let (ended, end) = oneshot::channel::<()>();
    let (told, served) = oneshot::channel::<Served>();
    let mut told = Some(told);
    let serving = async {
        let until = async {
            // Nothing is ever sent: it closes when the command has ended.
            let _closed = end.await;
        };
        let mut begun = |served| {
            // Whoever serves later is no news for the command.
            if let Some(told) = told.take() {
                let _gone = told.send(served);
            }
        };
        let exit = Box::pin(serving::serve(wish, loaded, until, &mut begun)).await;
        drop(told.take());
        exit
    };
    let attending = async {
        let served = served.await.ok()?;
        let url = door::url(&host, &served.urls);
        let job = Job {
            variables: variables(plan.port, &url, &served).set,
            reached: reached(plan.port, &url, &served, trust),
            plan,
        };
        let code = job.attend(&mut signals).await;
        drop(ended);
        Some(code)
    };
    let (exit, code) = tokio::join!(serving, attending);
    code.ok_or(exit)
}

/// Trust that cannot be put into a file is missing from the variables, and that is said.
fn variables(port: u16, url: &str, served: &Served) -> Variables {
    let known = |name: &str| std::env::var_os(name);
    let Some(root) = served.local_ca.as_deref() else {
        return Variables::new(&known, port, url, None);
    };
    let storage = Storage::at(served.storage.clone());
    let bundle = bundle::refresh(&storage, root).unwrap_or_else(|error| {
        say::error("ca-bundle", &error);
        None
    });
    let trust = Trust {
        root,
        bundle: bundle.as_deref(),
    };
    let variables = Variables::new(&known, port, url, Some(trust));
    if bundle.is_none() {
        note("this system has no root certificates: only Node trusts the local CA by itself");
    }
    if !variables.kept.is_empty() {
        note(&format!(
            "already set and left so: {}; the local CA's root is {}",
            variables.kept.join(", "),
            root.display()
        ));
    }
    variables
}

/// What a person reads once the command accepts.
fn reached(port: u16, url: &str, served: &Served, trust: Novelty) -> String {
    let by = if served.holder == std::process::id() {
        "this onedoor".to_owned()
    } else {
        format!("onedoor (pid {})", served.holder)
    };
    let mut text = format!("{url} → localhost:{port}, served by {by}\n");
    if trust == Novelty::New
        && let Some(root) = &served.local_ca
    {
        text.push_str(&format!(
            "clients must trust the local CA: {}\n",
            root.display()
        ));
    }
    text
}

fn note(text: &str) {
    say::err(&format!("note: {text}\n"));
}

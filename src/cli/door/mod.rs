//! The verbs that talk to the running onedoor: what is served, by whom and why, and changes of it. One file a verb.

mod add;
mod asked;
mod entry;
mod explain;
mod failure;
mod follow;
mod get;
mod gone;
mod keeping;
mod logs;
mod ls;
mod open;
mod reload;
mod restart;
mod rm;
#[cfg(test)]
mod samples;
mod status;
mod stop;
mod who;

use std::time::Duration;

use clap::Subcommand;
use jiff::Timestamp;
use serde::Serialize;

use super::place::ControlArguments;
use super::{Exit, say};
use crate::app::wall_clock;
use crate::control::client;
use crate::control::place::Place;
use crate::control::status::Status;
use failure::Failure;

/// How long the holder may take to tell something.
const TELL_TIME: Duration = Duration::from_secs(10);

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// List what is served, and by whom
    Ls(ls::Arguments),
    /// Print the URL of a site, or the port behind it
    Get(get::Arguments),
    /// Open a site in the browser
    Open(open::Arguments),
    /// Print access-log lines as they come, of every process
    Logs(logs::Arguments),
    /// Show the whole door: who has it, its guests, its listeners
    Status(status::Arguments),
    /// Say what becomes of a request, and why
    Explain(explain::Arguments),
    /// Have the running onedoor read its file again
    Reload(reload::Arguments),
    /// Start the program anew and hand the door over to it, without a gap
    Restart(restart::Arguments),
    /// End the running onedoor; a guest goes on with the door
    Stop(stop::Arguments),
    /// Serve a name until it is removed, over every restart
    Add(add::Arguments),
    /// End what `add` began
    Rm(rm::Arguments),
}

pub(super) fn run(verb: &Verb) -> Exit {
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            say::error("system", &error);
            return Exit::Failed;
        }
    };
    match runtime.block_on(Box::pin(done(verb))) {
        Ok(()) => Exit::Fine,
        Err(failure) => {
            say::err(&failure.text);
            failure.exit
        }
    }
}

async fn done(verb: &Verb) -> Result<(), Failure> {
    match verb {
        Verb::Ls(arguments) => ls::run(arguments).await,
        Verb::Get(arguments) => get::run(arguments).await,
        Verb::Open(arguments) => open::run(arguments).await,
        Verb::Logs(arguments) => logs::run(arguments).await,
        Verb::Status(arguments) => status::run(arguments).await,
        Verb::Explain(arguments) => explain::run(arguments).await,
        Verb::Reload(arguments) => reload::run(arguments).await,
        Verb::Restart(arguments) => restart::run(arguments).await,
        Verb::Stop(arguments) => stop::run(arguments).await,
        Verb::Add(arguments) => add::run(arguments).await,
        Verb::Rm(arguments) => rm::run(arguments).await,
    }
}

/// Where the door is controlled. A machine without any place for state has a door nowhere but where it is said.
fn place(control: &ControlArguments) -> Place {
    control.place(&std::env::temp_dir())
}

async fn status(place: &Place) -> Result<Status, Failure> {
    Ok(client::status(place, TELL_TIME).await?)
}

fn now() -> Timestamp {
    Timestamp::try_from(wall_clock()).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn json(value: &impl Serialize) -> String {
    let text = serde_json::to_string_pretty(value).unwrap_or_default();
    text + "\n"
}

//! `onedoor up`: serve until told to stop.

use std::future::pending;
use std::path::PathBuf;

use super::place::ControlArguments;
use super::serving::{self, Greeting, Joining, Wish};
use super::{Exit, UpArguments, say};
use crate::app::source::Source;
use crate::app::storing::Depot;
use crate::app::{Heed, StartError};
use crate::config::{self, Config, Level, Loaded, LogFormat};
use crate::control::claim::{Claim, ClaimProblem};
use crate::control::leases::Insistence;
use crate::control::place::Place;
use crate::observe::events::{self, Style};
use crate::ports::passed::Passed;

pub(super) fn run(arguments: UpArguments, passed: Passed) -> Exit {
    let UpArguments {
        config,
        control,
        no_join,
        replace,
        sites,
    } = arguments;
    let Some(source) = source(config, sites) else {
        say::err(
            "error[no-config]: there is no `proxy.toml` here and no /etc/onedoor/proxy.toml\n  \
             try:  onedoor app.localhost=3000        serve one site without a file\n        \
             onedoor up -c FILE                serve this file\n        \
             onedoor demo                      see it work\n",
        );
        return Exit::Configuration;
    };
    let loaded = match source.load(None) {
        Ok(loaded) => loaded,
        Err(refused) => {
            say::refused(&refused);
            return Exit::Configuration;
        }
    };
    say::problems(&loaded.isolated, &loaded.sources);
    say::problems(&loaded.warnings, &loaded.sources);
    listen_to_events(&loaded.config);
    let wish = match wish(source, &loaded, &control, passed) {
        Ok(wish) => wish,
        Err(exit) => return exit,
    };
    let wish = Wish {
        joining: Joining::of(no_join),
        insistence: serving::insistence(replace),
        ..wish
    };
    on_a_runtime(serving::serve(wish, loaded, pending(), &mut |_server| {}))
}

fn source(config: Option<PathBuf>, sites: Vec<String>) -> Option<Source> {
    match (config, sites.is_empty()) {
        (Some(path), _) => Some(Source::File {
            path,
            arguments: sites,
        }),
        (None, false) => Some(Source::Arguments(sites)),
        (None, true) => config::find().map(|path| Source::File {
            path,
            arguments: Vec::new(),
        }),
    }
}

/// Events go to standard error, in the form of the access log where that is JSON.
pub(super) fn listen_to_events(config: &Config) {
    let level = match config.log.level {
        Level::Error => tracing::Level::ERROR,
        Level::Warn => tracing::Level::WARN,
        Level::Info => tracing::Level::INFO,
        Level::Debug => tracing::Level::DEBUG,
        Level::Trace => tracing::Level::TRACE,
    };
    let style = match config.log.format {
        LogFormat::Json => Style::Json,
        LogFormat::Text | LogFormat::Combined => {
            Style::for_people(std::env::var_os("NO_COLOR").as_deref())
        }
    };
    let directives = std::env::var("ONEDOOR_LOG").ok();
    if let Err(error) = events::init(level, directives.as_deref(), style) {
        say::error("log", &error);
    }
}

/// Serving a source wherever that may be.
pub(super) fn wish(
    source: Source,
    loaded: &Loaded,
    control: &ControlArguments,
    passed: Passed,
) -> Result<Wish, Exit> {
    let storage = Depot::find(Some(&loaded.config)).map_err(|error| {
        say::error("storage", &error);
        Exit::Configuration
    })?;
    Ok(Wish {
        source,
        heed: Heed::Ours,
        place: control.place(storage.folder()),
        storage,
        joining: Joining::Allowed,
        insistence: Insistence::Asks,
        passed,
        greeting: Greeting::Table,
    })
}

/// Runs to the end on this thread.
pub(super) fn on_a_runtime(serving: impl Future<Output = Exit>) -> Exit {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => runtime.block_on(serving),
        Err(error) => {
            say::error("system", &error);
            Exit::Failed
        }
    }
}

/// Says why, and which number a script sees.
pub(super) fn not_started(error: &StartError) -> Exit {
    match error {
        StartError::Config(refused) => {
            say::refused(refused);
            Exit::Configuration
        }
        StartError::Ports(problem) => {
            say::err(&problem.render());
            match problem.exit_code() {
                2 => Exit::Configuration,
                4 => Exit::PortInUse,
                5 => Exit::Permission,
                _ => Exit::Failed,
            }
        }
        StartError::Control(problem) => not_claimed(problem),
        StartError::Log(error) => {
            say::error("access-log", error);
            Exit::Configuration
        }
        StartError::Dns(error) => {
            say::error("acme.dns", error);
            Exit::Configuration
        }
        StartError::Storage(error) => {
            say::error("storage", error);
            Exit::Configuration
        }
        StartError::Tls(error) => {
            say::error("tls", error);
            Exit::Failed
        }
        StartError::System(error) => {
            say::error("system", error);
            Exit::Failed
        }
    }
}

/// Says why we cannot be the holder.
pub(super) fn not_claimed(problem: &ClaimProblem) -> Exit {
    say::error("control", problem);
    if let ClaimProblem::Held { pid, .. } = problem {
        say::err(&ways_beside(*pid));
    }
    Exit::Failed
}

/// The process that has the door does nothing, not even end.
pub(super) fn not_answered(place: &Place) -> Exit {
    let pid = Claim::holder(place);
    let who = pid.map_or_else(String::new, |pid| format!(" (pid {pid})"));
    let folder = place.folder().display();
    say::err(&format!(
        "error[control]: the onedoor{who} in charge of `{folder}` does not answer\n"
    ));
    let beside = "onedoor up --instance NAME";
    let mut text = String::from("  try:");
    if let Some(pid) = pid {
        let width = beside.len();
        let (go_on, end) = (format!("kill -CONT {pid}"), format!("kill -9 {pid}"));
        text.push_str(&format!(
            "  {go_on:width$}   lets it go on, if it was stopped\n"
        ));
        text.push_str(&format!(
            "        {end:width$}   ends it; its guests go on with the door\n      "
        ));
    }
    text.push_str(&format!("  {beside}   serves beside it, on other ports\n"));
    say::err(&text);
    Exit::Failed
}

/// What to do about a onedoor that is there already.
fn ways_beside(pid: Option<u32>) -> String {
    let beside = "onedoor up --instance NAME";
    let width = beside.len();
    let join = "onedoor up";
    let mut text = format!("  try:  {join:width$}   joins it: both serve, from one door\n");
    if let Some(pid) = pid {
        let stop = format!("kill {pid}");
        text.push_str(&format!("        {stop:width$}   stops it\n"));
    }
    text.push_str(&format!(
        "        {beside}   serves beside it, on other ports\n"
    ));
    text
}

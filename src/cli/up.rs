//! `onedoor up`: serve until told to stop.

use std::path::{Path, PathBuf};

use super::{Exit, UpArguments, place, say};
use crate::app::source::Source;
use crate::app::{App, Setup, StartError};
use crate::config::{self, Config, Level, Loaded, LogFormat};
use crate::control::claim::ClaimProblem;
use crate::observe::events::{self, Style};
use crate::ports::passed::Passed;
use crate::storage::files::Storage;

pub(super) fn run(arguments: UpArguments, passed: Passed) -> Exit {
    let UpArguments {
        config,
        control,
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
    let setup = match setup(source, loaded, control.as_deref(), passed) {
        Ok(setup) => setup,
        Err(exit) => return exit,
    };
    serve(setup)
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

pub(super) fn setup(
    source: Source,
    loaded: Loaded,
    control: Option<&Path>,
    passed: Passed,
) -> Result<Setup, Exit> {
    let folder = place::storage(&loaded.config).map_err(|no_place| {
        say::error("storage", &no_place);
        Exit::Configuration
    })?;
    // `health` does not read the file: both look where they would without one.
    let state = crate::storage::default_place().unwrap_or_else(|_none| folder.clone());
    let control = place::control(control, &state);
    Ok(Setup {
        source,
        loaded,
        storage: Storage::at(folder),
        control,
        passed,
    })
}

fn serve(setup: Setup) -> Exit {
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
    runtime.block_on(async {
        let app = match App::start(setup).await {
            Ok(app) => app,
            Err(error) => return not_started(&error),
        };
        say::out(&app.banner());
        if let Some(root) = app.local_ca_path() {
            say::out(&format!(
                "clients must trust the local CA: {}\n",
                root.display()
            ));
        }
        app.run(std::future::pending()).await;
        Exit::Fine
    })
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
        StartError::Control(problem) => {
            say::error("control", problem);
            if let ClaimProblem::Held { pid, .. } = problem {
                say::err(&ways_beside(*pid));
            }
            Exit::Failed
        }
        StartError::Log(error) => {
            say::error("access-log", error);
            Exit::Configuration
        }
        StartError::Dns(error) => {
            say::error("acme.dns", error);
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

/// What to do about a onedoor that is there already.
fn ways_beside(pid: Option<u32>) -> String {
    let mut text =
        "  note: to serve these sites too, put them into its file: it reads it again by itself\n"
            .to_owned();
    let beside = "onedoor up --control DIR";
    let mut label = "try:";
    if let Some(pid) = pid {
        let stop = format!("kill {pid}");
        let width = beside.len();
        text.push_str(&format!("  try:  {stop:width$}   stops it\n"));
        label = "";
    }
    text.push_str(&format!(
        "  {label:5} {beside}   serves beside it, on other ports\n"
    ));
    text
}

//! `onedoor service`: a service of systemd or launchd that keeps the ports, installed and removed without a trace.

mod agent;
mod needs;
mod plan;
mod steps;
mod systemd;
mod wanted;

use std::path::PathBuf;
use std::time::Duration;

use clap::Subcommand;

use super::{Exit, say};
use crate::config::{self, Loaded};
use crate::ports::permission::{Machine, ReservedPorts};
use crate::routing::{Loopback, sockets_of};
use crate::system::System;
use plan::{Homes, Layout, Manager};
use steps::Found;
use wanted::{Scope, Wanted};

/// What a stop may take beyond the drain.
const FAREWELL: Duration = Duration::from_secs(15);

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Write the files of the service, and start it
    Install(InstallArguments),
    /// Say whether it is installed, and whether it runs
    Status(ScopeArguments),
    /// Stop it, and remove the files that `install` wrote
    Uninstall(ScopeArguments),
}

#[derive(Debug, clap::Args)]
pub(super) struct ScopeArguments {
    /// The service of this user, who must be logged in [default: unless root]
    #[arg(long, conflicts_with = "system")]
    user: bool,
    /// The service of the machine [default: for root]
    #[arg(long)]
    system: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct InstallArguments {
    #[command(flatten)]
    scope: ScopeArguments,
    /// Print the files, and change nothing
    #[arg(long)]
    print: bool,
    /// Print them for this manager
    #[arg(long, value_enum, requires = "print")]
    manager: Option<Manager>,
    /// The configuration [default: proxy.toml, then /etc/onedoor/proxy.toml]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub(super) fn run(verb: &Verb) -> Exit {
    let done = match verb {
        Verb::Install(arguments) => install(arguments),
        Verb::Status(scope) => status(scope),
        Verb::Uninstall(scope) => uninstall(scope),
    };
    done.unwrap_or_else(|exit| exit)
}

fn install(arguments: &InstallArguments) -> Result<Exit, Exit> {
    let Some(path) = arguments.config.clone().or_else(config::find) else {
        say::err(
            "error[no-config]: there is no `proxy.toml` here and no /etc/onedoor/proxy.toml: name one with -c\n",
        );
        return Err(Exit::Configuration);
    };
    let loaded = config::load(&path, None).map_err(|refused| {
        say::refused(&refused);
        Exit::Configuration
    })?;
    let manager = match arguments.manager {
        Some(manager) => manager,
        None => manager()?,
    };
    let scope = arguments.scope.scope();
    let wanted = wanted(manager, scope, path, &loaded)?;
    let layout = layout(manager, scope)?;
    let texts = manager.texts(&wanted);
    if arguments.print {
        for (file, text) in layout.files.iter().zip(&texts) {
            say::out(&format!("==> {} <==\n{text}\n", file.display()));
        }
        return Ok(Exit::Fine);
    }
    if manager == Manager::Launchd
        && let Some(folder) = agent::log(&wanted).parent()
        && let Err(error) = std::fs::create_dir_all(folder)
    {
        say::err(&format!(
            "error[service]: cannot make {}: {error}\n",
            folder.display()
        ));
        return Err(Exit::Failed);
    }
    steps::install(manager, &layout, &texts)?;
    tell_notes(manager, &wanted);
    Ok(Exit::Fine)
}

fn wanted(
    manager: Manager,
    scope: Scope,
    config: PathBuf,
    loaded: &Loaded,
) -> Result<Wanted, Exit> {
    let failed = |error: std::io::Error| {
        say::error("system", &error);
        Exit::Failed
    };
    let program = std::env::current_exe().map_err(failed)?;
    // The door on macOS asks for wildcards where only loopback is served, and takes sockets for what it asks.
    let loopback = match manager {
        Manager::Systemd => Loopback::Direct,
        Manager::Launchd => Loopback::Guarded,
    };
    let mut sockets = sockets_of(&loaded.config, loopback);
    sockets.dedup_by_key(|spec| spec.address);
    if sockets.iter().any(|spec| spec.address.port() == 0) {
        say::err(
            "error[service]: port 0 is another port at each start, which no manager can keep: name the ports in `listen` and `http`\n",
        );
        return Err(Exit::Configuration);
    }
    Ok(Wanted {
        scope,
        needs: match scope {
            Scope::System => needs::of(loaded, &program),
            Scope::User => wanted::Needs {
                programs: needs::of(loaded, &program).programs,
                ..wanted::Needs::default()
            },
        },
        program,
        config: std::path::absolute(config).map_err(failed)?,
        sockets,
        stop_seconds: (loaded.config.drain + FAREWELL).as_secs(),
        home: std::env::home_dir(),
    })
}

fn tell_notes(manager: Manager, wanted: &Wanted) {
    if manager == Manager::Launchd {
        let log = agent::log(wanted);
        say::out(&format!(
            "note: it says what goes wrong in {}\n",
            log.display()
        ));
        return;
    }
    match wanted.scope {
        Scope::System if wanted.needs.ask_for_root() => {
            let needs = &wanted.needs;
            let paths = needs.private.iter().chain(&needs.written);
            let paths: Vec<String> = paths.map(|path| path.display().to_string()).collect();
            say::out(&format!(
                "note: it runs as root, with the rights for ports and files alone, for a user of its own could not reach {}\n",
                paths.join(", ")
            ));
        }
        Scope::System => {}
        Scope::User => {
            say::out("note: it ends with your last session; `loginctl enable-linger` keeps it\n");
            let machine = Machine::survey();
            let ports = wanted.sockets.iter().map(|spec| spec.address.port());
            let lowest = ports.min().unwrap_or(u16::MAX);
            if lowest < machine.unprivileged_from && machine.reserved_ports == ReservedPorts::Denied
            {
                say::out(&format!(
                    "note: port {lowest} is reserved; `sudo sysctl -w net.ipv4.ip_unprivileged_port_start={lowest}` lets everyone use it, until the next boot\n"
                ));
            }
        }
    }
}

fn status(scope: &ScopeArguments) -> Result<Exit, Exit> {
    let manager = manager()?;
    let layout = layout(manager, scope.scope())?;
    let mut installed = true;
    for file in &layout.files {
        let word = match steps::found(file) {
            Found::Ours(_) => "installed",
            Found::Nothing => "missing",
            Found::Foreign => "not written by onedoor",
        };
        installed &= word == "installed";
        say::out(&format!("{}: {word}\n", file.display()));
    }
    let running = steps::is_running(&layout);
    let word = match running {
        Some(true) => "it runs",
        Some(false) => "it does not run",
        None => "nobody can be asked whether it runs",
    };
    let program = manager.program();
    say::out(&format!("{program}: {word}\n"));
    Ok(if installed && running == Some(true) {
        Exit::Fine
    } else {
        Exit::Failed
    })
}

fn uninstall(scope: &ScopeArguments) -> Result<Exit, Exit> {
    let manager = manager()?;
    steps::uninstall(manager, &layout(manager, scope.scope())?)?;
    Ok(Exit::Fine)
}

fn manager() -> Result<Manager, Exit> {
    match System::HERE {
        System::Linux => Ok(Manager::Systemd),
        System::Darwin => Ok(Manager::Launchd),
        System::OtherUnix => {
            say::err("error[service]: onedoor knows systemd and launchd, and neither is here\n");
            Err(Exit::Failed)
        }
    }
}

fn layout(manager: Manager, scope: Scope) -> Result<Layout, Exit> {
    let homes = Homes {
        uid: rustix::process::geteuid().as_raw(),
        home: std::env::home_dir(),
        config_home: std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from),
    };
    manager.layout(scope, &homes).ok_or_else(|| {
        say::err(
            "error[service]: this user has no home for a service: set HOME, or use --system\n",
        );
        Exit::Failed
    })
}

impl ScopeArguments {
    fn scope(&self) -> Scope {
        if self.system || (!self.user && rustix::process::geteuid().is_root()) {
            Scope::System
        } else {
            Scope::User
        }
    }
}

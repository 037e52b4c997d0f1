//! `onedoor doctor`: everything outside the program that may keep it from working, each thing with its remedy.

mod finding;
mod judge;
mod look;

use std::path::{Path, PathBuf};

use super::certs::digest;
use super::place::ControlArguments;
use super::trust::look::{self as look_at, Depth, Owning};
use super::{Exit, hosts, say};
use crate::app::banner::counted;
use crate::app::connections_max;
use crate::app::storing::{Depot, StoringError};
use crate::config::{self, Config, Loaded, Refused, Unknown};
use crate::control::place::Place;
use crate::hostname::HostPattern;
use crate::ports::descriptors::raise_descriptor_limit;
use crate::ports::permission::{Machine, quoted};
use finding::{Finding, Status};
use judge::{authority, certificates, control, names, ports, reach, storage, trust};

#[derive(Debug, clap::Args)]
pub(super) struct DoctorArguments {
    /// The configuration [default: proxy.toml, then /etc/onedoor/proxy.toml]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    control: ControlArguments,
    /// Print an array for programs
    #[arg(long)]
    json: bool,
}

/// What is looked at, as far as it is known.
struct Patient {
    path: Option<PathBuf>,
    loaded: Option<Loaded>,
    refused: Option<Refused>,
    depot: Result<Depot, StoringError>,
    control: Place,
    machine: Machine,
}

pub(super) fn run(arguments: &DoctorArguments) -> Exit {
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
    let patient = Patient::arrive(arguments);
    let findings = runtime.block_on(Box::pin(patient.examine()));
    // A resolver that hangs is not waited for.
    runtime.shutdown_background();
    if arguments.json {
        let text = serde_json::to_string_pretty(&findings).unwrap_or_default();
        say::out(&format!("{text}\n"));
    } else {
        say::out(&finding::text(&findings));
    }
    if patient.refused.is_some() {
        Exit::Configuration
    } else if findings.iter().any(|one| one.status == Status::Problem) {
        Exit::Failed
    } else {
        Exit::Fine
    }
}

impl Patient {
    fn arrive(arguments: &DoctorArguments) -> Self {
        let path = arguments.config.clone().or_else(config::find);
        let (loaded, refused) = match path.as_deref().map(|path| config::load(path, None)) {
            None => (None, None),
            Some(Ok(loaded)) => (Some(loaded), None),
            Some(Err(refused)) => (None, Some(refused)),
        };
        let default = crate::storage::default_place().ok();
        let depot = Depot::find(loaded.as_ref().map(|loaded| &loaded.config));
        let own = depot.as_ref().ok().map(|depot| depot.folder().to_owned());
        let state = default.or(own).unwrap_or_default();
        Self {
            path,
            loaded,
            refused,
            depot,
            control: arguments.control.place(&state),
            machine: Machine::survey(),
        }
    }

    fn config(&self) -> Option<&Config> {
        self.loaded.as_ref().map(|loaded| &loaded.config)
    }

    async fn examine(&self) -> Vec<Finding> {
        let mut findings = vec![self.file()];
        let (holder, health) = look::control::holder(&self.control).await;
        findings.push(control::judge(
            &holder,
            &quoted(&self.control.socket()),
            &quoted(&self.control.lock()),
            env!("CARGO_PKG_VERSION"),
        ));
        // Before the probes: their own remains would be found.
        let held = look::ports::ports(self.config());
        let door = holder.pid();
        findings.extend(
            held.iter()
                .map(|port| ports::judge(port, door, &self.machine)),
        );
        let shadows = look::control::shadows(&self.control).await;
        findings.extend(control::shadowed(&shadows));
        if let Some(health) = &health {
            let reaches = look::reach::reaches(health).await;
            let unknown = self.unknown();
            let system = self.machine.system;
            findings.extend(reaches.iter().map(|one| reach::judge(one, unknown, system)));
        }
        self.look_at_names(&mut findings).await;
        self.look_at_storage(&mut findings).await;
        self.look_at_certificates(&mut findings).await;
        findings
    }

    fn file(&self) -> Finding {
        let finding = |status, what: String| Finding::new("config", status, what);
        let Some(path) = &self.path else {
            return finding(
                Status::Unknown,
                "there is no proxy.toml here and no /etc/onedoor/proxy.toml".to_owned(),
            )
            .fix("onedoor app.localhost=3000");
        };
        let shown = path.display();
        let check = format!("onedoor check -c {}", quoted(path));
        match (&self.loaded, &self.refused) {
            (Some(loaded), _) if loaded.isolated.is_empty() => {
                let sites = counted(loaded.config.sites.len(), "site");
                finding(Status::Ok, format!("{shown} is fine: {sites}"))
            }
            (Some(loaded), _) => {
                let count = counted(loaded.isolated.len(), "problem");
                finding(
                    Status::Warning,
                    format!("{shown}: {count} in included files"),
                )
                .fix(check)
            }
            (None, refused) => {
                let problems = refused.iter().flat_map(|refused| &refused.problems);
                let messages: Vec<&str> = problems.map(|one| one.message.as_str()).collect();
                let count = counted(messages.len(), "problem");
                finding(Status::Problem, format!("{shown} is not served: {count}"))
                    .detail(messages.join("\n"))
                    .fix(check)
            }
        }
    }

    /// Without a file of ours, what the door does with strangers is not known, and served is the wider guess.
    fn unknown(&self) -> reach::Unknown {
        let Some(config) = self.config() else {
            return reach::Unknown::Served;
        };
        let catches_all = |pattern: &HostPattern| *pattern == HostPattern::CatchAll;
        let mut names = config.sites.iter().flat_map(|site| site.names.iter());
        match config.unknown {
            Unknown::Reject if !names.any(catches_all) => reach::Unknown::Refused,
            Unknown::Reject | Unknown::Serve(_) => reach::Unknown::Served,
        }
    }

    async fn look_at_names(&self, findings: &mut Vec<Finding>) {
        let (Some(config), Some(path)) = (self.config(), &self.path) else {
            return;
        };
        let asked = look::names::asked(config);
        let sync = hosts::as_root(Path::new(hosts::FILE), path, "sync");
        let found = look::names::names(&asked).await;
        findings.extend(found.iter().map(|name| names::judge(name, &sync)));
        let left = asked.len().saturating_sub(look::names::NAMES_MAX);
        if left > 0 {
            let what = format!("{} more were not looked up", counted(left, "name"));
            findings.push(Finding::new("names", Status::Unknown, what));
        }
    }

    async fn look_at_storage(&self, findings: &mut Vec<Finding>) {
        let depot = match &self.depot {
            Ok(depot) => depot,
            Err(error) => {
                findings.push(
                    Finding::new("storage", Status::Problem, error.to_string())
                        .fix("export ONEDOOR_STORAGE=/var/lib/onedoor"),
                );
                return;
            }
        };
        findings.push(if depot.is_shared() {
            let written = look::storage::shared(depot).await;
            storage::judge_shared(&depot.to_string(), &written)
        } else {
            storage::judge(&look::storage::look(depot, self.config()))
        });
        self.look_at_trust(depot.folder(), findings).await;
    }

    async fn look_at_trust(&self, folder: &Path, findings: &mut Vec<Finding>) {
        let file = folder.join("local-ca/root.pem");
        let quoted = quoted(&file);
        let Some(mark) = look_at::mark(&file) else {
            findings.push(without_root(&file, &quoted));
            return;
        };
        let stores = look_at::stores(&Owning::here(), &mark, &file, Depth::Quick).await;
        let verb = self.trust();
        let system = self.machine.system;
        let there = stores.iter().filter(|store| store.is_there());
        findings.extend(there.map(|one| trust::judge(one, &quoted, &verb, system)));
    }

    /// The verb for what is looked at here.
    fn trust(&self) -> String {
        match &self.path {
            Some(path) if Some(path) != config::find().as_ref() => {
                format!("onedoor trust -c {}", quoted(path))
            }
            Some(_) | None => "onedoor trust".to_owned(),
        }
    }

    async fn look_at_certificates(&self, findings: &mut Vec<Finding>) {
        let descriptors = raise_descriptor_limit().map_or(None, |limit| limit.soft);
        let limits = self
            .config()
            .map(|config| config.limits)
            .unwrap_or_default();
        findings.push(storage::descriptors(
            descriptors,
            connections_max(descriptors),
            limits.connections,
            self.machine.system,
        ));
        let (Some(config), Some(path)) = (self.config(), &self.path) else {
            return;
        };
        let authorities = look::authority::authorities(config).await;
        findings.extend(authorities.iter().map(authority::judge));
        findings.push(authority::clock(&authorities, self.machine.system));
        match digest::digest(path).await {
            Some(digests) => findings.extend(digests.iter().map(certificates::judge)),
            None => findings.push(
                Finding::new(
                    "certificates",
                    Status::Unknown,
                    "certificates cannot be looked at",
                )
                .fix("onedoor certs list"),
            ),
        }
    }
}

fn without_root(file: &Path, quoted: &str) -> Finding {
    if !file.exists() {
        return Finding::new(
            "trust",
            Status::Ok,
            "there is no local CA yet; the first site that needs it makes it",
        );
    }
    let what = "the local CA's root is no certificate";
    let show = format!("openssl x509 -noout -subject -in {quoted}");
    Finding::new("trust", Status::Problem, what).fix(show)
}

//! `onedoor certs import PATH`: other tools' certificates and accounts become ours, so that nothing is ordered anew.

mod entry;
mod farewell;
mod report;
mod words;

use std::collections::BTreeSet;
use std::path::Path;

use super::known::Scene;
use super::{ImportArguments, json, runtime};
use crate::app;
use crate::certs::adopt::{AdoptError, Adopter, Plan, Policy, Wishes};
use crate::certs::import::findings::Findings;
use crate::certs::import::{self};
use crate::certs::keeper::over_the_network;
use crate::cli::{Exit, say};
use crate::clock::Clock;
use entry::Told;
use report::{Report, printable};

pub(super) fn run(arguments: &ImportArguments) -> Exit {
    let Ok(scene) = Scene::open(arguments.config.as_deref()) else {
        return Exit::Configuration;
    };
    let findings = match import::read(&arguments.path, scene.now) {
        Ok(findings) => findings,
        Err(error) => {
            say::error("import", &error);
            return Exit::Failed;
        }
    };
    if findings.certificates.is_empty() && findings.accounts.is_empty() {
        nothing(&arguments.path, &findings);
        return Exit::Failed;
    }
    if !arguments.dry_run
        && let Err(exit) = scene.check_owner()
    {
        return exit;
    }
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(exit) => return exit,
    };
    let adopter = runtime.block_on(adopter(&scene, arguments));
    let plan = match runtime.block_on(plan(&adopter, &findings, arguments.dry_run)) {
        Ok(plan) => plan,
        Err(error) => {
            say::error("storage", &error);
            return Exit::Failed;
        }
    };
    let told = if arguments.dry_run {
        Told::Beforehand
    } else {
        Told::Afterwards
    };
    let report = Report::of(&plan, &findings, told);
    if arguments.json {
        say::out(&json(&report));
    } else {
        say::out(&report.text());
        say::err(&report.notes(scene.loaded.as_ref().map(|loaded| &loaded.config)));
    }
    if report.has_failed() {
        Exit::Failed
    } else {
        Exit::Fine
    }
}

async fn plan(adopter: &Adopter, findings: &Findings, dry_run: bool) -> Result<Plan, AdoptError> {
    let mut plan = adopter.plan(findings).await?;
    if !dry_run {
        adopter.carry_out(&mut plan, findings).await?;
    }
    Ok(plan)
}

async fn adopter(scene: &Scene, arguments: &ImportArguments) -> Adopter {
    let policy = if arguments.take_over_account {
        Policy::TakeOver
    } else {
        Policy::LeaveForeignKeys
    };
    let vault = scene.vault.clone();
    vault.store().orders_nothing();
    let wishes = wishes(scene).await;
    Adopter::new(vault, Clock::system(), wishes, over_the_network(), policy)
}

async fn wishes(scene: &Scene) -> Wishes {
    let Some(loaded) = &scene.loaded else {
        return Wishes::default();
    };
    let (names, at_handshakes) = scene.ordered().await;
    let acme = loaded.config.acme.as_ref();
    let roots = acme.and_then(|acme| acme.roots.as_ref());
    Wishes {
        names,
        at_handshakes,
        cas: app::cas(&loaded.config),
        roots: roots.map(|roots| roots.pem.to_vec()),
    }
}

fn nothing(path: &Path, findings: &Findings) {
    say::err(&format!(
        "error[import]: nothing was recognised at {}\n",
        path.display()
    ));
    let remarks: BTreeSet<&String> = findings.remarks.iter().collect();
    for remark in remarks {
        say::err(&printable(&format!("  note: {remark}\n")));
    }
    say::err(
        "  try:  the folder that the tool keeps its state in, as in `/etc/letsencrypt`, `~/.acme.sh`, `/var/lib/caddy/.local/share/caddy`, or a file: `acme.json`, a Kubernetes secret, a certificate beside its key\n",
    );
}

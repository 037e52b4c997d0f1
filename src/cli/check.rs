//! `onedoor check`: the questions of `up` and of every reload, answered without changing anything.

use super::{CheckArguments, CheckFormat, Exit, certs, place, say};
use crate::app::banner::counted;
use crate::app::held;
use crate::app::prepare::{Prepared, prepare, sorted};
use crate::app::storing::Depot;
use crate::app::wall_clock;
use crate::certs::resolver::Resolver;
use crate::config::problem::{Problem, Severity, Sources, to_json};
use crate::config::{self, Config, Loaded, Refused};

pub(super) fn run(arguments: &CheckArguments) -> Exit {
    let Some(path) = arguments.config.clone().or_else(config::find) else {
        say::err(
            "error[no-config]: there is no `proxy.toml` here and no /etc/onedoor/proxy.toml: name one with -c\n",
        );
        return Exit::Configuration;
    };
    let runtime = match certs::runtime() {
        Ok(runtime) => runtime,
        Err(exit) => return exit,
    };
    let checked = config::load(&path, None).and_then(|loaded| {
        let local = place::local_ca(&loaded.config);
        let resolver = Resolver::new();
        let preparing = prepare(sorted(loaded), &resolver, &local, wall_clock());
        runtime.block_on(preparing)
    });
    match checked {
        Ok(Prepared {
            loaded, remarks, ..
        }) => {
            let remarks = remarks
                .into_iter()
                .map(|remark| Problem::warning("certificate", remark))
                .chain(held_back(&loaded.config));
            told(arguments.format, &loaded, remarks.collect())
        }
        Err(Refused { problems, sources }) => {
            tell(arguments.format, &problems, &sources);
            Exit::Configuration
        }
    }
}

/// `up` starts all the same, so it is no error.
fn held_back(config: &Config) -> Option<Problem> {
    let held = held(config, &Depot::find(Some(config)).ok()?)?;
    let message = "no certificate would be ordered";
    Some(Problem::warning("ephemeral-storage", message).help(held.why))
}

fn told(format: CheckFormat, loaded: &Loaded, remarks: Vec<Problem>) -> Exit {
    let problems: Vec<Problem> = loaded
        .isolated
        .iter()
        .chain(&loaded.warnings)
        .cloned()
        .chain(remarks)
        .collect();
    tell(format, &problems, &loaded.sources);
    if problems
        .iter()
        .any(|problem| problem.severity == Severity::Error)
    {
        return Exit::Configuration;
    }
    if format == CheckFormat::Text {
        let sites = counted(loaded.config.sites.len(), "site");
        let warnings = counted(problems.len(), "warning");
        say::out(&format!("fine: {sites}, {warnings}\n"));
    }
    Exit::Fine
}

fn tell(format: CheckFormat, problems: &[Problem], sources: &Sources) {
    match format {
        CheckFormat::Text => say::problems(problems, sources),
        CheckFormat::Json => say::out(&format!("{:#}\n", to_json(problems, sources))),
    }
}

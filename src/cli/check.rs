//! `onedoor check`: the questions of `up` and of every reload, answered without changing anything.

use std::path::PathBuf;

use super::{CheckArguments, CheckFormat, Exit, place, say};
use crate::app::banner::counted;
use crate::app::prepare::{Prepared, prepare};
use crate::app::wall_clock;
use crate::certs::resolver::Resolver;
use crate::config::problem::{Problem, Severity, Sources, to_json};
use crate::config::{self, Config, Loaded, Refused};
use crate::storage::files::Storage;

pub(super) fn run(arguments: &CheckArguments) -> Exit {
    let Some(path) = arguments.config.clone().or_else(config::find) else {
        say::err(
            "error[no-config]: there is no `proxy.toml` here and no /etc/onedoor/proxy.toml: name one with -c\n",
        );
        return Exit::Configuration;
    };
    let checked = config::load(&path, None).and_then(|loaded| {
        let scratch = Scratch::new(&loaded.config);
        prepare(loaded, &Resolver::new(scratch.storage()), wall_clock())
    });
    match checked {
        Ok(Prepared {
            loaded, remarks, ..
        }) => told(arguments.format, &loaded, &remarks),
        Err(Refused { problems, sources }) => {
            tell(arguments.format, &problems, &sources);
            Exit::Configuration
        }
    }
}

fn told(format: CheckFormat, loaded: &Loaded, remarks: &[String]) -> Exit {
    let remarks = remarks
        .iter()
        .map(|remark| Problem::warning("certificate", remark.as_str()));
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

/// The storage to ask: the real one if it holds a local CA, else one that is thrown away, for a check creates none.
struct Scratch {
    folder: PathBuf,
    thrown_away: Option<PathBuf>,
}

impl Scratch {
    fn new(config: &Config) -> Self {
        let real = place::storage(config)
            .ok()
            .filter(|folder| folder.join("local-ca").exists());
        match real {
            Some(folder) => Self {
                folder,
                thrown_away: None,
            },
            None => {
                let folder =
                    std::env::temp_dir().join(format!("onedoor-check-{}", std::process::id()));
                Self {
                    folder: folder.clone(),
                    thrown_away: Some(folder),
                }
            }
        }
    }

    fn storage(&self) -> Storage {
        Storage::at(self.folder.clone())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Some(folder) = &self.thrown_away {
            // It was never made when no site needs the local CA.
            let _missing = std::fs::remove_dir_all(folder);
        }
    }
}

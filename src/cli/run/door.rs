//! The door that a command is served by, for as long as it runs.

use std::path::PathBuf;

use crate::app::Heed;
use crate::app::source::Source;
use crate::cli::place::ControlArguments;
use crate::cli::serving::{self, Greeting, Joining};
use crate::cli::{Exit, place, say, up};
use crate::config::Loaded;
use crate::control::leases::Insistence;
use crate::hostname::HostName;
use crate::ports::passed::Passed;

/// What is to be served.
#[derive(Debug)]
pub(super) struct Wish {
    pub(super) host: HostName,
    /// Where the command listens.
    pub(super) port: u16,
    /// Settings and sites beside it.
    pub(super) config: Option<PathBuf>,
    pub(super) control: ControlArguments,
    pub(super) joining: Joining,
    pub(super) insistence: Insistence,
    pub(super) passed: Passed,
}

/// Whether something was there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Novelty {
    New,
    Known,
}

/// What is to be served, read, and whether anybody can trust it yet.
///
/// # Errors
/// What to end with; the reason has been said.
pub(super) fn read(wish: Wish) -> Result<(serving::Wish, Loaded, Novelty), Exit> {
    let Wish {
        host,
        port,
        config,
        control,
        joining,
        insistence,
        passed,
    } = wish;
    let source = source(&host, port, config);
    let loaded = source.load(None).map_err(|refused| {
        say::refused(&refused);
        Exit::Configuration
    })?;
    say::problems(&loaded.isolated, &loaded.sources);
    say::problems(&loaded.warnings, &loaded.sources);
    up::listen_to_events(&loaded.config);
    let wish = serving::Wish {
        heed: Heed::Callers,
        joining,
        insistence,
        greeting: Greeting::Silent,
        ..up::wish(source, &loaded, &control, passed)?
    };
    let trust = if place::has_local_ca(wish.storage.folder()) {
        Novelty::Known
    } else {
        Novelty::New
    };
    Ok((wish, loaded, trust))
}

/// How the name is reached.
pub(super) fn url(host: &HostName, urls: &[String]) -> String {
    let is_ours = |url: &&String| {
        let authority = url.split("://").nth(1).unwrap_or_default();
        authority.split(':').next() == Some(host.as_str())
    };
    let own = urls.iter().find(is_ours).cloned();
    own.unwrap_or_else(|| format!("https://{host}"))
}

/// Without a file nothing is logged but what goes wrong: the terminal is the command's.
fn source(host: &HostName, port: u16, config: Option<PathBuf>) -> Source {
    match config {
        Some(path) => Source::File {
            path,
            arguments: vec![format!("{host}={port}")],
        },
        None => Source::Text {
            name: PathBuf::from("onedoor run"),
            text: format!(
                "[log]\naccess = false\nlevel = \"warn\"\n\n[sites]\n\"{host}\" = \"{port}\"\n"
            ),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_of_the_command_alone_is_a_whole_configuration() {
        let host = HostName::parse("feature-x.shop.localhost").unwrap();
        let loaded = source(&host, 4001, None).load(None).unwrap();
        assert!(loaded.warnings.is_empty());
        assert_eq!(loaded.config.sites.len(), 1);
    }

    #[test]
    fn of_several_urls_that_of_the_name_is_told() {
        let host = HostName::parse("shop.localhost").unwrap();
        let urls = [
            "https://api.shop.localhost".to_owned(),
            "https://shop.localhost:8443".to_owned(),
        ];
        assert_eq!(url(&host, &urls), "https://shop.localhost:8443");
        assert_eq!(url(&host, &[]), "https://shop.localhost");
    }
}

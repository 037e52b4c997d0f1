//! The door that a command is served by, for as long as it runs.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::app::App;
use crate::app::source::Source;
use crate::cli::{Exit, place, say, up};
use crate::config::Loaded;
use crate::config::site::{Service, Site};
use crate::hostname::{HostName, HostPattern};
use crate::ports::passed::Passed;
use crate::routing::Kind;
use crate::storage::files::Storage;

/// What is to be served.
#[derive(Debug)]
pub(super) struct Wish {
    pub(super) host: HostName,
    /// Where the command listens.
    pub(super) port: u16,
    /// Settings and sites beside it.
    pub(super) config: Option<PathBuf>,
    pub(super) control: Option<PathBuf>,
    pub(super) passed: Passed,
}

/// A door that serves the name.
#[derive(Debug)]
pub(super) struct Opened {
    app: App,
    /// How the name is reached.
    pub(super) url: String,
    /// Of the door.
    pub(super) storage: Storage,
    /// The process that has the door.
    pub(super) holder: u32,
    /// What clients must trust is new, and nobody does yet.
    pub(super) trust: Novelty,
}

/// Whether something was there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Novelty {
    New,
    Known,
}

impl Opened {
    /// The local CA's root certificate, if a site needs it.
    pub(super) fn root(&self) -> Option<&Path> {
        self.app.local_ca_path()
    }

    /// Serves until `until` ends. Signals are left to the caller.
    pub(super) async fn serve(self, until: impl Future<Output = ()>) {
        self.app.run_until(until).await;
    }
}

/// Opens a door of our own.
///
/// # Errors
/// What to end with; the reason has been said.
pub(super) async fn open(wish: Wish) -> Result<Opened, Exit> {
    let Wish {
        host,
        port,
        config,
        control,
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
    let reached = reached(&loaded, &host);
    let setup = up::setup(source, loaded, control.as_deref(), passed)?;
    let storage = setup.storage.clone();
    let trust = match place::with_local_ca(&storage.path("")) {
        Some(_there) => Novelty::Known,
        None => Novelty::New,
    };
    let app = App::start(setup)
        .await
        .map_err(|error| up::not_started(&error))?;
    Ok(Opened {
        url: url(&host, &reached, &app.addresses()),
        app,
        storage,
        holder: std::process::id(),
        trust,
    })
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

/// How a site is spoken to and at which ports, in the order of the file.
#[derive(Debug, PartialEq, Eq)]
struct Reached {
    kind: Kind,
    ports: Vec<u16>,
}

fn reached(loaded: &Loaded, host: &HostName) -> Reached {
    let is_ours = |site: &&Site| site.names.contains(&HostPattern::Exact(host.clone()));
    let site = loaded.config.sites.iter().find(is_ours);
    let kind = match site.map(|site| &site.service) {
        Some(Service::Plain(_)) => Kind::Plain,
        Some(Service::Secure(..) | Service::Passthrough(_) | Service::Tcp(..)) | None => Kind::Tls,
    };
    let listens = site.map(|site| site.listen.iter()).into_iter().flatten();
    Reached {
        kind,
        ports: listens.map(|listen| listen.port).collect(),
    }
}

/// By the usual port if the site has it, else by its first; where the system chose that, by the first socket there is.
fn url(host: &HostName, reached: &Reached, addresses: &[(SocketAddr, Kind)]) -> String {
    let Reached { kind, ports } = reached;
    let (scheme, usual) = match kind {
        Kind::Tls => ("https", 443),
        Kind::Plain => ("http", 80),
    };
    let own = ports
        .iter()
        .copied()
        .find(|port| *port == usual)
        .or_else(|| ports.first().copied());
    let bound = || {
        let mut of_kind = addresses.iter().filter(|(_address, own)| own == kind);
        of_kind.next().map(|(address, _kind)| address.port())
    };
    let port = match own {
        Some(0) | None => bound().unwrap_or(usual),
        Some(port) => port,
    };
    if port == usual {
        format!("{scheme}://{host}")
    } else {
        format!("{scheme}://{host}:{port}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(kind: Kind, ports: &[u16], expected: &str) {
        let addresses = [
            ("127.0.0.1:8080".parse().unwrap(), Kind::Plain),
            ("127.0.0.1:40443".parse().unwrap(), Kind::Tls),
        ];
        let reached = Reached {
            kind,
            ports: ports.to_vec(),
        };
        let host = HostName::parse("a.localhost").unwrap();
        assert_eq!(url(&host, &reached, &addresses), expected);
    }

    #[test]
    fn a_url_names_no_usual_port() {
        check(Kind::Tls, &[443], "https://a.localhost");
        check(Kind::Tls, &[8443, 443], "https://a.localhost");
        check(Kind::Plain, &[80], "http://a.localhost");
        check(Kind::Tls, &[8443, 9443], "https://a.localhost:8443");
        check(Kind::Tls, &[0], "https://a.localhost:40443");
        check(Kind::Plain, &[0], "http://a.localhost:8080");
    }

    #[test]
    fn a_site_of_the_command_alone_is_a_whole_configuration() {
        let host = HostName::parse("feature-x.shop.localhost").unwrap();
        let loaded = source(&host, 4001, None).load(None).unwrap();
        assert!(loaded.warnings.is_empty());
        let expected = Reached {
            kind: Kind::Tls,
            ports: vec![443],
        };
        assert_eq!(reached(&loaded, &host), expected);
    }
}

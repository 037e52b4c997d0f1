//! The proxies that are compared: where each one is, what it calls itself, how it is started.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::ValueEnum;

use crate::child::{bound_to_us, output_within, pinned};

const VERSION_PATIENCE: Duration = Duration::from_secs(10);
/// Where Debian keeps servers, which is on root's search path only.
const SERVER_DIRECTORIES: [&str; 2] = ["/usr/sbin", "/usr/local/sbin"];

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Peer {
    Nginx,
    Haproxy,
    Caddy,
    Onedoor,
    /// The same onedoor with twenty rules on the site.
    Rules,
}

/// What a configuration has to name: two ports and two directories.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub port: u16,
    pub upstream: u16,
    /// Holds the certificate: `cert.pem`, `key.pem`, and `both.pem` for who wants them in one.
    pub files: &'a Path,
    /// The peer's own, for its log and whatever it writes.
    pub directory: &'a Path,
}

impl Peer {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Caddy => "caddy",
            Self::Onedoor => "onedoor",
            Self::Rules => "onedoor with rules",
        }
    }

    /// The program on the search path; for onedoor the one cargo has built beside this bench.
    pub(crate) fn find(self) -> Option<PathBuf> {
        match self {
            Self::Onedoor | Self::Rules => option_env!("CARGO_BIN_EXE_onedoor")
                .map(PathBuf::from)
                .filter(|path| path.is_file()),
            Self::Nginx | Self::Haproxy | Self::Caddy => on_search_path(self.name()),
        }
    }

    /// The first line of what the program says about itself.
    ///
    /// # Errors
    /// The program does not run.
    pub(crate) fn version(self, program: &Path) -> Result<String> {
        let argument = match self {
            Self::Nginx | Self::Haproxy => "-v",
            Self::Caddy => "version",
            Self::Onedoor | Self::Rules => "--version",
        };
        let mut command = bound_to_us(program);
        command.arg(argument);
        let text = output_within(command, VERSION_PATIENCE)?;
        let line = text
            .lines()
            .find(|line| !line.trim().is_empty())
            .context("no version printed")?;
        let line = line
            .trim_start_matches("nginx version: ")
            .split(" - http")
            .next()
            .unwrap_or(line);
        let line = line.trim();
        let word = self.name().split(' ').next().unwrap_or_default();
        let named = line.to_lowercase().starts_with(word);
        Ok(if named {
            line.to_owned()
        } else {
            format!("{word} {line}")
        })
    }

    /// Writes the configuration into the peer's directory and gives the command that serves it on `core`, in the foreground.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub(crate) fn prepare(self, program: &Path, core: usize, place: Place<'_>) -> Result<Command> {
        let file = place.directory.join(self.file_name());
        write_config(&file, self.template(), place)?;
        let mut command = pinned(core, program);
        match self {
            Self::Nginx => command
                .arg("-p")
                .arg(place.directory)
                .args(["-e", "error.log", "-c"])
                .arg(&file),
            Self::Haproxy => command.args(["-db", "-f"]).arg(&file),
            Self::Caddy => command
                .env("HOME", place.directory)
                .env("XDG_DATA_HOME", place.directory)
                .env("XDG_CONFIG_HOME", place.directory)
                .args(["run", "--adapter", "caddyfile", "--config"])
                .arg(&file),
            Self::Onedoor | Self::Rules => command
                .env("ONEDOOR_STORAGE", place.directory.join("storage"))
                .env("ONEDOOR_CONTROL", place.directory.join("control"))
                .args(["up", "-c"])
                .arg(&file),
        };
        Ok(command)
    }

    fn file_name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx.conf",
            Self::Haproxy => "haproxy.cfg",
            Self::Caddy => "Caddyfile",
            Self::Onedoor | Self::Rules => "proxy.toml",
        }
    }

    fn template(self) -> &'static str {
        match self {
            Self::Nginx => include_str!("config/nginx.conf"),
            Self::Haproxy => include_str!("config/haproxy.cfg"),
            Self::Caddy => include_str!("config/Caddyfile"),
            Self::Onedoor => include_str!("config/onedoor.toml"),
            Self::Rules => include_str!("config/rules.toml"),
        }
    }
}

/// The nginx that serves the files all peers stand before.
///
/// # Errors
/// No nginx here, or the directory cannot be written.
pub(crate) fn upstream(core: usize, place: Place<'_>) -> Result<Command> {
    let program = Peer::Nginx
        .find()
        .context("the upstream is an nginx, and none is installed")?;
    let file = place.directory.join("upstream.conf");
    write_config(&file, include_str!("config/upstream.conf"), place)?;
    let mut command = pinned(core, &program);
    command
        .arg("-p")
        .arg(place.directory)
        .args(["-e", "error.log", "-c"])
        .arg(&file);
    Ok(command)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a scratch directory that nobody reads after a crash"
)]
fn write_config(file: &Path, template: &str, place: Place<'_>) -> Result<()> {
    let text = template
        .replace("@PORT@", &place.port.to_string())
        .replace("@UPSTREAM@", &place.upstream.to_string())
        .replace("@FILES@", &place.files.to_string_lossy())
        .replace("@DIR@", &place.directory.to_string_lossy());
    fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

/// A program on the search path or where servers are.
pub(crate) fn on_search_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let directories = env::split_paths(&path).chain(SERVER_DIRECTORIES.map(PathBuf::from));
    directories
        .map(|directory| directory.join(name))
        .find(|file| file.is_file())
}

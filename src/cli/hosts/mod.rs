//! `onedoor hosts`: the local names of the configuration in the system's hosts file, for resolvers that do not know them.

pub(super) mod block;

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use clap::Subcommand;

use super::placed::{self, Put};
use super::{Exit, say};
use crate::app::banner::counted;
use crate::config::{self, Config, is_local};
use crate::hostname::{HostName, HostPattern};
use crate::ports::permission::quoted;

pub(super) const FILE: &str = "/etc/hosts";
/// A larger file is none that a person keeps.
const FILE_BYTES_MAX: u64 = 16 << 20;

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Write the local names of the configuration into the hosts file, in a block of its own
    Sync(SyncArguments),
    /// Remove that block, and nothing else
    Clean(CleanArguments),
}

#[derive(Debug, clap::Args)]
pub(super) struct SyncArguments {
    /// The configuration [default: proxy.toml, then /etc/onedoor/proxy.toml]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The hosts file
    #[arg(long, value_name = "PATH", default_value = FILE)]
    file: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(super) struct CleanArguments {
    /// The hosts file
    #[arg(long, value_name = "PATH", default_value = FILE)]
    file: PathBuf,
}

pub(super) fn run(verb: &Verb) -> Exit {
    match verb {
        Verb::Sync(arguments) => sync(arguments),
        Verb::Clean(arguments) => clean(arguments),
    }
}

/// The names that a hosts file can help: local ones, without patterns and addresses.
pub(super) fn local_names(config: &Config) -> Vec<HostName> {
    let mut names = Vec::new();
    for pattern in config.sites.iter().flat_map(|site| site.names.iter()) {
        let HostPattern::Exact(name) = pattern else {
            continue;
        };
        let every_system_knows = name.as_str() == "localhost" || name.ip().is_some();
        if !every_system_knows && is_local(pattern, &config.local_suffixes) && !names.contains(name)
        {
            names.push(name.clone());
        }
    }
    names
}

fn sync(arguments: &SyncArguments) -> Exit {
    let Some(path) = arguments.config.clone().or_else(config::find) else {
        say::err(
            "error[no-config]: there is no `proxy.toml` here and no /etc/onedoor/proxy.toml: name one with -c\n",
        );
        return Exit::Configuration;
    };
    let loaded = match config::load(&path, None) {
        Ok(loaded) => loaded,
        Err(refused) => {
            say::refused(&refused);
            return Exit::Configuration;
        }
    };
    say::problems(&loaded.isolated, &loaded.sources);
    let names = local_names(&loaded.config);
    let done = change(&arguments.file, &path, "sync", |text| {
        block::synced(text, &names)
    });
    let file = arguments.file.display();
    match done {
        Ok(_any) if names.is_empty() => {
            say::out(&format!("no local names: {file} has no block of onedoor\n"));
            Exit::Fine
        }
        Ok(Change::Made(put)) => {
            let names = counted(names.len(), "name");
            say::out(&format!(
                "{file} leads {names} to this machine{}\n",
                how(put)
            ));
            Exit::Fine
        }
        Ok(Change::None) => {
            say::out(&format!("{file} is as it should be\n"));
            Exit::Fine
        }
        Err(exit) => exit,
    }
}

fn clean(arguments: &CleanArguments) -> Exit {
    let file = arguments.file.display();
    match change(&arguments.file, Path::new(""), "clean", block::cleaned) {
        Ok(Change::Made(put)) => {
            say::out(&format!(
                "removed the block of onedoor from {file}{}\n",
                how(put)
            ));
            Exit::Fine
        }
        Ok(Change::None) => {
            say::out(&format!("{file} has no block of onedoor\n"));
            Exit::Fine
        }
        Err(exit) => exit,
    }
}

enum Change {
    None,
    Made(Put),
}

fn how(put: Put) -> &'static str {
    match put {
        Put::Swapped => "",
        Put::InPlace => " (written in place: the file is mounted by itself)",
    }
}

/// Reads, edits and writes; what goes wrong is told.
fn change(
    file: &Path,
    config: &Path,
    verb: &str,
    edit: impl FnOnce(&[u8]) -> Result<Vec<u8>, block::Damage>,
) -> Result<Change, Exit> {
    let before = read(file).map_err(|error| refused(file, config, verb, &error))?;
    let after = edit(&before).map_err(|damage| {
        say::error("hosts-file", &damage);
        let file = quoted(file);
        say::err(&format!(
            "  try:  nano {file}   the file is left as it is\n"
        ));
        Exit::Failed
    })?;
    if after == before {
        return Ok(Change::None);
    }
    placed::put(file, &after)
        .map(Change::Made)
        .map_err(|error| refused(file, config, verb, &error))
}

fn read(file: &Path) -> io::Result<Vec<u8>> {
    let found = fs::metadata(file)?;
    if !found.is_file() || found.len() > FILE_BYTES_MAX {
        return Err(io::Error::other("it is no file of a reasonable size"));
    }
    fs::read(file)
}

fn refused(file: &Path, config: &Path, verb: &str, error: &io::Error) -> Exit {
    if error.kind() != ErrorKind::PermissionDenied {
        say::err(&format!(
            "error[hosts-file]: cannot change {}: {error}\n",
            file.display()
        ));
        return Exit::Failed;
    }
    say::err(&format!(
        "error[hosts-file]: this user may not change {}\n  try:  {}\n",
        file.display(),
        as_root(file, config, verb)
    ));
    Exit::Permission
}

/// The same command for root, whose folder and search path are others.
pub(super) fn as_root(file: &Path, config: &Path, verb: &str) -> String {
    let program = std::env::current_exe().unwrap_or_else(|_unknown| PathBuf::from("onedoor"));
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_gone| path.to_owned());
    let mut command = format!("sudo {} hosts {verb}", quoted(&program));
    if !config.as_os_str().is_empty() {
        command.push_str(&format!(" -c {}", quoted(&absolute(config))));
    }
    if file != Path::new(FILE) {
        command.push_str(&format!(" --file {}", quoted(&absolute(file))));
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_local_single_names_are_for_the_hosts_file() {
        let text = r#"
            tls.local_suffixes = ["corp.example"]
            listen = ["localhost:8443"]
            [sites]
            "shop.localhost" = { to = "1", aliases = ["a.test", "*.b.test"] }
            "localhost" = "1"
            "127.0.0.1" = { to = "1", tls = "internal" }
            "x.corp.example" = "1"
            "www.example.com" = { to = "1", tls = "internal" }
            "shop.localhost:9443" = "1"
        "#;
        let loaded = config::read(Path::new("proxy.toml"), text).unwrap();
        let names: Vec<String> = local_names(&loaded.config)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(names, ["shop.localhost", "a.test", "x.corp.example"]);
    }
}

//! A passphrase from a file or from the environment; never from the command line, which every process can read.

use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;

use super::{Exit, say};
use crate::certs::backup::seal::Passphrase;

/// Octets of a passphrase, its line's end included.
const PASSPHRASE_BYTES_MAX: usize = 4096;

#[derive(Debug, clap::Args)]
pub(super) struct PassphraseArguments {
    /// The file that holds the passphrase of the backup
    #[arg(long, value_name = "FILE", conflicts_with = "passphrase_env")]
    passphrase_file: Option<PathBuf>,
    /// The environment variable that holds the passphrase of the backup
    #[arg(long, value_name = "NAME")]
    passphrase_env: Option<String>,
}

impl PassphraseArguments {
    /// The passphrase; none if none is meant. What is wrong with it is told.
    pub(super) fn read(&self) -> Result<Option<Passphrase>, Exit> {
        let (text, origin) = if let Some(path) = &self.passphrase_file {
            let mut text = Vec::new();
            let read = File::open(path).and_then(|file| {
                let most = PASSPHRASE_BYTES_MAX as u64 + 1;
                file.take(most).read_to_end(&mut text)
            });
            if let Err(error) = read {
                let path = path.display();
                say::err(&format!(
                    "error[passphrase]: {path} cannot be read: {error}\n"
                ));
                return Err(Exit::Failed);
            }
            (text, path.display().to_string())
        } else if let Some(name) = &self.passphrase_env {
            let Some(text) = std::env::var_os(name) else {
                say::err(&format!(
                    "error[passphrase]: the environment has no variable `{name}`: export it, or name a file with `--passphrase-file`\n"
                ));
                return Err(Exit::Failed);
            };
            (text.into_encoded_bytes(), format!("`{name}`"))
        } else {
            return Ok(None);
        };
        if text.len() > PASSPHRASE_BYTES_MAX {
            say::err(&format!(
                "error[passphrase]: {origin} has more than {PASSPHRASE_BYTES_MAX} octets, so it is no passphrase\n"
            ));
            return Err(Exit::Failed);
        }
        let Some(passphrase) = Passphrase::of(&text) else {
            say::err(&format!(
                "error[passphrase]: {origin} is empty: put a passphrase there\n"
            ));
            return Err(Exit::Failed);
        };
        Ok(Some(passphrase))
    }
}

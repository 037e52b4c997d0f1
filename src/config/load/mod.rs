//! Loading: the only part of the configuration that looks at the file system.

mod include;
mod offered;

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::outcome::{Loaded, Refused};
use super::problem::{Problem, Source, Sources};
use super::read;
use include::Globs;

/// The name that is looked for in the working directory.
const FILE_NAME: &str = "proxy.toml";
/// The file of the machine.
const SYSTEM_FILE: &str = "/etc/onedoor/proxy.toml";
/// The octets of one file.
const FILE_BYTES_MAX: u64 = 256 << 20;

/// The file to load when none is named: `proxy.toml` here, or the machine's.
#[must_use]
pub fn find() -> Option<PathBuf> {
    [FILE_NAME, SYSTEM_FILE]
        .into_iter()
        .map(PathBuf::from)
        .find(|path| path.is_file())
}

/// Loads a file and what it includes. The sites of a bad included file are taken from `previous`.
///
/// # Errors
/// All problems at once; nothing of a refused configuration may be served.
pub fn load(path: &Path, previous: Option<&Loaded>) -> Result<Loaded, Refused> {
    load_with_arguments(path, &[], previous)
}

/// As [`load`], with the sites `HOST=TARGET` of a command line added; the file's settings and defaults are theirs too.
///
/// # Errors
/// As [`load`].
pub fn load_with_arguments(
    path: &Path,
    arguments: &[String],
    previous: Option<&Loaded>,
) -> Result<Loaded, Refused> {
    let text = text(path).map_err(|error| {
        let message = format!("cannot read {}: {error}", path.display());
        let problem = Problem::error("unreadable", message);
        Refused {
            problems: vec![problem],
            sources: Sources::default(),
        }
    })?;
    let main = Source {
        path: path.to_owned(),
        text,
    };
    let mut globs = Globs::beside(path);
    let mut loaded = read::assemble(Some(main), arguments, &mut globs, previous)?;
    loaded.watched = globs.watched();
    Ok(loaded)
}

fn text(path: &Path) -> io::Result<String> {
    let bytes = bytes(path, FILE_BYTES_MAX)?;
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let lines = error.as_bytes()[..good]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count();
        let message = format!("line {} is not UTF-8", lines + 1);
        io::Error::new(io::ErrorKind::InvalidData, message)
    })
}

fn bytes(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(most + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > most {
        let most = most >> 20;
        return Err(io::Error::other(format!(
            "the file has more than {most} MiB"
        )));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;

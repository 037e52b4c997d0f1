//! The store of the system itself.

use std::path::{Path, PathBuf};

use tokio::process::Command;

use super::said;
use crate::certs::pem::Contents;
use crate::cli::place::program;
use crate::cli::trust::root::Mark;
use crate::cli::trust::store::{Anchors, Holds, Store};
use crate::system::System;

/// Where programs for root lie, which are not on every search path.
const FOR_ROOT: [&str; 2] = ["/usr/sbin", "/sbin"];

pub(super) async fn look(mark: &Mark, root: &Path) -> Store {
    let anchors = anchors();
    Store::System {
        anchors,
        updater: updater(anchors),
        holds: match anchors {
            Anchors::Keychain => by_keychains(root).await,
            Anchors::Debian
            | Anchors::Fedora
            | Anchors::Arch
            | Anchors::Suse
            | Anchors::Unknown => by_bundle(anchors, mark),
        },
    }
}

/// Whether the system's bundle has it, on a system that has a folder of anchors.
pub(super) fn has_taken_up(mark: &Mark) -> bool {
    let anchors = anchors();
    anchors.folder().is_some() && by_bundle(anchors, mark) == Holds::Ours
}

/// Whether OpenSSL takes a certificate for trusted by the system's roots; none: there is no OpenSSL to be asked.
pub(in crate::cli::trust) async fn verified(certificate: &Path) -> Option<bool> {
    if System::HERE == System::Darwin {
        return None;
    }
    let mut verify = Command::new("openssl");
    verify
        .env_remove("SSL_CERT_FILE")
        .env_remove("SSL_CERT_DIR");
    let (success, _out) = said(verify.arg("verify").arg(certificate)).await?;
    Some(success)
}

fn anchors() -> Anchors {
    if System::HERE == System::Darwin {
        return Anchors::Keychain;
    }
    let there = |anchors: &Anchors| {
        let folder = anchors.folder().map(Path::new);
        folder.is_some_and(Path::is_dir)
    };
    let known = Anchors::FOLDERS.into_iter().find(there);
    known.unwrap_or(Anchors::Unknown)
}

fn updater(anchors: Anchors) -> Option<Vec<String>> {
    anchors.updaters().iter().find_map(|words| {
        let (name, arguments) = words.split_first()?;
        let program = called(name)?;
        let arguments = arguments.iter().map(|word| (*word).to_owned());
        Some(std::iter::once(program).chain(arguments).collect())
    })
}

/// By its name, or where it lies if that is not where names are looked up.
fn called(name: &str) -> Option<String> {
    if program(name).is_some() {
        return Some(name.to_owned());
    }
    let mut files = FOR_ROOT
        .into_iter()
        .map(|folder| Path::new(folder).join(name));
    let file = files.find(|file| file.is_file())?;
    Some(file.display().to_string())
}

async fn by_keychains(root: &Path) -> Holds {
    let mut verify = Command::new("security");
    verify
        .args(["verify-cert", "-l", "-L", "-p", "ssl", "-c"])
        .arg(root);
    match said(&mut verify).await {
        Some((true, _out)) => Holds::Ours,
        Some((false, _out)) => Holds::Nothing,
        None => Holds::Unknown {
            why: "`security verify-cert` does not answer".to_owned(),
            remedy: None,
        },
    }
}

/// What the environment names instead of the system's own bundle does not count.
fn by_bundle(anchors: Anchors, mark: &Mark) -> Holds {
    let bundles = anchors.bundles().iter().map(PathBuf::from);
    let mut read = bundles.filter_map(|file| Contents::read(&file).ok());
    let certificates = match read.next() {
        Some(contents) => contents.certificates,
        None => rustls_native_certs::load_native_certs().certs,
    };
    if certificates.iter().any(|known| mark.is_of(known)) {
        Holds::Ours
    } else if certificates.is_empty() {
        Holds::Unknown {
            why: "no bundle of the system's roots is found".to_owned(),
            remedy: Some("sudo apt-get install ca-certificates".to_owned()),
        }
    } else {
        Holds::Nothing
    }
}

//! Looking for our root in the stores of this machine.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustls_pki_types::CertificateDer;
use tokio::process::Command;
use tokio::time::timeout;

use crate::certs::pem::Contents;
use crate::cli::doctor::judge::trust::{Anchors, Holds, NICKNAME, Store};
use crate::cli::place::program;
use crate::ports::permission::quoted;
use crate::system::System;

const PATIENCE: Duration = Duration::from_secs(5);
/// More data bases are not opened.
const DATA_BASES_MAX: usize = 16;
/// Where Chromium has its data base, before and after its version 146.
const CHROMIUM: [&str; 2] = [".pki/nssdb", ".local/share/pki/nssdb"];
/// Where Firefox has its profiles, as it comes from a package, a snap, a flatpak, and on macOS.
const FIREFOX: [&str; 4] = [
    ".mozilla/firefox",
    "snap/firefox/common/.mozilla/firefox",
    ".var/app/org.mozilla.firefox/.mozilla/firefox",
    "Library/Application Support/Firefox/Profiles",
];
/// Folders that tell one distribution's way from another's.
const ANCHORS: [(&str, Anchors); 4] = [
    ("/usr/local/share/ca-certificates", Anchors::Debian),
    ("/etc/pki/ca-trust/source/anchors", Anchors::Fedora),
    ("/etc/ca-certificates/trust-source/anchors", Anchors::Arch),
    ("/etc/pki/trust/anchors", Anchors::Suse),
];

/// `root` is our root's file; none if it is no certificate.
pub(in crate::cli::doctor) async fn stores(root: &Path) -> Option<Vec<Store>> {
    let der = certificate(root)?;
    let mut stores = vec![Store::System {
        anchors: anchors(),
        holds: by_system(root, &der).await,
    }];
    if let Some(home) = std::env::home_dir() {
        for (owner, folder) in data_bases(&home) {
            let holds = by_nss(&folder, &der).await;
            stores.push(Store::Nss {
                owner: owner.to_owned(),
                folder: quoted(&folder),
                holds,
            });
        }
    }
    if program("node").is_some() {
        let holds = by_node(&der);
        stores.push(Store::Node { holds });
    }
    if program("keytool").is_some() {
        stores.push(Store::Java);
    }
    Some(stores)
}

fn certificate(file: &Path) -> Option<CertificateDer<'static>> {
    let contents = Contents::read(file).ok()?;
    contents.certificates.into_iter().next()
}

fn anchors() -> Anchors {
    if System::HERE == System::Darwin {
        return Anchors::Keychain;
    }
    let known = ANCHORS
        .into_iter()
        .find(|(folder, _anchors)| Path::new(folder).is_dir());
    known.map_or(Anchors::Unknown, |(_folder, anchors)| anchors)
}

async fn by_system(root: &Path, der: &CertificateDer<'_>) -> Holds {
    if System::HERE == System::Darwin {
        let mut verify = Command::new("security");
        verify
            .args(["verify-cert", "-l", "-L", "-p", "ssl", "-c"])
            .arg(root);
        return match said(&mut verify).await {
            Some((true, _out)) => Holds::Ours,
            Some((false, _out)) => Holds::Nothing,
            None => Holds::Unknown {
                why: "`security verify-cert` does not answer".to_owned(),
                remedy: None,
            },
        };
    }
    let found = rustls_native_certs::load_native_certs();
    if found.certs.iter().any(|known| known == der) {
        Holds::Ours
    } else if found.certs.is_empty() {
        Holds::Unknown {
            why: "no bundle of the system's roots is found".to_owned(),
            remedy: Some("sudo apt-get install ca-certificates".to_owned()),
        }
    } else {
        Holds::Nothing
    }
}

fn data_bases(home: &Path) -> Vec<(&'static str, PathBuf)> {
    let is_there = |folder: &PathBuf| folder.join("cert9.db").is_file();
    let chromium = CHROMIUM.map(|folder| ("Chromium", home.join(folder)));
    let mut found: Vec<(&str, PathBuf)> = chromium.into();
    for profiles in FIREFOX {
        let Ok(entries) = std::fs::read_dir(home.join(profiles)) else {
            continue;
        };
        let mut folders: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        folders.sort();
        found.extend(folders.into_iter().map(|folder| ("Firefox", folder)));
    }
    found.retain(|(_owner, folder)| is_there(folder));
    found.truncate(DATA_BASES_MAX);
    found
}

async fn by_nss(folder: &Path, der: &CertificateDer<'_>) -> Holds {
    if program("certutil").is_none() {
        return Holds::Unknown {
            why: "`certutil` is not installed".to_owned(),
            remedy: Some(match System::HERE {
                System::Darwin => "brew install nss".to_owned(),
                System::Linux | System::OtherUnix => {
                    "sudo apt-get install libnss3-tools".to_owned()
                }
            }),
        };
    }
    let mut list = Command::new("certutil");
    list.args(["-L", "-a", "-n", NICKNAME, "-d"])
        .arg(format!("sql:{}", folder.display()));
    match said(&mut list).await {
        Some((true, out)) => match Contents::parse(&out) {
            Ok(known) if known.certificates.iter().any(|known| known == der) => Holds::Ours,
            Ok(_) | Err(_) => Holds::Another,
        },
        Some((false, _out)) => Holds::Nothing,
        None => Holds::Unknown {
            why: "`certutil` does not answer".to_owned(),
            remedy: None,
        },
    }
}

fn by_node(der: &CertificateDer<'_>) -> Holds {
    let extra = std::env::var_os("NODE_EXTRA_CA_CERTS").map(PathBuf::from);
    let contents = extra.and_then(|file| Contents::read(&file).ok());
    let named = contents.is_some_and(|contents| contents.certificates.contains(der));
    if named { Holds::Ours } else { Holds::Nothing }
}

/// Whether it succeeded, and what it said; none if it cannot be run or takes too long.
async fn said(command: &mut Command) -> Option<(bool, Vec<u8>)> {
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = timeout(PATIENCE, command.output()).await.ok()?.ok()?;
    Some((output.status.success(), output.stdout))
}

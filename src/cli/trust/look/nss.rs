//! The data bases of browsers, as `certutil` of NSS shows them.

use std::path::{Path, PathBuf};

use tokio::process::Command;

use super::{ended, said};
use crate::certs::pem::Contents;
use crate::cli::place::program;
use crate::cli::trust::listing::{Entry, Keys, entries, keys};
use crate::cli::trust::place::Found;
use crate::cli::trust::plan::added;
use crate::cli::trust::root::{Mark, NICKNAME};
use crate::cli::trust::step::{Line, Person};
use crate::cli::trust::store::{Browser, DataBase, Holds, There};
use crate::system::System;

/// More data bases are not opened.
const DATA_BASES_MAX: usize = 16;
/// More certificates of one data base are not read.
const CERTIFICATES_MAX: usize = 32;
/// Where Chromium has its data base, before and after its version 146.
const CHROMIUM: [&str; 2] = [".pki/nssdb", ".local/share/pki/nssdb"];
/// Where it has one as a snap and as a flatpak; these make it themselves.
const CHROMIUM_ENCLOSED: [&str; 2] = [
    "snap/chromium/current/.pki/nssdb",
    ".var/app/org.chromium.Chromium/.pki/nssdb",
];
/// Programs that read the data base of Chromium.
const CHROMIUMS: [&str; 8] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "brave-browser",
    "microsoft-edge",
    "vivaldi",
    "opera",
];
/// Where Firefox has its profiles, as it comes from a package (before and after its version 147), a snap, a flatpak, and on macOS.
const FIREFOX: [&str; 5] = [
    ".mozilla/firefox",
    ".config/mozilla/firefox",
    "snap/firefox/common/.mozilla/firefox",
    ".var/app/org.mozilla.firefox/.mozilla/firefox",
    "Library/Application Support/Firefox/Profiles",
];
const FILE: &str = "cert9.db";
/// Packages that have `certutil`, by the program that installs them.
const PACKAGES: [(&str, &str); 6] = [
    ("apt-get", "sudo apt-get install libnss3-tools"),
    ("dnf", "sudo dnf install nss-tools"),
    ("pacman", "sudo pacman -S nss"),
    ("zypper", "sudo zypper install mozilla-nss-tools"),
    ("apk", "sudo apk add nss-tools"),
    ("brew", "brew install nss"),
];

/// Those that are there, and those of a Chromium that is here and has none yet. `root` is our root's file.
pub(super) async fn look(home: &Path, person: &Person, mark: &Mark, root: &Path) -> Vec<DataBase> {
    let mut found = Vec::new();
    for (browser, folder) in folders(home) {
        let (there, holds) = if folder.join(FILE).is_file() {
            (There::Made, held(&folder, person, mark, root).await)
        } else if browser == Browser::Chromium && is_made_by_us(home, &folder) {
            let there = There::Missing(topmost_missing(&folder));
            (there, without_certutil().unwrap_or(Holds::Nothing))
        } else {
            continue;
        };
        found.push(DataBase {
            browser,
            folder,
            there,
            holds,
        });
    }
    found.truncate(DATA_BASES_MAX);
    found
}

/// What a data base has under this nickname.
pub(super) async fn find(folder: &Path, person: &Person, nickname: &str, mark: &Mark) -> Found {
    if !folder.join(FILE).is_file() {
        return Found::Nothing;
    }
    if let Some(Holds::Unknown { why, .. }) = without_certutil() {
        return Found::Unknown(why);
    }
    let Some(entries) = listed(folder, person).await else {
        return Found::Unknown("`certutil` cannot read it".to_owned());
    };
    if !entries.iter().any(|entry| entry.nickname == nickname) {
        return Found::Nothing;
    }
    match certificate(folder, person, nickname).await {
        Some(der) if mark.is_of(&der) => {}
        Some(_) => return Found::Another,
        None => return Found::Unknown(format!("`certutil` does not show its `{nickname}`")),
    }
    // Whoever cannot be asked may have one.
    if entries.len() == 1 && keys_of(folder, person).await == Keys::None {
        Found::OursAlone
    } else {
        Found::Ours
    }
}

fn folders(home: &Path) -> Vec<(Browser, PathBuf)> {
    let chromium = CHROMIUM.into_iter().chain(CHROMIUM_ENCLOSED);
    let chromium = chromium.map(|folder| (Browser::Chromium, home.join(folder)));
    let mut found: Vec<(Browser, PathBuf)> = chromium.collect();
    for profiles in FIREFOX {
        let Ok(entries) = std::fs::read_dir(home.join(profiles)) else {
            continue;
        };
        let mut folders: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        folders.sort();
        found.extend(folders.into_iter().map(|folder| (Browser::Firefox, folder)));
    }
    found
}

fn is_made_by_us(home: &Path, folder: &Path) -> bool {
    let plain = CHROMIUM.iter().any(|place| home.join(place) == folder);
    let installed = || CHROMIUMS.iter().any(|name| program(name).is_some());
    System::HERE != System::Darwin && plain && installed()
}

fn topmost_missing(folder: &Path) -> PathBuf {
    let missing = folder.ancestors().take_while(|one| !one.exists());
    missing.last().unwrap_or(folder).to_owned()
}

async fn held(folder: &Path, person: &Person, mark: &Mark, root: &Path) -> Holds {
    if let Some(unknown) = without_certutil() {
        return unknown;
    }
    let Some(entries) = listed(folder, person).await else {
        return Holds::Unknown {
            why: "`certutil` cannot read it".to_owned(),
            remedy: None,
        };
    };
    let mut other = false;
    let trusted = entries.iter().filter(|entry| entry.is_trusted_root());
    for entry in trusted.take(CERTIFICATES_MAX) {
        match certificate(folder, person, &entry.nickname).await {
            Some(der) if mark.is_of(&der) => return Holds::Ours,
            Some(_) | None => other |= entry.nickname.starts_with(NICKNAME),
        }
    }
    match keys_of(folder, person).await {
        Keys::Locked => Holds::Unknown {
            why: "it has a password, and takes a root only from whoever types that".to_owned(),
            remedy: Some(person.as_owner(added(folder, mark, root)).shell()),
        },
        Keys::Some | Keys::None | Keys::Unknown if other => Holds::Another,
        Keys::Some | Keys::None | Keys::Unknown => Holds::Nothing,
    }
}

fn without_certutil() -> Option<Holds> {
    if program("certutil").is_some() {
        return None;
    }
    let mut known = PACKAGES.into_iter();
    let known = known.find(|(installer, _command)| program(installer).is_some());
    Some(Holds::Unknown {
        why: "`certutil` is not installed".to_owned(),
        remedy: known.map(|(_installer, command)| command.to_owned()),
    })
}

async fn listed(folder: &Path, person: &Person) -> Option<Vec<Entry>> {
    let (success, out) = said(&mut certutil(folder, person, &["-L"])).await?;
    success.then(|| entries(&String::from_utf8_lossy(&out)))
}

/// None: it is not shown.
async fn certificate(folder: &Path, person: &Person, nickname: &str) -> Option<Vec<u8>> {
    let mut list = certutil(folder, person, &["-L", "-a", "-n", nickname]);
    let (success, out) = said(&mut list).await?;
    let contents = success.then(|| Contents::parse(&out).ok()).flatten()?;
    let first = contents.certificates.into_iter().next()?;
    Some(first.to_vec())
}

async fn keys_of(folder: &Path, person: &Person) -> Keys {
    match ended(&mut certutil(folder, person, &["-K"])).await {
        Some(output) => {
            // It complains on either.
            let complaint = [output.stdout, output.stderr].concat();
            let complaint = String::from_utf8_lossy(&complaint);
            keys(output.status.success(), &complaint)
        }
        None => Keys::Unknown,
    }
}

/// As the one whose data base it is: whoever opens it loads the modules that it names.
fn certutil(folder: &Path, person: &Person, what: &[&str]) -> Command {
    let sql = format!("sql:{}", folder.display());
    let line = Line::new(&["certutil", "-d", &sql]).words(what);
    let mut words = person.as_owner(line).words.into_iter();
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words);
    command
}

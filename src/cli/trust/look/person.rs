//! Who runs this, and whose stores are meant.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::process::Command;

use crate::cli::place::program;
use crate::cli::trust::step::Person;

/// Whoever runs this, and the home whose stores are meant.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Owning {
    pub(in crate::cli::trust) person: Person,
    /// Under `sudo` that of whoever called it.
    pub(in crate::cli::trust) home: Option<PathBuf>,
}

impl Owning {
    pub(in crate::cli) fn here() -> Self {
        if !rustix::process::geteuid().is_root() {
            let sudo = program("sudo").map(|_file| "sudo".to_owned());
            return Self {
                person: Person::User { sudo },
                home: std::env::home_dir(),
            };
        }
        let caller = std::env::var("SUDO_USER").ok();
        let Some(user) = caller.filter(|user| !user.is_empty() && user != "root") else {
            return Self::root(std::env::home_dir());
        };
        Self {
            home: home_of(&user),
            person: acting_for(&user),
        }
    }

    /// Root that nobody called. A home that is somebody else's, as one that was kept in the environment, holds nothing that root may open
    /// as itself.
    fn root(home: Option<PathBuf>) -> Self {
        let owner = home.as_ref().and_then(|home| fs::metadata(home).ok());
        let Some(uid) = owner.map(|found| found.uid()).filter(|uid| *uid != 0) else {
            return Self {
                person: Person::Root,
                home,
            };
        };
        match known(&uid.to_string(), 0) {
            Some(user) => Self {
                person: acting_for(&user),
                home,
            },
            None => Self {
                person: Person::Root,
                home: None,
            },
        }
    }
}

fn acting_for(user: &str) -> Person {
    // The one of util-linux asks for nothing and is everywhere on Linux; macOS has the other.
    let by = match program("runuser") {
        Some(_file) => vec!["runuser", "-u", user, "--"],
        None => vec!["sudo", "-u", user],
    };
    let by = by.into_iter().map(str::to_owned).collect();
    Person::RootFor { by }
}

/// As the system knows it, wherever it keeps its users.
fn home_of(user: &str) -> Option<PathBuf> {
    if program("getent").is_none() {
        let home = PathBuf::from("/Users").join(user);
        return home.is_dir().then_some(home);
    }
    let home = PathBuf::from(known(user, 5)?);
    home.is_absolute().then_some(home)
}

/// A field of what the system knows of a user, by name or number.
fn known(user: &str, field: usize) -> Option<String> {
    let output = Command::new("getent").args(["passwd", user]).output();
    let text = String::from_utf8(output.ok()?.stdout).ok()?;
    let field = text.lines().next()?.split(':').nth(field)?;
    Some(field.to_owned())
}

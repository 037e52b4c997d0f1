//! Who runs this, and whose stores are meant.

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
        let own = |person| Self {
            person,
            home: std::env::home_dir(),
        };
        if !rustix::process::geteuid().is_root() {
            let sudo = program("sudo").map(|_file| "sudo".to_owned());
            return own(Person::User { sudo });
        }
        let caller = std::env::var("SUDO_USER").ok();
        let Some(user) = caller.filter(|user| !user.is_empty() && user != "root") else {
            return own(Person::Root);
        };
        // The one of util-linux asks for nothing and is everywhere on Linux; macOS has the other.
        let by = match program("runuser") {
            Some(_file) => vec!["runuser", "-u", &user, "--"],
            None => vec!["sudo", "-u", &user],
        };
        let by = by.into_iter().map(str::to_owned).collect();
        Self {
            home: home_of(&user),
            person: Person::RootFor { by },
        }
    }
}

/// As the system knows it, wherever it keeps its users.
fn home_of(user: &str) -> Option<PathBuf> {
    if program("getent").is_none() {
        let home = PathBuf::from("/Users").join(user);
        return home.is_dir().then_some(home);
    }
    let output = Command::new("getent").args(["passwd", user]).output();
    let text = String::from_utf8(output.ok()?.stdout).ok()?;
    let home = text.lines().next()?.split(':').nth(5)?;
    Some(PathBuf::from(home)).filter(|home| home.is_absolute())
}

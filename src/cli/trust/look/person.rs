//! Who runs this, and whose stores are meant.

use std::path::PathBuf;
use std::process::Command;

use crate::cli::place::program;
use crate::cli::trust::step::Person;

/// The person, and the home whose stores are meant: under `sudo` that of whoever called it.
pub(in crate::cli::trust) fn person() -> (Person, Option<PathBuf>) {
    if !rustix::process::geteuid().is_root() {
        let sudo = program("sudo").map(|_file| "sudo".to_owned());
        return (Person::User { sudo }, std::env::home_dir());
    }
    let caller = std::env::var("SUDO_USER").ok();
    let Some(user) = caller.filter(|user| !user.is_empty() && user != "root") else {
        return (Person::Root, std::env::home_dir());
    };
    let Some(home) = home_of(&user) else {
        return (Person::Root, None);
    };
    // The one of util-linux asks for nothing and is everywhere on Linux; macOS has the other.
    let by = match program("runuser") {
        Some(_file) => vec!["runuser", "-u", &user, "--"],
        None => vec!["sudo", "-u", &user],
    };
    let by = by.into_iter().map(str::to_owned).collect();
    (Person::RootFor { user, by }, Some(home))
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

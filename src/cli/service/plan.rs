//! What installing comes to: files with their texts, and the commands that make the manager take them up. Nothing is done here.

use std::path::{Path, PathBuf};

use clap::ValueEnum;

use super::wanted::{Scope, Wanted};
use super::{agent, systemd};

/// Who keeps the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Manager {
    Systemd,
    Launchd,
}

/// Where the manager's files of this user, or of the system, belong.
#[derive(Debug, Clone)]
pub(super) struct Homes {
    pub(super) uid: u32,
    pub(super) home: Option<PathBuf>,
    /// `$XDG_CONFIG_HOME`
    pub(super) config_home: Option<PathBuf>,
}

/// The files of a service, and how its manager is spoken to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) files: Vec<PathBuf>,
    /// The manager takes up what was written.
    pub(super) begin: Vec<Vec<String>>,
    /// The manager lets go, before the files are removed.
    pub(super) end: Vec<Vec<String>>,
    /// The manager sees that they are gone.
    pub(super) forget: Vec<Vec<String>>,
    /// Each succeeds while the service runs.
    pub(super) running: Vec<String>,
    /// Takes up a change of what is installed.
    pub(super) again: String,
}

impl Manager {
    pub(super) fn program(self) -> &'static str {
        match self {
            Self::Systemd => "systemctl",
            Self::Launchd => "launchctl",
        }
    }

    /// The texts, in the order of [`Layout::files`].
    pub(super) fn texts(self, wanted: &Wanted) -> Vec<String> {
        match self {
            Self::Systemd => vec![systemd::service(wanted), systemd::socket(wanted)],
            Self::Launchd => vec![agent::property_list(wanted)],
        }
    }

    /// None: this user has no home.
    pub(super) fn layout(self, scope: Scope, homes: &Homes) -> Option<Layout> {
        let folder = self.folder(scope, homes)?;
        Some(match self {
            Self::Systemd => by_systemd(scope, &folder),
            Self::Launchd => by_launchd(scope, &folder, homes.uid),
        })
    }

    fn folder(self, scope: Scope, homes: &Homes) -> Option<PathBuf> {
        let home = homes.home.as_deref();
        match (self, scope) {
            (Self::Systemd, Scope::System) => Some("/etc/systemd/system".into()),
            (Self::Systemd, Scope::User) => {
                let set = homes.config_home.clone().filter(|path| path.is_absolute());
                let config = set.or_else(|| Some(home?.join(".config")))?;
                Some(config.join("systemd/user"))
            }
            (Self::Launchd, Scope::System) => Some("/Library/LaunchDaemons".into()),
            (Self::Launchd, Scope::User) => Some(home?.join("Library/LaunchAgents")),
        }
    }
}

fn by_systemd(scope: Scope, folder: &Path) -> Layout {
    let (service, socket) = (systemd::SERVICE, systemd::SOCKET);
    let command = |words: &[&str]| {
        let mut command = vec!["systemctl".to_owned()];
        if scope == Scope::User {
            command.push("--user".to_owned());
        }
        command.extend(words.iter().map(|word| (*word).to_owned()));
        command
    };
    Layout {
        files: vec![folder.join(service), folder.join(socket)],
        begin: vec![
            command(&["daemon-reload"]),
            command(&["enable", "--now", socket, service]),
        ],
        end: vec![command(&["disable", "--now", service, socket])],
        forget: vec![command(&["daemon-reload"])],
        running: command(&["is-active", "--quiet", service]),
        again: command(&["restart", socket, service]).join(" "),
    }
}

fn by_launchd(scope: Scope, folder: &Path, uid: u32) -> Layout {
    let domain = match scope {
        Scope::System => "system".to_owned(),
        Scope::User => format!("gui/{uid}"),
    };
    let file = folder.join(agent::FILE);
    let service = format!("{domain}/{}", agent::LABEL);
    let command = |verb: &str, words: &[&str]| {
        let mut command = vec!["launchctl".to_owned(), verb.to_owned()];
        command.extend(words.iter().map(|word| (*word).to_owned()));
        command
    };
    let path = file.display().to_string();
    Layout {
        begin: vec![command("bootstrap", &[&domain, &path])],
        end: vec![command("bootout", &[&service])],
        forget: Vec::new(),
        running: command("print", &[&service]),
        again: format!("launchctl bootout {service}; launchctl bootstrap {domain} {path}"),
        files: vec![file],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn homes() -> Homes {
        Homes {
            uid: 501,
            home: Some("/home/ana".into()),
            config_home: None,
        }
    }

    #[test]
    fn every_manager_has_its_own_place() {
        #[track_caller]
        fn check(manager: Manager, scope: Scope, expected: &str) {
            let layout = manager.layout(scope, &homes()).unwrap();
            assert_eq!(layout.files[0], Path::new(expected));
        }
        use Manager::{Launchd, Systemd};
        check(
            Systemd,
            Scope::System,
            "/etc/systemd/system/onedoor.service",
        );
        let user = "/home/ana/.config/systemd/user/onedoor.service";
        check(Systemd, Scope::User, user);
        check(
            Launchd,
            Scope::System,
            "/Library/LaunchDaemons/onedoor.plist",
        );
        let user = "/home/ana/Library/LaunchAgents/onedoor.plist";
        check(Launchd, Scope::User, user);
    }

    #[test]
    fn a_relative_folder_of_the_environment_counts_as_absent() {
        let mut homes = homes();
        homes.config_home = Some("config".into());
        let layout = Manager::Systemd.layout(Scope::User, &homes).unwrap();
        assert!(layout.files[1].starts_with("/home/ana/.config"));
        homes.home = None;
        assert_eq!(Manager::Systemd.layout(Scope::User, &homes), None);
    }

    #[test]
    fn the_managers_are_told_in_their_own_words() {
        let layout = Manager::Systemd.layout(Scope::User, &homes()).unwrap();
        assert_eq!(
            layout.begin[1].join(" "),
            "systemctl --user enable --now onedoor.socket onedoor.service"
        );
        let layout = Manager::Launchd.layout(Scope::User, &homes()).unwrap();
        assert_eq!(
            layout.begin[0].join(" "),
            "launchctl bootstrap gui/501 /home/ana/Library/LaunchAgents/onedoor.plist"
        );
        assert_eq!(layout.end[0].join(" "), "launchctl bootout gui/501/onedoor");
    }
}

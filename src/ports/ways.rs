//! What to tell a person about the holder of a port: why it is so, and at most a few commands that can be copied.

use crate::ports::entry::{self, Entry};
use crate::ports::holder::{Fact, Holder, Process, Remains, User};
use crate::ports::permission::Machine;
use crate::system::System;

/// More ways out than this only confuse.
pub const WAYS_MAX: usize = 3;

/// A command, or a line for the file, and what it brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    pub command: String,
    pub effect: String,
}

/// What there is to say about a holder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advice {
    pub note: Option<String>,
    /// In the order in which to try them, at most [`WAYS_MAX`].
    pub ways: Vec<Way>,
}

/// Servers that have something of their own to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Software {
    /// This very process.
    Ourselves,
    Onedoor,
    Container,
    Systemd,
    Launchd,
    Nginx,
    Caddy,
    Apache,
    Haproxy,
    PumaDev,
    Portless,
    AirPlay,
    Unknown,
}

/// Explains a port that is in use. [`another_port`] is left to be offered last.
#[must_use]
pub fn in_use(holder: &Holder, port: u16, machine: &Machine) -> Advice {
    let mut advice = match holder {
        Holder::Process(process) => by_process(process, port, machine),
        Holder::Unseen(user) => by_stranger(user.as_ref(), port, machine),
        Holder::Nobody(remains) => by_nobody(*remains, port, machine),
    };
    advice.ways.truncate(WAYS_MAX - 1);
    advice
}

/// The line for `proxy.toml` that needs nothing from anyone.
#[must_use]
pub fn another_port(port: u16, entries: &[&Entry]) -> Way {
    let command = entry::line(entries, unreserved(port));
    way(command, "in proxy.toml: use another port for now")
}

/// A port that resembles this one and is not reserved.
pub(crate) fn unreserved(port: u16) -> u16 {
    match port {
        80 => 8080,
        other => other.checked_add(8000).unwrap_or(8443),
    }
}

pub(crate) fn way(command: impl Into<String>, effect: impl Into<String>) -> Way {
    Way {
        command: command.into(),
        effect: effect.into(),
    }
}

fn by_process(process: &Process, port: u16, machine: &Machine) -> Advice {
    let software = recognise(process, machine);
    let note = note(software, process, port, machine);
    let show = match software {
        Software::Container => Some(way(
            format!("docker ps --filter publish={port}"),
            "shows which container publishes the port",
        )),
        Software::Systemd => Some(way("systemctl list-sockets", "shows which unit it is")),
        Software::Launchd => Some(way("launchctl list", "shows which agent it is")),
        Software::Ourselves
        | Software::Onedoor
        | Software::Nginx
        | Software::Caddy
        | Software::Apache
        | Software::Haproxy
        | Software::PumaDev
        | Software::Portless
        | Software::AirPlay
        | Software::Unknown => None,
    };
    let ours = software == Software::Ourselves;
    let way = show.or_else(|| (!ours).then(|| stop(software, process, machine)).flatten());
    Advice {
        note,
        ways: way.into_iter().collect(),
    }
}

fn note(software: Software, process: &Process, port: u16, machine: &Machine) -> Option<String> {
    match software {
        Software::Onedoor => Some(match foreign(process, machine) {
            Some(user) => format!("that is the onedoor of {}: ask there for your sites to be served, or for a service for all", title(user)),
            None => "that is a onedoor of yours: put these sites into its file, it reads it again when told to reload".to_owned(),
        }),
        Software::Ourselves => Some("that is this very process: two `listen` or `http` entries of the configuration overlap".to_owned()),
        Software::Container => Some(format!("a container publishes port {port} through it")),
        Software::Systemd => Some("a systemd socket unit holds the port for its service".to_owned()),
        Software::Launchd => Some("launchd holds the port for one of its agents".to_owned()),
        Software::AirPlay => Some("AirPlay Receiver uses ports 5000 and 7000; it is switched off in System Settings, General, AirDrop & Handoff".to_owned()),
        Software::Caddy | Software::Haproxy if machine.system == System::Darwin => Some(format!(
            "{} lets a second server onto the same port on macOS, and then one of the two gets no requests, without any error; onedoor refuses instead",
            process.name
        )),
        Software::Caddy
        | Software::Haproxy
        | Software::Nginx
        | Software::Apache
        | Software::PumaDev
        | Software::Portless
        | Software::Unknown => None,
    }
}

fn stop(software: Software, process: &Process, machine: &Machine) -> Option<Way> {
    let sudo = if machine.root || foreign(process, machine).is_none() {
        ""
    } else {
        "sudo "
    };
    let pid = process.pid;
    if let Some(unit) = &process.unit {
        let sudo = if machine.root || unit.starts_with("--user") {
            ""
        } else {
            "sudo "
        };
        return Some(way(
            format!("{sudo}systemctl stop {unit}"),
            "stops its service",
        ));
    }
    let command = match software {
        Software::Nginx => format!("{sudo}nginx -s quit"),
        Software::Caddy => format!("{sudo}caddy stop"),
        Software::Apache => format!("{sudo}apachectl graceful-stop"),
        Software::Haproxy => format!("{sudo}kill -USR1 {pid}"),
        Software::PumaDev => "puma-dev -stop".to_owned(),
        Software::Portless => "portless proxy stop".to_owned(),
        Software::Ourselves
        | Software::AirPlay
        | Software::Launchd
        | Software::Systemd
        | Software::Container => {
            return None;
        }
        Software::Onedoor | Software::Unknown => format!("{sudo}kill {pid}"),
    };
    Some(way(command, "stops it"))
}

fn by_stranger(user: Option<&User>, port: u16, machine: &Machine) -> Advice {
    let note = match user {
        Some(user) => format!(
            "the process belongs to {}, so its name is not visible from here",
            title(user)
        ),
        None => {
            "the process belongs to another user, so its name is not visible from here".to_owned()
        }
    };
    let command = match machine.system {
        System::Linux => format!("sudo ss -ltnp 'sport = :{port}'"),
        System::Darwin | System::OtherUnix => format!("sudo lsof -nP -iTCP:{port} -sTCP:LISTEN"),
    };
    Advice {
        note: Some(note),
        ways: vec![
            way(command, "shows the process"),
            way(
                format!("docker ps --filter publish={port}"),
                "shows the container, if it is one",
            ),
        ],
    }
}

fn by_nobody(remains: Remains, port: u16, machine: &Machine) -> Advice {
    let note = match (remains, machine.system) {
        (Remains::TimeWait, _) => {
            "nobody listens: closed connections keep it (TIME_WAIT), a minute or two at most; then try again"
        }
        (Remains::Connection, _) => {
            "nobody listens, but an open connection has this port as its own end; when it closes, the port is free"
        }
        (Remains::Nothing, System::Linux) => {
            "nobody listens: a program has bound it without listening, or has gone just now"
        }
        (Remains::Nothing, System::Darwin | System::OtherUnix) => {
            "nobody listens: a program has bound it without listening, or a content filter such as Screen Time has it"
        }
    };
    let command = match machine.system {
        System::Linux => format!("ss -tan 'sport = :{port}'"),
        System::Darwin | System::OtherUnix => format!("netstat -anv -p tcp | grep '[.]{port} '"),
    };
    Advice {
        note: Some(note.to_owned()),
        ways: vec![way(command, "shows what is left of it")],
    }
}

fn foreign<'a>(process: &'a Process, machine: &Machine) -> Option<&'a User> {
    match &process.user {
        Fact::Known(user) if user.uid != machine.uid => Some(user),
        Fact::Known(_) | Fact::Unreadable => None,
    }
}

pub(crate) fn title(user: &User) -> String {
    match &user.name {
        Some(name) => format!("user {name}"),
        None => format!("user number {}", user.uid),
    }
}

/// Linux cuts process names after fifteen octets.
fn recognise(process: &Process, machine: &Machine) -> Software {
    if process.pid == machine.pid {
        return Software::Ourselves;
    }
    match process.name.as_str() {
        "onedoor" => Software::Onedoor,
        "docker-proxy" | "rootlesskit" | "rootlessport" | "slirp4netns" | "pasta"
        | "pasta.avx2" | "com.docker.backend" | "com.docker.back" | "OrbStack Helper"
        | "OrbStack" | "limactl" | "colima" => Software::Container,
        "systemd" => Software::Systemd,
        "launchd" => Software::Launchd,
        "nginx" => Software::Nginx,
        "caddy" => Software::Caddy,
        "apache2" | "httpd" => Software::Apache,
        "haproxy" => Software::Haproxy,
        "puma-dev" => Software::PumaDev,
        "ControlCenter" | "ControlCe" => Software::AirPlay,
        _ if runs(process, "portless") => Software::Portless,
        _ => Software::Unknown,
    }
}

/// Whether the program, or the script that an interpreter runs, has this name.
fn runs(process: &Process, name: &str) -> bool {
    let Fact::Known(command) = &process.command else {
        return process.name == name;
    };
    let mut first = command.iter().take(2);
    first.any(|word| word.rsplit('/').next() == Some(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::entry::Key;
    use crate::ports::permission::tests::developer;

    #[test]
    fn a_server_is_stopped_by_its_own_command() {
        #[track_caller]
        fn check(name: &str, unit: Option<&str>, expected: &str) {
            let mut process = process(name);
            process.unit = unit.map(str::to_owned);
            let advice = in_use(&Holder::Process(process), 443, &developer());
            assert_eq!(advice.ways[0].command, expected);
        }
        check("nginx", None, "sudo nginx -s quit");
        check("caddy", None, "sudo caddy stop");
        check("haproxy", None, "sudo kill -USR1 4312");
        check(
            "caddy",
            Some("caddy.service"),
            "sudo systemctl stop caddy.service",
        );
        check(
            "shop",
            Some("--user shop.service"),
            "systemctl stop --user shop.service",
        );
        check("docker-proxy", None, "docker ps --filter publish=443");
        check("systemd", None, "systemctl list-sockets");
        check("python3", None, "sudo kill 4312");
    }

    #[test]
    fn another_onedoor_is_told_apart_by_its_user() {
        let mut process = process("onedoor");
        let theirs = in_use(&Holder::Process(process.clone()), 443, &developer());
        assert!(theirs.note.unwrap().contains("of user root"));
        process.user = Fact::Known(User {
            uid: developer().uid,
            name: None,
        });
        let ours = in_use(&Holder::Process(process), 443, &developer());
        assert!(ours.note.unwrap().contains("of yours"));
        assert_eq!(ours.ways[0].command, "kill 4312");
    }

    #[test]
    fn an_overlap_of_our_own_entries_stops_nobody() {
        let mut process = process("onedoor");
        process.pid = developer().pid;
        process.unit = Some("onedoor.service".to_owned());
        let advice = in_use(&Holder::Process(process), 443, &developer());
        assert!(advice.note.unwrap().contains("overlap"));
        assert_eq!(advice.ways, []);
    }

    #[test]
    fn an_unseen_holder_gets_the_privileged_command() {
        let user = User {
            uid: 0,
            name: Some("root".to_owned()),
        };
        let advice = in_use(&Holder::Unseen(Some(user)), 443, &developer());
        assert!(advice.note.unwrap().contains("user root"));
        assert_eq!(advice.ways[0].command, "sudo ss -ltnp 'sport = :443'");
        assert_eq!(advice.ways.len(), WAYS_MAX - 1);
    }

    #[test]
    fn a_port_that_only_connections_keep_asks_for_patience() {
        let advice = in_use(&Holder::Nobody(Remains::TimeWait), 443, &developer());
        assert!(advice.note.unwrap().contains("TIME_WAIT"));
    }

    #[test]
    fn another_port_keeps_the_entry_and_resembles_the_port() {
        #[track_caller]
        fn check(key: Key, text: &str, port: u16, expected: &str) {
            let entry = Entry::new(key, text);
            assert_eq!(another_port(port, &[&entry]).command, expected);
        }
        check(Key::Http, "80", 80, "http = 8080");
        check(Key::Http, "8081", 8081, "http = 16081");
        check(Key::Listen, "443", 443, "listen = [8443]");
        check(Key::Listen, "65000", 65_000, "listen = [8443]");
        check(
            Key::Listen,
            "localhost:443",
            443,
            r#"listen = ["localhost:8443"]"#,
        );
    }

    fn process(name: &str) -> Box<Process> {
        Box::new(Process {
            pid: 4312,
            name: name.to_owned(),
            user: Fact::Known(User {
                uid: 0,
                name: Some("root".to_owned()),
            }),
            age: Fact::Unreadable,
            directory: Fact::Unreadable,
            command: Fact::Unreadable,
            unit: None,
        })
    }
}

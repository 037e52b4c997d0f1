//! Why this process may not listen on a port, and which of the known recipes fits this machine. The facts are gathered in one
//! place, the choice is pure.

use std::env;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::ports::entry::{self, Entry, Key};
use crate::ports::ways::{WAYS_MAX, Way, another_port, unreserved, way};
use crate::system::System;

/// Ports below this are reserved where the system does not say otherwise.
pub const RESERVED_BELOW: u16 = 1024;
/// The bit of `CAP_NET_BIND_SERVICE` in a capability set.
const NET_BIND_SERVICE: u64 = 1 << 10;

/// What matters of this machine and process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    pub system: System,
    /// This program's file.
    pub binary: PathBuf,
    /// For shortening paths.
    pub home: Option<PathBuf>,
    /// This process.
    pub pid: u32,
    pub uid: u32,
    pub root: bool,
    pub surroundings: Surroundings,
    /// Whether a file's capabilities are honoured, or `no_new_privs` is set.
    pub file_capabilities: FileCapabilities,
    /// Whether `CAP_NET_BIND_SERVICE` is in effect.
    pub reserved_ports: ReservedPorts,
    /// The first port that anyone may bind.
    pub unprivileged_from: u16,
}

/// What this process runs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Surroundings {
    /// A person's shell; `systemctl` is of use there or is not.
    Shell(Init),
    /// A service of systemd.
    Service,
    Container,
    Kubernetes,
}

/// Who started the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Init {
    Systemd,
    Another,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileCapabilities {
    Honoured,
    Ignored,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReservedPorts {
    Allowed,
    Denied,
}

impl Machine {
    /// Looks around; what cannot be read is taken as the system's default.
    #[must_use]
    pub fn survey() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let start = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
        let uid = rustix::process::geteuid();
        Self {
            system: System::HERE,
            binary: env::current_exe().unwrap_or_else(|_unknown| PathBuf::from("onedoor")),
            home: env::var_os("HOME").map(PathBuf::from),
            pid: std::process::id(),
            uid: uid.as_raw(),
            root: uid.is_root(),
            surroundings: surroundings(),
            file_capabilities: file_capabilities(&status),
            reserved_ports: reserved_ports(&status),
            unprivileged_from: start
                .ok()
                .and_then(|text| text.trim().parse().ok())
                .unwrap_or(RESERVED_BELOW),
        }
    }
}

/// Why `address` was refused, as one sentence without a full stop.
#[must_use]
pub fn reason(machine: &Machine, address: SocketAddr) -> String {
    match machine.system {
        System::Darwin => format!(
            "macOS reserves ports below {RESERVED_BELOW} on a particular address; on every address anyone may use them"
        ),
        System::Linux | System::OtherUnix if is_reserved(machine, address) => {
            format!(
                "ports below {} are reserved, and this process lacks the right to them",
                machine.unprivileged_from
            )
        }
        System::Linux | System::OtherUnix => {
            "the port is not reserved, so a security policy refuses it".to_owned()
        }
    }
}

/// The recipes that fit, best first, fewer than [`WAYS_MAX`]: another port is left to be offered last.
#[must_use]
pub fn recipes(machine: &Machine, address: SocketAddr, entry: &Entry) -> Vec<Way> {
    let mut ways = match machine.system {
        System::Darwin => vec![every_address(address.port(), entry.key)],
        System::Linux if is_reserved(machine, address) => on_linux(machine, address.port(), entry),
        System::Linux => vec![way(
            "sudo ausearch -m avc -ts recent",
            "shows what SELinux refused",
        )],
        System::OtherUnix => Vec::new(),
    };
    ways.truncate(WAYS_MAX - 1);
    ways
}

fn is_reserved(machine: &Machine, address: SocketAddr) -> bool {
    address.port() < machine.unprivileged_from && machine.reserved_ports == ReservedPorts::Denied
}

fn on_linux(machine: &Machine, port: u16, entry: &Entry) -> Vec<Way> {
    let sysctl = format!("net.ipv4.ip_unprivileged_port_start={port}");
    let system_wide = way(
        format!("sudo sysctl -w {sysctl}"),
        "lets everyone use ports from there on, until the next boot",
    );
    let unit = way(
        "AmbientCapabilities=CAP_NET_BIND_SERVICE",
        "in [Service] of the unit: gives the service this one right",
    );
    let socket = way(
        format!("ListenStream={port}"),
        "in [Socket] of a socket unit: systemd opens the port and keeps it over restarts",
    );
    match machine.surroundings {
        Surroundings::Container if machine.root => vec![way(
            "docker run --cap-add NET_BIND_SERVICE …",
            "gives root in the container this one right",
        )],
        Surroundings::Container => vec![
            way(
                format!("docker run --sysctl {sysctl} …"),
                "allows it in this container; with `--network host` set it on the host",
            ),
            way(
                format!("docker run -p {port}:{} …", unreserved(port)),
                format!(
                    "publishes the port, with `{}` inside",
                    another_port(port, &[entry]).command
                ),
            ),
        ],
        Surroundings::Kubernetes => vec![way(
            format!(
                "securityContext: {{ sysctls: [{{ name: net.ipv4.ip_unprivileged_port_start, value: \"{port}\" }}] }}"
            ),
            "in the pod's spec: allows it in this pod",
        )],
        Surroundings::Service => vec![unit, socket],
        Surroundings::Shell(init) => match (machine.file_capabilities, init) {
            (FileCapabilities::Honoured, _) => vec![setcap(&machine.binary), system_wide],
            (FileCapabilities::Ignored, Init::Systemd) => vec![system_wide, unit],
            (FileCapabilities::Ignored, Init::Another) => vec![system_wide],
        },
    }
}

fn setcap(binary: &Path) -> Way {
    way(
        format!("sudo setcap cap_net_bind_service=+ep {}", quoted(binary)),
        "gives this program the right, until it is replaced by a new version",
    )
}

fn every_address(port: u16, key: Key) -> Way {
    way(
        entry::line(&[&Entry::new(key, "")], port),
        "in proxy.toml: listens on every address, which needs no right",
    )
}

/// As a shell takes it.
#[must_use]
pub fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+".contains(&byte);
    if text.bytes().all(plain) {
        return text;
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn surroundings() -> Surroundings {
    if env::var_os("KUBERNETES_SERVICE_HOST").is_some() {
        return Surroundings::Kubernetes;
    }
    let marks = ["/.dockerenv", "/run/.containerenv"];
    if marks.iter().any(|mark| Path::new(mark).exists()) || env::var_os("container").is_some() {
        return Surroundings::Container;
    }
    if env::var_os("INVOCATION_ID").is_some()
        && rustix::process::getppid().is_some_and(rustix::process::Pid::is_init)
    {
        return Surroundings::Service;
    }
    match sd_notify::booted() {
        Ok(true) => Surroundings::Shell(Init::Systemd),
        Ok(false) | Err(_) => Surroundings::Shell(Init::Another),
    }
}

fn file_capabilities(status: &str) -> FileCapabilities {
    match field(status, "NoNewPrivs:") {
        Some("1") => FileCapabilities::Ignored,
        Some(_) | None => FileCapabilities::Honoured,
    }
}

fn reserved_ports(status: &str) -> ReservedPorts {
    let set = field(status, "CapEff:").and_then(|text| u64::from_str_radix(text, 16).ok());
    match set {
        Some(set) if set & NET_BIND_SERVICE != 0 => ReservedPorts::Allowed,
        Some(_) | None => ReservedPorts::Denied,
    }
}

fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    let value = status.lines().find_map(|line| line.strip_prefix(name))?;
    Some(value.trim())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    #[test]
    fn the_recipe_fits_the_surroundings() {
        #[track_caller]
        fn check(machine: &Machine, expected: &str) {
            let address = "0.0.0.0:443".parse().unwrap();
            let ways = recipes(machine, address, &Entry::of(address));
            assert!(ways[0].command.contains(expected), "{ways:?}");
            assert!(ways.len() < WAYS_MAX);
        }
        let with = |surroundings| Machine {
            surroundings,
            ..developer()
        };
        check(
            &developer(),
            "setcap cap_net_bind_service=+ep /usr/bin/onedoor",
        );
        check(
            &with(Surroundings::Container),
            "--sysctl net.ipv4.ip_unprivileged_port_start=443",
        );
        check(&with(Surroundings::Kubernetes), "securityContext");
        check(
            &with(Surroundings::Service),
            "AmbientCapabilities=CAP_NET_BIND_SERVICE",
        );
        check(
            &Machine {
                file_capabilities: FileCapabilities::Ignored,
                ..developer()
            },
            "sudo sysctl -w",
        );
        check(
            &Machine {
                root: true,
                ..with(Surroundings::Container)
            },
            "--cap-add NET_BIND_SERVICE",
        );
        check(
            &Machine {
                unprivileged_from: 80,
                ..developer()
            },
            "ausearch",
        );
        check(
            &Machine {
                system: System::Darwin,
                ..developer()
            },
            "listen = [443]",
        );
    }

    #[test]
    fn the_rights_are_read_from_the_status() {
        let status = "Name:\tx\nCapEff:\t0000000000000400\nNoNewPrivs:\t1\n";
        assert_eq!(reserved_ports(status), ReservedPorts::Allowed);
        assert_eq!(file_capabilities(status), FileCapabilities::Ignored);
        assert_eq!(reserved_ports(""), ReservedPorts::Denied);
        assert_eq!(file_capabilities(""), FileCapabilities::Honoured);
    }

    #[test]
    fn a_path_is_quoted_for_the_shell() {
        assert_eq!(
            quoted(Path::new("/opt/one-door_1.0/x")),
            "/opt/one-door_1.0/x"
        );
        assert_eq!(quoted(Path::new("/opt/my door's")), r"'/opt/my door'\''s'");
    }

    /// A person at a Linux machine with systemd.
    pub(crate) fn developer() -> Machine {
        Machine {
            system: System::Linux,
            binary: PathBuf::from("/usr/bin/onedoor"),
            home: Some(PathBuf::from("/home/ana")),
            pid: 99,
            uid: 1000,
            root: false,
            surroundings: Surroundings::Shell(Init::Systemd),
            file_capabilities: FileCapabilities::Honoured,
            reserved_ports: ReservedPorts::Denied,
            unprivileged_from: RESERVED_BELOW,
        }
    }
}

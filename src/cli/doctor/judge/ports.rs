//! Who has the ports, on both families.

use std::net::SocketAddr;

use crate::cli::doctor::finding::{Finding, Status};
use crate::ports::entry::Entry;
use crate::ports::holder::{Fact, Holder, Process};
use crate::ports::permission::{self, Machine, ReservedPorts};
use crate::ports::ways;
use crate::system::System;

/// One address, and who has it.
#[derive(Debug, Clone)]
pub(in crate::cli::doctor) struct Port {
    pub(in crate::cli::doctor) address: SocketAddr,
    /// What of the configuration asks for it; none: it is looked at because everybody asks for this port.
    pub(in crate::cli::doctor) entry: Option<Entry>,
    /// None: nobody.
    pub(in crate::cli::doctor) holder: Option<Holder>,
}

/// `door` is the process of the onedoor that serves.
pub(in crate::cli::doctor) fn judge(port: &Port, door: Option<u32>, machine: &Machine) -> Finding {
    let address = port.address;
    let id = format!("port-{}-{}", address.port(), family(address));
    let finding = |status, what: String| Finding::new(&id, status, format!("{address}: {what}"));
    match (&port.holder, door) {
        (Some(Holder::Process(process)), Some(door)) if process.pid == door => finding(
            Status::Ok,
            format!("held by the onedoor that serves (pid {door})"),
        ),
        (None, Some(_)) if port.entry.is_some() => finding(
            Status::Problem,
            "asked for by the configuration, and the onedoor that serves does not have it"
                .to_owned(),
        )
        .fix("onedoor reload"),
        (None, _) => free(port, machine, finding),
        (Some(holder), _) => held(port, holder, machine, finding),
    }
}

fn family(address: SocketAddr) -> &'static str {
    if address.is_ipv4() { "ipv4" } else { "ipv6" }
}

fn free(port: &Port, machine: &Machine, finding: impl Fn(Status, String) -> Finding) -> Finding {
    let address = port.address;
    let Some(entry) = &port.entry else {
        return finding(Status::Ok, "free".to_owned());
    };
    if !is_denied(address, machine) {
        return finding(Status::Ok, "free".to_owned());
    }
    let found = finding(Status::Warning, "free, but not for this user".to_owned())
        .detail(permission::reason(machine, address));
    let way = permission::recipes(machine, address, entry)
        .into_iter()
        .next();
    match way {
        Some(way) => found.fix(way.command),
        None => found,
    }
}

/// macOS reserves low ports on particular addresses alone.
fn is_denied(address: SocketAddr, machine: &Machine) -> bool {
    if machine.root && machine.system != System::Linux {
        return false;
    }
    match machine.system {
        System::Linux => {
            address.port() < machine.unprivileged_from
                && machine.reserved_ports == ReservedPorts::Denied
        }
        System::Darwin => {
            address.port() < permission::RESERVED_BELOW && !address.ip().is_unspecified()
        }
        System::OtherUnix => address.port() < permission::RESERVED_BELOW,
    }
}

fn held(
    port: &Port,
    holder: &Holder,
    machine: &Machine,
    finding: impl Fn(Status, String) -> Finding,
) -> Finding {
    let status = match (&port.entry, holder) {
        (None, _) => Status::Ok,
        (Some(_), Holder::Nobody(_)) => Status::Warning,
        (Some(_), Holder::Process(_) | Holder::Unseen(_)) => Status::Problem,
    };
    let advice = ways::in_use(holder, port.address.port(), machine);
    let mut details: Vec<String> = Vec::new();
    let by = match holder {
        Holder::Process(process) => {
            details.extend(about(process));
            format!("held by {} (pid {})", process.name, process.pid)
        }
        Holder::Unseen(Some(user)) => format!("held by a process of {}", ways::title(user)),
        Holder::Unseen(None) => "held by a process of another user".to_owned(),
        Holder::Nobody(_) => "in use, though nobody listens".to_owned(),
    };
    if port.entry.is_none() {
        let found = finding(
            status,
            format!("{by}; the configuration does not ask for it"),
        );
        return match details.first() {
            Some(detail) => found.detail(detail),
            None => found,
        };
    }
    details.extend(advice.note);
    let mut found = finding(status, by);
    if !details.is_empty() {
        found = found.detail(details.join("\n"));
    }
    match advice.ways.into_iter().next() {
        Some(way) => found.fix(way.command),
        None => found,
    }
}

fn about(process: &Process) -> Option<String> {
    let mut parts = Vec::new();
    if let Fact::Known(command) = &process.command {
        parts.push(printable(&command.join(" ")));
    }
    if let Fact::Known(user) = &process.user {
        parts.push(format!("of {}", ways::title(user)));
    }
    if let Fact::Known(age) = &process.age {
        parts.push(format!("started {} min ago", age.as_secs() / 60));
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// What another program calls itself may hold anything, and may be long.
fn printable(text: &str) -> String {
    const CHARS_MAX: usize = 160;
    let clean = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    text.chars().map(clean).take(CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use super::*;
    use crate::ports::entry::Key;
    use crate::ports::holder::{Remains, User};
    use crate::ports::permission::tests::developer;

    fn caddy() -> Holder {
        Holder::Process(Box::new(Process {
            pid: 4312,
            name: "caddy".to_owned(),
            user: Fact::Known(User {
                uid: 1000,
                name: Some("ana".to_owned()),
            }),
            age: Fact::Known(Duration::from_secs(840)),
            directory: Fact::Known(PathBuf::from("/home/ana/src/shop")),
            command: Fact::Known(vec!["caddy".to_owned(), "run\u{1b}[2J".to_owned()]),
            unit: None,
        }))
    }

    fn port(address: &str, holder: Option<Holder>) -> Port {
        Port {
            address: address.parse().unwrap(),
            entry: Some(Entry::new(Key::Listen, "443")),
            holder,
        }
    }

    #[test]
    fn a_stranger_at_our_port_is_a_problem_with_its_way_out() {
        let finding = judge(&port("[::]:443", Some(caddy())), None, &developer());
        assert_eq!(finding.id, "port-443-ipv6");
        assert_eq!(finding.status, Status::Problem);
        assert_eq!(finding.what, "[::]:443: held by caddy (pid 4312)");
        let detail = finding.detail.unwrap();
        let words = "caddy run\u{fffd}[2J, of user ana, started 14 min ago";
        assert!(detail.starts_with(words), "{detail}");
        assert_eq!(finding.fix.unwrap(), "caddy stop");
    }

    #[test]
    fn a_stranger_at_a_port_that_nobody_asks_for_is_told_of_and_no_more() {
        let mut port = port("0.0.0.0:80", Some(caddy()));
        port.entry = None;
        let finding = judge(&port, None, &developer());
        assert_eq!((finding.status, finding.fix), (Status::Ok, None));
    }

    #[test]
    fn the_door_has_its_ports_or_it_is_told() {
        let ours = judge(
            &port("0.0.0.0:443", Some(caddy())),
            Some(4312),
            &developer(),
        );
        assert_eq!(ours.status, Status::Ok);
        let lost = judge(&port("0.0.0.0:443", None), Some(4312), &developer());
        assert_eq!(lost.fix.unwrap(), "onedoor reload");
    }

    #[test]
    fn a_free_port_may_still_be_reserved() {
        let reserved = judge(&port("0.0.0.0:443", None), None, &developer());
        assert_eq!(reserved.status, Status::Warning);
        assert!(reserved.fix.unwrap().starts_with("sudo setcap"));
        let high = judge(&port("0.0.0.0:8443", None), None, &developer());
        assert_eq!(high.status, Status::Ok);
    }

    #[test]
    fn macos_reserves_particular_addresses_alone() {
        let mac = Machine {
            system: System::Darwin,
            ..developer()
        };
        let status = |address| judge(&port(address, None), None, &mac).status;
        assert_eq!(status("0.0.0.0:443"), Status::Ok);
        assert_eq!(status("127.0.0.1:443"), Status::Warning);
        let shared = judge(&port("0.0.0.0:443", Some(caddy())), None, &mac);
        assert!(shared.detail.unwrap().contains("on macOS"));
        let unseen = judge(&port("0.0.0.0:443", Some(Holder::Unseen(None))), None, &mac);
        assert!(unseen.fix.unwrap().starts_with("sudo lsof"));
    }

    #[test]
    fn closed_connections_only_ask_for_patience() {
        let holder = Holder::Nobody(Remains::TimeWait);
        let finding = judge(&port("0.0.0.0:443", Some(holder)), None, &developer());
        assert_eq!(finding.status, Status::Warning);
    }
}

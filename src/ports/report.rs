//! The text that a person reads about ports that could not be opened.

use std::net::SocketAddr;

use crate::ports::entry::{self, Entry, Key};
use crate::ports::holder::{Fact, Holder, Process};
use crate::ports::passed::PassedSocket;
use crate::ports::permission::{self, Machine};
use crate::ports::problem::{Kind, Refusal, Refused};
use crate::ports::ways::{self, WAYS_MAX, Way};
use crate::ports::wording::{ago, shortened, shown};
use crate::system::System;

/// Appends what there is to say about one port; all of `refused` are of this kind and port.
pub(super) fn write(
    text: &mut String,
    kind: Kind,
    port: u16,
    refused: &[&Refused],
    machine: &Machine,
) {
    Block::about(kind, port, refused, machine).write(text);
}

/// Appends what a service manager passed in vain.
pub(super) fn write_unused(text: &mut String, unused: &[PassedSocket]) {
    if unused.is_empty() {
        return;
    }
    let unused: Vec<String> = unused.iter().map(ToString::to_string).collect();
    text.push_str(&line(
        "note:",
        &format!(
            "passed by the service manager and asked for by no `listen` or `http`: {}",
            unused.join(", ")
        ),
    ));
}

/// Why one address was refused, in a few words.
pub(super) fn reason(refused: &Refused, machine: &Machine) -> String {
    match &refused.refusal {
        Refusal::InUse(holder) | Refusal::Shadowed(holder) => held_by(holder),
        Refusal::NotPermitted => permission::reason(machine, refused.address),
        Refusal::AddressMissing => "no interface of this machine has this address".to_owned(),
        Refusal::FamilyMissing => "this system does not speak IPv6".to_owned(),
        Refusal::Failed(error) => error.to_string(),
    }
}

fn held_by(holder: &Holder) -> String {
    match holder {
        Holder::Process(process) => format!("held by  {}", name(process)),
        Holder::Unseen(Some(user)) => format!("held by  a process of {}", ways::title(user)),
        Holder::Unseen(None) => "held by  a process of another user".to_owned(),
        Holder::Nobody(_) => "in use, though nobody listens".to_owned(),
    }
}

/// What is said about one port.
struct Block {
    head: String,
    lines: Vec<(String, String)>,
    notes: Vec<String>,
    ways: Vec<Way>,
}

impl Block {
    fn about(kind: Kind, port: u16, refused: &[&Refused], machine: &Machine) -> Self {
        let head = match kind {
            Kind::InUse => format!("error[port-in-use]: cannot listen on port {port}"),
            Kind::NotPermitted => {
                format!("error[port-permission]: not allowed to listen on port {port}")
            }
            Kind::Missing => format!("error[address-missing]: cannot listen on port {port}"),
            Kind::Failed => format!("error[listen]: cannot listen on port {port}"),
        };
        let mut block = Self {
            head,
            lines: Vec::new(),
            notes: Vec::new(),
            ways: Vec::new(),
        };
        for group in refused.chunk_by(|one, next| same_process(one, next)) {
            let [one, others @ ..] = group else {
                continue;
            };
            match &one.refusal {
                Refusal::InUse(holder) | Refusal::Shadowed(holder) => {
                    block.held(one, holder, others, machine);
                }
                Refusal::NotPermitted => {
                    block.say(one.address, &reason(one, machine));
                    block
                        .ways
                        .extend(permission::recipes(machine, one.address, &one.entry));
                }
                Refusal::AddressMissing | Refusal::FamilyMissing | Refusal::Failed(_) => {
                    block.say(one.address, &reason(one, machine));
                }
            }
        }
        if kind == Kind::Missing {
            let key = refused.first().map_or(Key::Listen, |one| one.entry.key);
            block.ways.push(ways::way(
                entry::line(&[&Entry::new(key, "")], port),
                "in proxy.toml: every address this machine has",
            ));
        }
        block.finish(kind, port, refused);
        block
    }

    fn held(&mut self, one: &Refused, holder: &Holder, others: &[&Refused], machine: &Machine) {
        self.say(one.address, &reason(one, machine));
        for other in others {
            self.say(other.address, "held by  same process");
        }
        if let Holder::Process(process) = holder {
            self.details(process, machine);
        }
        if matches!(one.refusal, Refusal::Shadowed(_)) {
            self.notes.push(
                "binding succeeded, but connections would reach that process and never this one"
                    .to_owned(),
            );
        }
        let advice = ways::in_use(holder, one.address.port(), machine);
        self.notes.extend(advice.note);
        self.ways.extend(advice.ways);
    }

    fn details(&mut self, process: &Process, machine: &Machine) {
        let mut parts = Vec::new();
        if let Fact::Known(age) = process.age {
            parts.push(ago(age));
        }
        if let Fact::Known(directory) = &process.directory {
            parts.push(format!(
                "in {}",
                shortened(directory, machine.home.as_deref())
            ));
        }
        if let Fact::Known(command) = &process.command {
            parts.push(format!(" with  {}", shown(&command.join(" "))));
        }
        if !parts.is_empty() {
            self.lines
                .push((String::new(), format!("started  {}", parts.join(" "))));
        }
        let unreadable =
            process.directory == Fact::Unreadable || process.command == Fact::Unreadable;
        if unreadable {
            let pid = process.pid;
            let command = match machine.system {
                System::Linux => format!("sudo ls -l /proc/{pid}/cwd /proc/{pid}/exe"),
                System::Darwin | System::OtherUnix => format!("ps -o user,lstart,command -p {pid}"),
            };
            self.lines.push((
                String::new(),
                format!("unreadable from here; shown by  {command}"),
            ));
        }
    }

    fn say(&mut self, address: SocketAddr, what: &str) {
        self.lines.push((address.to_string(), what.to_owned()));
    }

    /// Each thing once, and moving to another port as the last way.
    fn finish(&mut self, kind: Kind, port: u16, refused: &[&Refused]) {
        once(&mut self.notes);
        once(&mut self.ways);
        match kind {
            Kind::InUse | Kind::NotPermitted => {
                let entries: Vec<&Entry> = refused.iter().map(|one| &one.entry).collect();
                self.ways.truncate(WAYS_MAX - 1);
                self.ways.push(ways::another_port(port, &entries));
            }
            Kind::Missing | Kind::Failed => self.ways.truncate(WAYS_MAX),
        }
    }

    fn write(&self, text: &mut String) {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&self.head);
        text.push('\n');
        let left = longest(self.lines.iter().map(|(address, _what)| address.as_str()));
        for (address, what) in &self.lines {
            text.push_str(&format!("  {address:left$}   {what}\n"));
        }
        for note in &self.notes {
            text.push_str(&line("note:", note));
        }
        let left = longest(self.ways.iter().map(|way| way.command.as_str()));
        for (index, Way { command, effect }) in self.ways.iter().enumerate() {
            let label = if index == 0 { "try:" } else { "" };
            text.push_str(&line(label, &format!("{command:left$}   {effect}")));
        }
    }
}

fn longest<'a>(texts: impl Iterator<Item = &'a str>) -> usize {
    texts.map(|text| text.chars().count()).max().unwrap_or(0)
}

fn line(label: &str, what: &str) -> String {
    format!("  {label:5} {what}\n")
}

fn once<T: PartialEq>(list: &mut Vec<T>) {
    let mut kept = Vec::with_capacity(list.len());
    for one in list.drain(..) {
        if !kept.contains(&one) {
            kept.push(one);
        }
    }
    *list = kept;
}

fn same_process(one: &Refused, next: &Refused) -> bool {
    match (holding(&one.refusal), holding(&next.refusal)) {
        (Some(one), Some(next)) => one.pid == next.pid,
        (Some(_) | None, Some(_) | None) => false,
    }
}

fn holding(refusal: &Refusal) -> Option<&Process> {
    match refusal {
        Refusal::InUse(Holder::Process(process)) | Refusal::Shadowed(Holder::Process(process)) => {
            Some(process)
        }
        Refusal::InUse(Holder::Unseen(_) | Holder::Nobody(_))
        | Refusal::Shadowed(Holder::Unseen(_) | Holder::Nobody(_))
        | Refusal::NotPermitted
        | Refusal::AddressMissing
        | Refusal::FamilyMissing
        | Refusal::Failed(_) => None,
    }
}

fn name(process: &Process) -> String {
    let (name, pid) = (shown(&process.name), process.pid);
    match &process.user {
        Fact::Known(user) => format!("{name} (pid {pid}, {})", ways::title(user)),
        Fact::Unreadable => format!("{name} (pid {pid})"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::ports::holder::{Remains, User};
    use crate::ports::permission::tests::developer;
    use crate::ports::problem::PortProblem;

    #[test]
    fn a_busy_port_is_explained_with_both_families() {
        let caddy = Holder::Process(Box::new(caddy()));
        let problem = problem(vec![
            ("0.0.0.0:443", Refusal::InUse(caddy.clone())),
            ("[::]:443", Refusal::InUse(caddy)),
        ]);
        assert_eq!(problem.exit_code(), 4);
        assert_eq!(
            problem.render(),
            "error[port-in-use]: cannot listen on port 443
  0.0.0.0:443   held by  caddy (pid 4312, user ana)
  [::]:443      held by  same process
                started  14 min ago in ~/src/shop  with  caddy run
  try:  caddy stop        stops it
        listen = [8443]   in proxy.toml: use another port for now
"
        );
    }

    #[test]
    fn a_reserved_port_shows_the_recipes() {
        let problem = problem(vec![
            ("0.0.0.0:443", Refusal::NotPermitted),
            ("[::]:443", Refusal::NotPermitted),
        ]);
        assert_eq!(problem.exit_code(), 5);
        assert_eq!(
            problem.render(),
            "error[port-permission]: not allowed to listen on port 443
  0.0.0.0:443   ports below 1024 are reserved, and this process lacks the right to them
  [::]:443      ports below 1024 are reserved, and this process lacks the right to them
  try:  sudo setcap cap_net_bind_service=+ep /usr/bin/onedoor    gives this program the right, until it is replaced by a new version
        sudo sysctl -w net.ipv4.ip_unprivileged_port_start=443   lets everyone use ports from there on, until the next boot
        listen = [8443]                                          in proxy.toml: use another port for now
"
        );
    }

    #[test]
    fn every_port_has_its_own_block_and_the_gravest_decides() {
        let refused = refused(vec![
            ("0.0.0.0:80", Refusal::NotPermitted),
            ("192.0.2.1:443", Refusal::AddressMissing),
            (
                "0.0.0.0:8443",
                Refusal::InUse(Holder::Nobody(Remains::TimeWait)),
            ),
        ]);
        let unused = vec![PassedSocket {
            name: Some("web".to_owned()),
            address: None,
        }];
        let problem = PortProblem::new(refused, unused, developer());
        let text = problem.render();
        let heads = text.lines().filter(|line| line.starts_with("error["));
        let heads: Vec<&str> = heads.map(|line| line.split(']').next().unwrap()).collect();
        assert_eq!(
            heads,
            [
                "error[port-in-use",
                "error[port-permission",
                "error[address-missing"
            ]
        );
        assert!(text.contains("no TCP listener (`web`)"));
        assert_eq!(problem.exit_code(), 4);
        assert_eq!(
            problem.to_string(),
            "cannot listen on 0.0.0.0:80, 192.0.2.1:443, 0.0.0.0:8443"
        );
    }

    #[test]
    fn ways_are_offered_once_and_never_more_than_allowed() {
        let stranger = || {
            Holder::Unseen(Some(User {
                uid: 0,
                name: Some("root".to_owned()),
            }))
        };
        let problem = problem(vec![
            (
                "0.0.0.0:443",
                Refusal::InUse(Holder::Process(Box::new(caddy()))),
            ),
            ("[::]:443", Refusal::InUse(stranger())),
        ]);
        let text = problem.render();
        let (_before, ways) = text.split_once("try:").unwrap();
        assert_eq!(ways.lines().count(), WAYS_MAX);
        assert_eq!(ways.matches("listen = [8443]").count(), 1);
    }

    #[test]
    fn what_cannot_be_read_comes_with_the_command_that_shows_it() {
        let process = Process {
            directory: Fact::Unreadable,
            ..caddy()
        };
        let holder = Holder::Process(Box::new(process));
        let text = problem(vec![("0.0.0.0:443", Refusal::Shadowed(holder))]).render();
        assert!(
            text.contains("shown by  sudo ls -l /proc/4312/cwd"),
            "{text}"
        );
        assert!(text.contains("never this one"), "{text}");
    }

    fn problem(all: Vec<(&str, Refusal)>) -> PortProblem {
        PortProblem::new(refused(all), Vec::new(), developer())
    }

    fn refused(all: Vec<(&str, Refusal)>) -> Vec<Refused> {
        let refused = all.into_iter().map(|(address, refusal)| Refused {
            address: address.parse().unwrap(),
            entry: Entry::new(Key::Listen, ""),
            refusal,
        });
        refused.collect()
    }

    fn caddy() -> Process {
        Process {
            pid: 4312,
            name: "caddy".to_owned(),
            user: Fact::Known(User {
                uid: 1000,
                name: Some("ana".to_owned()),
            }),
            age: Fact::Known(Duration::from_secs(14 * 60)),
            directory: Fact::Known("/home/ana/src/shop".into()),
            command: Fact::Known(vec!["caddy".to_owned(), "run".to_owned()]),
            unit: None,
        }
    }
}

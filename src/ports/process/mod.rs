//! What can be learned about a process and an account: from `/proc` on Linux, from the system's own programs on macOS.

mod darwin;
mod linux;

use crate::ports::holder::{Fact, Process, User};
use crate::system::System;

/// How many generations of worker processes are climbed to the one that a person started.
const GENERATIONS_MAX: usize = 4;
/// Servers whose workers share the listening sockets of a first process with the same name.
const FORKING: [&str; 4] = ["nginx", "apache2", "httpd", "haproxy"];

/// Everything about the process that listens, or about the first process of its server.
pub(super) fn look_at(pid: u32, name: String) -> Process {
    match System::HERE {
        System::Linux => linux::look_at(pid, name),
        System::Darwin => darwin::look_at(pid, name),
        System::OtherUnix => Process {
            pid,
            name,
            user: Fact::Unreadable,
            age: Fact::Unreadable,
            directory: Fact::Unreadable,
            command: Fact::Unreadable,
            unit: None,
        },
    }
}

/// What a process is called, whoever's it is; none for one that is gone.
pub(super) fn name_of(pid: u32) -> Option<String> {
    match System::HERE {
        System::Linux => linux::name_of(pid),
        System::Darwin => darwin::name_of(pid),
        System::OtherUnix => None,
    }
}

/// The account with this number; it has no name when the system does not say it.
pub(super) fn account(uid: u32) -> User {
    let name = match System::HERE {
        System::Linux | System::OtherUnix => linux::account_name(uid),
        System::Darwin => darwin::account_name(uid),
    };
    User { uid, name }
}

fn fact<T>(value: Option<T>) -> Fact<T> {
    value.map_or(Fact::Unreadable, Fact::Known)
}

/// `namesake_above` gives the parent of a process if it has the same name.
fn first_of_its_kind(pid: u32, name: &str, namesake_above: impl Fn(u32) -> Option<u32>) -> u32 {
    if !FORKING.contains(&name) {
        return pid;
    }
    let mut first = pid;
    for _generation in 0..GENERATIONS_MAX {
        match namesake_above(first) {
            Some(parent) => first = parent,
            None => break,
        }
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_process_of_a_server_is_found_above_its_workers() {
        let above = |pid: u32| (pid > 40).then(|| pid - 1);
        assert_eq!(first_of_its_kind(42, "nginx", above), 40);
        assert_eq!(first_of_its_kind(42, "node", above), 42);
        let endless = |pid: u32| Some(pid - 1);
        assert_eq!(first_of_its_kind(42, "nginx", endless), 38);
    }

    #[test]
    fn this_process_and_its_account_have_names() {
        if System::HERE == System::OtherUnix {
            return;
        }
        assert!(name_of(std::process::id()).is_some());
        assert_eq!(account(0).name.as_deref(), Some("root"));
    }
}

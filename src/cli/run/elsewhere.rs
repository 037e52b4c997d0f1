//! Where the processes of a group listen, for a command that was told a port and took another.

use listeners::{Protocol, SocketState};
use rustix::process::{Pid, getpgid, getpid};

/// The ports, but `expected`, on which processes of this group but ourselves accept, in order; as far as the system lets us see.
pub(super) fn listening(group: Pid, expected: u16) -> Vec<u16> {
    let all = listeners::get_all().unwrap_or_default();
    let accepting = all
        .into_iter()
        .filter(|one| one.protocol == Protocol::TCP && one.state == SocketState::Listen);
    let of_group = accepting.filter(|one| {
        let pid = i32::try_from(one.process.pid).ok().and_then(Pid::from_raw);
        let is_member = |pid| pid != getpid() && getpgid(Some(pid)) == Ok(group);
        pid.is_some_and(is_member)
    });
    let mut ports: Vec<u16> = of_group.map(|one| one.socket.port()).collect();
    ports.retain(|port| *port != expected);
    ports.sort_unstable();
    ports.dedup();
    ports
}

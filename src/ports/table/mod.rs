//! The kernel's list of TCP sockets: whose they are and in what state, also where their processes may not be seen.

mod darwin;
mod linux;

use std::net::SocketAddr;

use crate::system::System;

/// More rows than this are not looked at.
const ROWS_MAX: usize = 1 << 20;

/// One socket of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) local: SocketAddr,
    pub(super) state: State,
    pub(super) uid: u32,
    /// The process that used it last, where the system says so.
    pub(super) pid: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Listening,
    TimeWait,
    /// A connection, or on its way to be one.
    Connected,
}

/// Every socket that this process may know of; none where the system keeps no such list.
pub(super) fn rows() -> Option<Vec<Row>> {
    match System::HERE {
        System::Linux => linux::rows(),
        System::Darwin => darwin::rows(),
        System::OtherUnix => None,
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_socket_of_ours_is_in_the_list() {
        if System::HERE == System::OtherUnix {
            return;
        }
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let local = listener.local_addr().unwrap();
        let rows = rows().unwrap();
        let row = rows
            .iter()
            .find(|row| row.local == local && row.state == State::Listening)
            .unwrap();
        assert_eq!(row.uid, rustix::process::geteuid().as_raw());
        match System::HERE {
            System::Darwin => assert_eq!(row.pid, Some(std::process::id())),
            System::Linux | System::OtherUnix => assert_eq!(row.pid, None),
        }
    }
}

//! Who holds an address: found when a bind was refused, never on the way of a request.

use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use listeners::{Listener, Protocol, SocketState};

use crate::ports::process;
use crate::ports::strict;
use crate::ports::table::{self, Row, State};

const CONNECT_WAIT: Duration = Duration::from_millis(300);

/// Who keeps an address from being bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    Process(Box<Process>),
    /// Somebody listens whose process we may not see.
    Unseen(Option<User>),
    Nobody(Remains),
}

/// What keeps an address that nobody listens on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remains {
    /// Closed connections whose last packets may still be under way.
    TimeWait,
    /// A connection that has the address as its own end.
    Connection,
    /// Nothing that can be seen: bound without listening, or gone meanwhile.
    Nothing,
}

/// A process that listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    pub pid: u32,
    pub name: String,
    pub user: Fact<User>,
    /// How long it has been running.
    pub age: Fact<Duration>,
    pub directory: Fact<PathBuf>,
    pub command: Fact<Vec<String>>,
    /// The systemd service it belongs to, as arguments of `systemctl stop`.
    pub unit: Option<String>,
}

/// Something that the system may not tell us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact<T> {
    Known(T),
    Unreadable,
}

/// An account of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub uid: u32,
    pub name: Option<String>,
}

/// Who keeps `address` from being bound.
#[must_use]
pub fn find(address: SocketAddr) -> Holder {
    if let Some(listener) = visible(address) {
        let Listener { process, .. } = listener;
        return Holder::Process(Box::new(process::look_at(process.pid, process.name)));
    }
    match table::rows() {
        Some(rows) => unseen(&rows, address),
        None if connects(address) => Holder::Unseen(None),
        None => Holder::Nobody(Remains::TimeWait),
    }
}

/// A process but `own` that listens where a connection to `address` may go, as far as we may see.
#[must_use]
pub fn stranger(address: SocketAddr, own: u32) -> Option<Process> {
    let found = all_visible(address)
        .filter(|one| one.process.pid != own)
        .min_by_key(|one| (one.socket != address, one.process.pid))?;
    let Listener { process, .. } = found;
    Some(process::look_at(process.pid, process.name))
}

/// Whether anybody that we may know of listens on `address`.
#[must_use]
pub fn listens(address: SocketAddr) -> bool {
    let listed = || table::rows().is_some_and(|rows| listening(&rows, address).is_some());
    visible(address).is_some() || listed()
}

/// Of several, the one with the address itself, then the oldest process number.
fn visible(address: SocketAddr) -> Option<Listener> {
    all_visible(address).min_by_key(|one| (one.socket != address, one.process.pid))
}

fn all_visible(address: SocketAddr) -> impl Iterator<Item = Listener> {
    let all = listeners::get_all().unwrap_or_default();
    all.into_iter()
        .filter(|one| one.protocol == Protocol::TCP && one.state == SocketState::Listen)
        .filter(move |one| strict::overlaps(one.socket, address))
}

fn unseen(rows: &[Row], address: SocketAddr) -> Holder {
    if let Some(row) = listening(rows, address) {
        let named = row.pid.and_then(|pid| Some((pid, process::name_of(pid)?)));
        return match named {
            Some((pid, name)) => Holder::Process(Box::new(process::look_at(pid, name))),
            None => Holder::Unseen(Some(process::account(row.uid))),
        };
    }
    let here = |row: &&Row| strict::overlaps(row.local, address);
    let remains = rows
        .iter()
        .filter(here)
        .map(|row| row.state)
        .max_by_key(|state| match state {
            State::Connected => 2,
            State::TimeWait => 1,
            State::Listening => 0,
        });
    Holder::Nobody(match remains {
        Some(State::Connected) => Remains::Connection,
        Some(State::TimeWait) => Remains::TimeWait,
        Some(State::Listening) | None => Remains::Nothing,
    })
}

/// Of several, the one with the address itself: it is the one that connections come to.
fn listening(rows: &[Row], address: SocketAddr) -> Option<&Row> {
    rows.iter()
        .filter(|row| row.state == State::Listening && strict::overlaps(row.local, address))
        .min_by_key(|row| row.local != address)
}

fn connects(address: SocketAddr) -> bool {
    TcpStream::connect_timeout(&strict::reachable_at(address), CONNECT_WAIT).is_ok()
}

#[cfg(test)]
mod tests {
    use std::env;
    use std::net::TcpListener;

    use super::*;
    use crate::system::System;

    #[test]
    fn this_process_is_found_with_all_that_is_known_of_it() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let Holder::Process(process) = find(listener.local_addr().unwrap()) else {
            panic!("this process may see itself");
        };
        assert_eq!(process.pid, std::process::id());
        if System::HERE != System::OtherUnix {
            assert_eq!(process.directory, Fact::Known(env::current_dir().unwrap()));
            let Fact::Known(command) = &process.command else {
                panic!("{process:?}");
            };
            assert_eq!(command[0], env::args().next().unwrap());
            assert!(matches!(process.age, Fact::Known(age) if age < Duration::from_secs(3600)));
            assert!(matches!(process.user, Fact::Known(_)));
        }
    }

    #[test]
    fn a_socket_of_another_user_is_named_by_its_account() {
        let holder = unseen(
            &[row("0.0.0.0:443", State::Listening, 0)],
            at("0.0.0.0:443"),
        );
        let Holder::Unseen(Some(user)) = holder else {
            panic!("{holder:?}");
        };
        assert_eq!(user.uid, 0);
    }

    #[test]
    fn the_list_names_a_process_that_is_not_visible() {
        let row = Row {
            pid: Some(std::process::id()),
            ..row("0.0.0.0:443", State::Listening, 0)
        };
        let Holder::Process(process) = unseen(&[row], at("127.0.0.1:443")) else {
            panic!("this process has a name");
        };
        assert_eq!(process.pid, std::process::id());
        let gone = Row {
            pid: Some(u32::MAX),
            ..row
        };
        assert!(matches!(
            unseen(&[gone], at("127.0.0.1:443")),
            Holder::Unseen(Some(_))
        ));
    }

    #[test]
    fn what_remains_of_connections_is_told_apart() {
        #[track_caller]
        fn check(rows: &[Row], expected: Remains) {
            assert_eq!(unseen(rows, at("0.0.0.0:443")), Holder::Nobody(expected));
        }
        let closed = row("127.0.0.1:443", State::TimeWait, 0);
        let open = row("127.0.0.1:443", State::Connected, 1000);
        check(&[], Remains::Nothing);
        check(
            &[row("127.0.0.1:80", State::Listening, 0)],
            Remains::Nothing,
        );
        check(&[closed], Remains::TimeWait);
        check(&[closed, open], Remains::Connection);
    }

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn row(local: &str, state: State, uid: u32) -> Row {
        let local = at(local);
        Row {
            local,
            state,
            uid,
            pid: None,
        }
    }
}

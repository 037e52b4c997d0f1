//! Listening sockets that a service manager opened for us: `LISTEN_FDS`, `LISTEN_PID`, `LISTEN_FDNAMES` of systemd's protocol, and
//! those of launchd.
//! They are taken for the addresses that ask for them; the manager keeps its own copy, so a restart loses no connection.

use std::env;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};

use listenfd::ListenFd;
use socket2::SockRef;

use crate::ports::bind::{Bound, Origin};
use crate::ports::launchd;

/// More sockets than this are not looked at.
pub const PASSED_MAX: usize = 256;
const NAMES: &str = "LISTEN_FDNAMES";

/// What was passed and not yet taken.
#[derive(Debug)]
pub struct Passed {
    listeners: Vec<Passing>,
    useless: Vec<PassedSocket>,
}

/// A passed socket, as it is told to people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassedSocket {
    /// The manager's name for it.
    pub name: Option<String>,
    /// None: it is no TCP listener, and cannot be served.
    pub address: Option<SocketAddr>,
}

/// What passing comes to for some addresses.
#[derive(Debug)]
pub struct Taken {
    pub sockets: Vec<Bound>,
    /// Addresses for which nothing was passed.
    pub missing: Vec<SocketAddr>,
    /// Passed, and asked for by no address.
    pub unused: Vec<PassedSocket>,
}

#[derive(Debug)]
struct Passing {
    listener: TcpListener,
    address: SocketAddr,
    stack: Stack,
    name: Option<String>,
}

/// Whether an IPv6 socket takes IPv4 connections too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stack {
    Single,
    Dual,
}

impl Passed {
    #[must_use]
    pub fn none() -> Self {
        Self {
            listeners: Vec::new(),
            useless: Vec::new(),
        }
    }

    /// Takes over what the environment announces, once: the announcement is removed, so that no child believes it.
    /// To be called before any other thread runs.
    #[must_use]
    pub fn from_environment() -> Self {
        let names = env::var(NAMES).unwrap_or_default();
        let mut names = names.split(':');
        let mut announced = ListenFd::from_env();
        let mut passed = Self::none();
        for index in 0..announced.len().min(PASSED_MAX) {
            let name = names.next().filter(|name| !name.is_empty());
            let name = name.map(str::to_owned);
            let listener = announced.take_tcp_listener(index).ok().flatten();
            match listener.and_then(|listener| Passing::new(listener, name.clone()).ok()) {
                Some(passing) => passed.listeners.push(passing),
                None => passed.useless.push(PassedSocket {
                    name,
                    address: None,
                }),
            }
        }
        for listener in launchd::listeners() {
            let name = Some(launchd::SOCKETS.to_owned());
            match Passing::new(listener, name.clone()) {
                Ok(passing) => passed.listeners.push(passing),
                Err(_no_socket) => passed.useless.push(PassedSocket {
                    name,
                    address: None,
                }),
            }
        }
        passed
    }

    /// Gives each address the socket that was passed for it. A dual-stack wildcard serves the wildcards of both families.
    #[must_use]
    pub fn take(self, wanted: &[SocketAddr]) -> Taken {
        let mut missing = wanted.to_vec();
        let mut sockets = Vec::new();
        let mut unused = self.useless;
        for passing in self.listeners {
            let before = missing.len();
            missing.retain(|wanted| !serves(passing.address, passing.stack, *wanted));
            if missing.len() < before {
                sockets.push(passing.into_bound());
            } else {
                unused.push(PassedSocket {
                    name: passing.name,
                    address: Some(passing.address),
                });
            }
        }
        Taken {
            sockets,
            missing,
            unused,
        }
    }
}

impl Passing {
    fn new(listener: TcpListener, name: Option<String>) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let only_v6 = address.is_ipv6() && SockRef::from(&listener).only_v6()?;
        let stack = if address.is_ipv6() && !only_v6 {
            Stack::Dual
        } else {
            Stack::Single
        };
        listener.set_nonblocking(true)?;
        Ok(Self {
            listener,
            address,
            stack,
            name,
        })
    }

    fn into_bound(self) -> Bound {
        Bound {
            listener: self.listener,
            address: self.address,
            origin: Origin::Passed { name: self.name },
        }
    }
}

fn serves(passed: SocketAddr, stack: Stack, wanted: SocketAddr) -> bool {
    if passed == wanted {
        return true;
    }
    match (passed.ip(), wanted.ip(), stack) {
        (IpAddr::V6(passed_ip), IpAddr::V4(wanted_ip), Stack::Dual) => {
            let both = passed_ip.is_unspecified() && wanted_ip.is_unspecified();
            passed.port() == wanted.port() && (both || passed_ip == wanted_ip.to_ipv6_mapped())
        }
        (
            IpAddr::V4(_) | IpAddr::V6(_),
            IpAddr::V4(_) | IpAddr::V6(_),
            Stack::Single | Stack::Dual,
        ) => false,
    }
}

impl fmt::Display for PassedSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            Some(address) => write!(f, "{address}")?,
            None => f.write_str("no TCP listener")?,
        }
        match &self.name {
            Some(name) => write!(f, " (`{name}`)"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;
    use std::os::fd::OwnedFd;
    use std::process::{Command, Stdio};

    use super::*;
    use crate::ports::bind;
    use crate::ports::entry::Entry;

    #[test]
    fn a_dual_stack_wildcard_serves_both_families() {
        #[track_caller]
        fn check(passed: &str, stack: Stack, wanted: &str, expected: bool) {
            let (passed, wanted) = (passed.parse().unwrap(), wanted.parse().unwrap());
            assert_eq!(serves(passed, stack, wanted), expected, "{passed} {wanted}");
        }
        check("[::]:443", Stack::Dual, "0.0.0.0:443", true);
        check("[::]:443", Stack::Dual, "[::]:443", true);
        check("[::]:443", Stack::Single, "0.0.0.0:443", false);
        check("[::]:443", Stack::Dual, "0.0.0.0:80", false);
        check("[::]:443", Stack::Dual, "127.0.0.1:443", false);
        check("0.0.0.0:443", Stack::Single, "127.0.0.1:443", false);
    }

    #[test]
    fn a_socket_nobody_asked_for_is_named() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let name = Some("web".to_owned());
        let passed = Passed {
            listeners: vec![Passing::new(listener, name).unwrap()],
            useless: Vec::new(),
        };
        let wanted = "127.0.0.1:0".parse().unwrap();
        let opened = bind::open(&[wanted], &Entry::of, passed).unwrap();
        let [bind::Note::PassedUnused(unused)] = opened.notes.as_slice() else {
            panic!("{:?}", opened.notes);
        };
        assert_eq!(unused[0].to_string(), format!("{address} (`web`)"));
    }

    /// Runs itself as the child of a service manager, with the listener as its standard input.
    #[test]
    fn a_passed_listener_is_taken_over_by_the_child() {
        const WANTED: &str = "ONEDOOR_TEST_WANTED";
        if let Ok(wanted) = env::var(WANTED) {
            let wanted = wanted.parse().unwrap();
            let opened = bind::open(&[wanted], &Entry::of, Passed::from_environment()).unwrap();
            let name = Some("https".to_owned());
            assert_eq!(opened.sockets[0].origin, Origin::Passed { name });
            opened.sockets[0].listener.set_nonblocking(false).unwrap();
            opened.sockets[0].listener.accept().unwrap();
            return;
        }
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let client = TcpStream::connect(address).unwrap();
        let status = Command::new(env::current_exe().unwrap())
            .args([
                "--exact",
                "ports::passed::tests::a_passed_listener_is_taken_over_by_the_child",
            ])
            .env(WANTED, address.to_string())
            .env("LISTEN_FDS", "1")
            .env("LISTEN_FDS_FIRST_FD", "0")
            .env(NAMES, "https")
            .stdin(Stdio::from(OwnedFd::from(listener)))
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success());
        drop(client);
    }
}

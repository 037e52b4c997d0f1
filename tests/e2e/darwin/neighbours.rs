//! Others on the same machine: processes of root, and Caddy before and after us. Whether they are found, and seen to be in the way.

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};

use onedoor::ports::bind::bind;
use onedoor::ports::holder::{self, Fact, Holder};
use onedoor::ports::probe::{self, Reach};
use tempfile::TempDir;

use super::{free_port, local};
use crate::support::backend::Backend;
use crate::support::door::Home;
use crate::support::eventually;

/// Listens, prints its port, and stays until its input ends.
const LISTEN: &str = "
import socket, sys
held = socket.socket()
for option in sys.argv[3:]:
    held.setsockopt(socket.SOL_SOCKET, getattr(socket, option), 1)
held.bind((sys.argv[1], int(sys.argv[2])))
held.listen()
print(held.getsockname()[1], flush=True)
sys.stdin.read()
";

/// A process of root that listens.
pub(super) struct Stranger {
    child: Child,
    pub(super) port: u16,
}

impl Stranger {
    pub(super) fn on(address: &str, port: u16, options: &[&str]) -> Self {
        let mut child = Command::new("sudo")
            .args(["-n", "/usr/bin/python3", "-c", LISTEN, address])
            .arg(port.to_string())
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        said.read_line(&mut line).unwrap();
        Self {
            child,
            port: line.trim().parse().unwrap(),
        }
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        // The end of its input ends it; sudo's process may not be killed by us.
        drop(self.child.stdin.take());
        let _reaped = self.child.wait();
    }
}

/// A Caddy that serves one address, as `caddy run` does it.
struct Caddy {
    child: Child,
    _folder: TempDir,
}

impl Caddy {
    fn on(address: SocketAddr) -> Self {
        let folder = TempDir::new().unwrap();
        let site = format!(
            "{{\n admin off\n auto_https off\n}}\nhttp://:{} {{\n bind {}\n respond caddy\n}}\n",
            address.port(),
            address.ip()
        );
        let file = folder.path().join("Caddyfile");
        std::fs::write(&file, site).unwrap();
        let child = Command::new("caddy")
            .args(["run", "--adapter", "caddyfile", "--config"])
            .arg(file)
            .env("HOME", folder.path())
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("Caddy is needed: `brew install caddy`");
        Self {
            child,
            _folder: folder,
        }
    }

    fn is_holder_of(&self, address: SocketAddr) -> bool {
        match holder::find(address) {
            Holder::Process(process) => process.pid == self.child.id() && process.name == "caddy",
            Holder::Unseen(_) | Holder::Nobody(_) => false,
        }
    }
}

impl Drop for Caddy {
    fn drop(&mut self) {
        // It may have ended already.
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

#[test]
fn a_process_of_root_is_named_without_root() {
    assert!(
        !rustix::process::geteuid().is_root(),
        "root may do anything"
    );
    let stranger = Stranger::on("127.0.0.1", 0, &[]);
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, stranger.port));
    assert!(holder::listens(address));
    let Holder::Process(process) = holder::find(address) else {
        panic!("{:?}", holder::find(address));
    };
    let Fact::Known(user) = &process.user else {
        panic!("{process:?}");
    };
    assert_eq!((user.uid, user.name.as_deref()), (0, Some("root")));
    assert!(
        process.name.to_lowercase().contains("python"),
        "{process:?}"
    );
    assert!(matches!(process.age, Fact::Known(_)), "{process:?}");
}

#[test]
fn a_caddy_that_came_before_is_named() {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
    let caddy = Caddy::on(address);
    eventually("Caddy", || TcpStream::connect(address).ok());
    let backend = Backend::saying("never");
    for listen in [format!("localhost:{}", address.port()), address.to_string()] {
        let home = Home::new(&local(&listen, "a.test", &backend));
        let (code, _out, err) = home.run(&["up"]);
        assert_eq!(code, 4, "{err}");
        assert!(
            err.contains(&format!("caddy (pid {}", caddy.child.id())),
            "{err}"
        );
    }
}

#[test]
fn a_caddy_that_comes_after_is_seen_to_shadow_us() {
    let all = SocketAddr::from((Ipv4Addr::UNSPECIFIED, free_port()));
    let ours = bind(&[all]).unwrap();
    let here = SocketAddr::from((Ipv4Addr::LOCALHOST, all.port()));
    let listener = &ours.sockets[0].listener;
    assert_eq!(probe::reach(listener, here), Reach::Ours);
    let caddy = Caddy::on(here);
    eventually("Caddy in our way", || {
        (probe::reach(listener, here) == Reach::Shadowed).then_some(())
    });
    assert!(caddy.is_holder_of(here));
}

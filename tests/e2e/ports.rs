//! Opening ports: who gets which, what happens when somebody else has one, and sockets from a service manager.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::chown;
use std::process::{Child, Command, Stdio};

use crate::support::answer::get_on;
use crate::support::authority::Authority;
use crate::support::backend::Backend;
use crate::support::client::{get, roots, tls, try_tls};
use crate::support::door::{Door, Home};
use crate::support::{eventually, free_port};

const HOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/hold_port.py");
const ACTIVATE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/activate.py");
/// `nobody`, on every system.
const NOBODY: u32 = 65_534;

#[test]
fn an_own_pair_and_the_local_ca_stand_behind_one_port() {
    let backends = ["first", "second", "third"].map(Backend::saying);
    let home = Home::new(&format!(
        r#"
        listen = ["127.0.0.1:0"]
        http = false
        [sites]
        "secure.example.com" = {{ to = "{}", cert = "certs/secure.pem", key = "certs/secure.key" }}
        "dao.ciso.test"      = "{}"
        "traefik.ciso.test"  = {{ to = "{}", strip_prefix = "/authnz.ap" }}
        "#,
        backends[0].address, backends[1].address, backends[2].address
    ));
    let authority = Authority::new();
    let leaf = authority.write_pair(&home, "certs/secure", &["secure.example.com"]);
    let door = Door::up_in(home, &["up"]);
    let mut own = try_tls(door.tls(), &authority.roots(), "secure.example.com", &[]).unwrap();
    assert_eq!(own.conn.peer_certificates().unwrap()[0], leaf);
    assert_eq!(get_on(&mut own, "secure.example.com", "/").body, "first");
    assert_eq!(get(&door, "dao.ciso.test", "/"), "second");
    assert_eq!(get(&door, "traefik.ciso.test", "/authnz.ap/a"), "third");
    assert_eq!(backends[2].only().line(), "GET /a HTTP/1.1");
}

#[test]
fn sites_at_other_addresses_are_not_served_here() {
    let (here, there) = (Backend::saying("here"), Backend::saying("there"));
    let door = Door::up(&format!(
        r#"
        http = false
        [sites]
        "a.test" = {{ to = "{}", listen = ["127.0.0.1:0"] }}
        "b.test" = {{ to = "{}", listen = ["127.0.0.2:0"] }}
        "#,
        here.address, there.address
    ));
    let listeners = door.listeners("tls");
    let [a, b] = listeners[..] else {
        panic!("{listeners:?}")
    };
    assert_eq!(a.ip().to_string(), "127.0.0.1");
    assert_eq!(b.ip().to_string(), "127.0.0.2");
    let roots = roots(&door);
    let mut stream = try_tls(a, &roots, "a.test", &[]).unwrap();
    assert_eq!(get_on(&mut stream, "a.test", "/").body, "here");
    let mut stream = try_tls(b, &roots, "b.test", &[]).unwrap();
    assert_eq!(get_on(&mut stream, "b.test", "/").body, "there");
    assert!(try_tls(b, &roots, "a.test", &[]).is_err());
    assert!(try_tls(a, &roots, "b.test", &[]).is_err());
}

#[test]
fn a_name_with_a_port_is_served_there_alone() {
    let (usual, special) = (Backend::saying("usual"), Backend::saying("special"));
    let port = free_port();
    let door = Door::up(&format!(
        r#"
        listen = ["127.0.0.1:0"]
        http = false
        [sites]
        "a.test" = "{}"
        "a.test:{port}" = "{}"
        "b.test:{port}" = "{}"
        "#,
        usual.address, special.address, special.address
    ));
    let roots = roots(&door);
    let listeners = door.listeners("tls");
    let first = listeners.iter().find(|address| address.port() != port);
    let here = *first.unwrap();
    let mut stream = try_tls(here, &roots, "a.test", &[]).unwrap();
    assert_eq!(get_on(&mut stream, "a.test", "/").body, "usual");
    let there = SocketAddr::from(([127, 0, 0, 1], port));
    for name in ["a.test", "b.test"] {
        let mut stream = try_tls(there, &roots, name, &[]).unwrap();
        assert_eq!(get_on(&mut stream, name, "/").body, "special");
    }
    assert!(try_tls(here, &roots, "b.test", &[]).is_err());
}

#[test]
fn a_wildcard_socket_covers_a_loopback_one() {
    let backend = Backend::saying("covered");
    let port = free_port();
    let door = Door::up(&format!(
        r#"
        listen = ["0.0.0.0:{port}", "127.0.0.1:{port}"]
        http = false
        [sites]
        "a.test" = "{0}"
        "b.test" = {{ to = "{0}", listen = ["127.0.0.2:{port}"] }}
        "#,
        backend.address
    ));
    assert_eq!(
        door.listeners("tls"),
        [SocketAddr::from(([0, 0, 0, 0], port))]
    );
    let roots = roots(&door);
    let at = |last| SocketAddr::from(([127, 0, 0, last], port));
    for (last, name) in [(1, "a.test"), (2, "a.test"), (2, "b.test")] {
        let mut stream = try_tls(at(last), &roots, name, &[]).unwrap();
        assert_eq!(get_on(&mut stream, name, "/").body, "covered");
    }
    assert!(try_tls(at(1), &roots, "b.test", &[]).is_err());
}

#[test]
fn a_held_port_is_told_with_its_holder_and_ways_out() {
    let holder = Holder::new(&[]);
    let port = holder.port;
    let home = Home::new(&alone(&format!("127.0.0.1:{port}")));
    let (code, out, err) = home.run(&["up"]);
    assert_eq!((code, out.as_str()), (4, ""), "{err}");
    let head = format!("error[port-in-use]: cannot listen on port {port}\n");
    assert!(err.contains(&head), "{err}");
    let line = err.lines().find(|line| line.contains("held by")).unwrap();
    assert!(line.contains(&format!("127.0.0.1:{port}")), "{err}");
    assert!(line.contains("python3"), "{err}");
    assert!(
        line.contains(&format!("(pid {}", holder.child.id())),
        "{err}"
    );
    assert!(err.contains("hold_port.py"), "{err}");
    let ways = err
        .lines()
        .skip_while(|line| !line.starts_with("  try:"))
        .count();
    assert!((1..=3).contains(&ways), "{err}");
    assert!(
        err.contains(&format!("kill {}", holder.child.id())),
        "{err}"
    );
    assert!(!home.path().join("control/control.sock").exists());
}

#[test]
fn every_held_port_is_told_at_once() {
    let holders = [Holder::new(&[]), Holder::new(&[])];
    let home = Home::new(&format!(
        r#"
        listen = ["127.0.0.1:{}"]
        http = ["127.0.0.1:{}"]
        [sites]
        "a.test" = "1"
        "#,
        holders[0].port, holders[1].port
    ));
    let (code, _out, err) = home.run(&["up"]);
    assert_eq!(code, 4, "{err}");
    for holder in &holders {
        assert!(err.contains(&format!("on port {}", holder.port)), "{err}");
        assert!(err.contains(&format!("pid {}", holder.child.id())), "{err}");
    }
    for way in ["listen = [\"127.0.0.1:", "http = \"127.0.0.1:"] {
        assert!(err.contains(way), "{err}");
    }
}

#[test]
fn a_port_held_by_another_onedoor_says_so() {
    let first = Door::up(&alone("127.0.0.1:0"));
    let home = Home::new(&alone(&first.tls().to_string()));
    let (code, _out, err) = home.run(&["up"]);
    assert_eq!(code, 4, "{err}");
    assert!(
        err.contains(&format!("onedoor (pid {}", first.pid())),
        "{err}"
    );
    assert!(err.contains("that is a onedoor of yours"), "{err}");
}

#[test]
fn a_reserved_port_is_told_with_recipes() {
    let home = Home::new(&alone("0.0.0.0:1"));
    let mut command = as_nobody(&home);
    let (code, out, err) = Home::end_of(command.arg("up"));
    assert_eq!((code, out.as_str()), (5, ""), "{err}");
    assert!(
        err.contains("error[port-permission]: not allowed to listen on port 1\n"),
        "{err}"
    );
    assert!(err.contains("ports below 1024 are reserved"), "{err}");
    let ways = err
        .lines()
        .skip_while(|line| !line.starts_with("  try:"))
        .count();
    assert!((2..=3).contains(&ways), "{err}");
}

#[test]
fn nobody_can_share_the_port() {
    let door = Door::up(&alone("127.0.0.1:0"));
    let port = door.tls().port().to_string();
    let refused = Command::new("python3")
        .args([HOLDER, "--reuseport", "--port", &port])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&refused.stdout).into_owned();
    assert_eq!(said, "Address already in use\n");
}

#[test]
fn the_port_is_not_taken_from_one_who_would_share() {
    let holder = Holder::new(&["--reuseport"]);
    let home = Home::new(&alone(&format!("127.0.0.1:{}", holder.port)));
    let (code, _out, err) = home.run(&["up"]);
    assert_eq!(code, 4, "{err}");
}

#[test]
fn passed_sockets_are_taken_for_the_addresses_that_ask_for_them() {
    let backend = Backend::saying("passed");
    let (secure, plain, unused) = (free_port(), free_port(), free_port());
    let home = Home::new(&format!(
        r#"
        listen = ["127.0.0.1:{secure}", "127.0.0.2:0"]
        http = ["127.0.0.1:{plain}"]
        [sites]
        "a.test" = "{}"
        "#,
        backend.address
    ));
    let at = |port| format!("127.0.0.1:{port}");
    let command = home.command_by(
        "python3",
        &[ACTIVATE, &at(secure), &at(plain), &at(unused), "--"],
    );
    let door = Door::up_by(home, command);
    let there: SocketAddr = at(secure).parse().unwrap();
    assert!(door.listeners("tls").contains(&there));
    assert_eq!(door.listeners("tls").len(), 2);
    for address in door.listeners("tls") {
        let mut stream = try_tls(address, &roots(&door), "a.test", &[]).unwrap();
        assert_eq!(get_on(&mut stream, "a.test", "/").body, "passed");
    }
    let mut stream = TcpStream::connect(door.plain()).unwrap();
    assert_eq!(get_on(&mut stream, "a.test", "/").status(), 308);
    let said = door.said();
    assert!(said.contains(&at(unused)), "{said}");
    eventually("an unused socket is closed", || {
        TcpStream::connect(at(unused)).err()
    });
}

#[test]
fn passed_sockets_are_no_door_for_the_programs_of_another_process() {
    let home = Home::new(&alone("127.0.0.1:0"));
    let mut command = home.command();
    command
        .arg("up")
        .env("LISTEN_FDS", "1")
        .env("LISTEN_PID", "1");
    let door = Door::up_by(home, command);
    assert!(tls(&door, "a.test", &[]).conn.alpn_protocol().is_none());
}

/// A process that listens on a port.
struct Holder {
    child: Child,
    port: u16,
}

impl Holder {
    fn new(options: &[&str]) -> Self {
        let mut child = Command::new("python3")
            .arg(HOLDER)
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

impl Drop for Holder {
    fn drop(&mut self) {
        // It may have ended already.
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// One site whose target nobody asks.
fn alone(listen: &str) -> String {
    format!("listen = [\"{listen}\"]\nhttp = false\n[sites]\n\"a.test\" = \"1\"\n")
}

/// onedoor without the right to low ports. Containers often lift the reservation; a network of its own has it again.
fn as_nobody(home: &Home) -> Command {
    let start = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").unwrap();
    let reserved = start.trim() != "0";
    if !rustix::process::geteuid().is_root() {
        assert!(
            reserved,
            "no port is reserved here, and only root can make it so"
        );
        return home.command();
    }
    // The folder of the build may be closed to others.
    let program = home.path().join("onedoor");
    fs::copy(env!("CARGO_BIN_EXE_onedoor"), &program).unwrap();
    for folder in [home.path(), &home.path().join("control")] {
        chown(folder, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    let mut arguments = vec!["--net"; usize::from(!reserved)];
    let nobody = NOBODY.to_string();
    let drop_rights = ["setpriv", "--reuid", &nobody, "--clear-groups"];
    arguments.extend(if reserved {
        &drop_rights[1..]
    } else {
        &drop_rights
    });
    let launcher = if reserved { "setpriv" } else { "unshare" };
    home.command_of(launcher, &arguments, &program)
}

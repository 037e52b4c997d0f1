//! A real DNS server, Knot, on a port of its own: primary of some zones, with updates by keys.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use onedoor::certs::dns::resolver::Resolver;
use onedoor::certs::dns::rfc2136::{Algorithm, Rfc2136Options};
use onedoor::certs::dns::secret::Secret;
use tempfile::TempDir;

use super::{PATIENCE, free_port};

const MISSING: &str = "knot or knot-dnsutils is missing: run tests/run";
/// The name of the key tells its algorithm.
const KEYS: [&str; 3] = ["hmac-sha256", "hmac-sha384", "hmac-sha512"];
/// Base64 of some octets.
pub(crate) const SECRET: &str = "dGhlIHNlY3JldCBvZiB0aGUgdGVzdHMsIGxvbmcgZW5vdWdo";
/// Where name servers are asked; only root may listen there.
const PORT: u16 = 53;
/// How often another port is tried, when somebody else took the one that was free.
const ATTEMPTS: usize = 5;

/// A server that ends with its guard.
pub(crate) struct Knot {
    child: Child,
    pub(crate) address: SocketAddr,
    folder: TempDir,
}

impl Knot {
    /// Serves zones, each with its records besides SOA, at 127.0.0.1.
    #[track_caller]
    pub(crate) fn serving(zones: &[(&str, &str)]) -> Self {
        let started = (0..ATTEMPTS)
            .find_map(|_| Self::start((Ipv4Addr::LOCALHOST, free_port()).into(), zones));
        started.expect("knotd did not start on any port")
    }

    /// Another server at the same port of another address of this machine.
    #[track_caller]
    pub(crate) fn beside(&self, address: Ipv4Addr, zones: &[(&str, &str)]) -> Self {
        let address = SocketAddr::from((address, self.address.port()));
        Self::start(address, zones).expect("the port is taken at the other address")
    }

    /// The only server at an address that is the test's own, at the port where everybody looks.
    #[track_caller]
    pub(crate) fn alone_at(address: Ipv4Addr, zones: &[(&str, &str)]) -> Self {
        let address = SocketAddr::from((address, PORT));
        Self::start(address, zones)
            .expect("somebody has DNS's port at an address of the test's own")
    }

    /// A key that this server takes updates by.
    pub(crate) fn key(&self, algorithm: Algorithm) -> Rfc2136Options {
        let key = match algorithm {
            Algorithm::HmacSha256 => KEYS[0],
            Algorithm::HmacSha384 => KEYS[1],
            Algorithm::HmacSha512 => KEYS[2],
        };
        Rfc2136Options {
            server: self.address.to_string(),
            zone: None,
            key: key.into(),
            algorithm,
            secret: Secret::new(SECRET),
        }
    }

    /// Look-ups that know this server alone, and find authoritative servers at its port.
    pub(crate) fn resolver(&self) -> Resolver {
        Resolver::at(self.address).authoritative_port(self.address.port())
    }

    /// The TXT values at a name, sorted, as `kdig` sees them.
    #[track_caller]
    pub(crate) fn txt(&self, name: &str) -> Vec<String> {
        let said = ask(self.address, name, "TXT");
        let mut values: Vec<String> = said
            .lines()
            .map(|line| line.trim_matches('"').to_owned())
            .collect();
        values.sort();
        values
    }

    fn start(address: SocketAddr, zones: &[(&str, &str)]) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        for (zone, records) in zones {
            let text = format!(
                "$ORIGIN {zone}.\n$TTL 60\n@ SOA ns1 hostmaster 1 3600 600 86400 60\n{records}\n"
            );
            fs::write(path.join(format!("{zone}.zone")), text).unwrap();
        }
        let file = path.join("knot.conf");
        let folder_text = path.display().to_string();
        fs::write(&file, configuration(address, &folder_text, zones)).unwrap();
        let log = File::create(path.join("log")).unwrap();
        let child = Command::new("knotd")
            .env("PATH", path_with_daemons())
            .arg("-c")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect(MISSING);
        let mut knot = Self {
            child,
            address,
            folder,
        };
        let started = Instant::now();
        loop {
            let ended = knot.child.try_wait().unwrap().is_some();
            if ended && knot.log().contains("address already in use") {
                return None;
            }
            let served = |(zone, _): &(&str, &str)| !ask(address, zone, "SOA").is_empty();
            // `kdig` would wait for what nobody can answer yet.
            if TcpStream::connect(address).is_ok() && zones.iter().all(served) {
                return Some(knot);
            }
            let late = started.elapsed() > PATIENCE;
            assert!(!ended && !late, "knotd does not serve: {}", knot.log());
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }
}

impl Drop for Knot {
    fn drop(&mut self) {
        let _already_gone = self.child.kill();
        let _status = self.child.wait();
    }
}

fn configuration(address: SocketAddr, folder: &str, zones: &[(&str, &str)]) -> String {
    let (ip, port) = (address.ip(), address.port());
    let mut text = format!(
        r#"
server:
    rundir: "{folder}"
    listen: {ip}@{port}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
database:
    storage: "{folder}"
    journal-db-max-size: 8M
    kasp-db-max-size: 8M
    timer-db-max-size: 8M
log:
  - target: stderr
    any: info
key:
"#
    );
    for key in KEYS {
        writeln!(
            text,
            "  - id: {key}\n    algorithm: {key}\n    secret: {SECRET}"
        )
        .unwrap();
    }
    let keys = KEYS.join(", ");
    writeln!(
        text,
        "acl:\n  - id: update\n    key: [{keys}]\n    action: update"
    )
    .unwrap();
    text.push_str("zone:\n");
    for (zone, _) in zones {
        writeln!(
            text,
            "  - domain: {zone}\n    storage: \"{folder}\"\n    file: {zone}.zone\n    acl: update"
        )
        .unwrap();
    }
    text
}

/// The short answer of one server, asked once.
#[track_caller]
fn ask(server: SocketAddr, name: &str, kind: &str) -> String {
    let output = Command::new("kdig")
        .arg(format!("@{}", server.ip()))
        .args(["-p", &server.port().to_string()])
        .args(["+short", "+norecurse", "+retry=0", "+time=2", name, kind])
        .output()
        .expect(MISSING);
    if output.status.success() {
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    } else {
        String::new()
    }
}

/// Debian keeps daemons where users' shells do not look.
fn path_with_daemons() -> String {
    format!(
        "{}:/usr/sbin:/sbin",
        std::env::var("PATH").unwrap_or_default()
    )
}

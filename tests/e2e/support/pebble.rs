//! A CA to order from: Pebble and its DNS server, on a loopback address of their own, gone when dropped.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::{Pid, Signal, kill_process};
use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::json;

use super::authority::Authority;
use super::door::Home;
use super::{PATIENCE, eventually, within};

/// Where names are asked for, on the CA's own address: a door listens there.
pub(crate) const HTTP_PORT: u16 = 5002;
pub(crate) const TLS_PORT: u16 = 5001;
const DIRECTORY_PORT: u16 = 14000;
const MANAGEMENT_PORT: u16 = 15000;
const DNS_PORT: u16 = 8053;
const DNS_MANAGEMENT_PORT: u16 = 8055;

/// Where `tests/run` puts the Pebble of Debian's next release.
const NEWER: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/target/pebble-sid/root/usr/bin"
);

/// Which Pebble.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Release {
    /// Of this Debian.
    Stable,
    /// With renewal windows and profiles, where it could be had.
    Newer,
}

/// Pebble as a test wants it.
pub(crate) struct Wanted {
    pub(crate) release: Release,
    /// Names of profiles and the seconds that their certificates are valid; old releases ignore them.
    pub(crate) profiles: &'static [(&'static str, u64)],
    /// Environment of the CA.
    pub(crate) variables: Vec<(&'static str, String)>,
    /// Seconds that certificates are valid.
    pub(crate) validity: u64,
    /// `(kid, base64url of the secret)`
    pub(crate) eab: Option<(&'static str, &'static str)>,
    /// In place of the DNS server that knows every name.
    pub(crate) dns: Option<SocketAddr>,
}

impl Default for Wanted {
    fn default() -> Self {
        Self {
            release: Release::Stable,
            profiles: &[],
            variables: Vec::new(),
            validity: 90 * 24 * 60 * 60,
            eab: None,
            dns: None,
        }
    }
}

/// A running CA.
pub(crate) struct Pebble {
    address: Ipv4Addr,
    home: Home,
    children: Vec<Child>,
    release: Release,
}

impl Pebble {
    pub(crate) fn start() -> Self {
        Self::with(&Wanted::default())
    }

    #[track_caller]
    pub(crate) fn with(wanted: &Wanted) -> Self {
        let address = own_address();
        let home = Home::new("");
        let authority = Authority::new();
        home.write("ca.pem", &authority.root_pem());
        // Doors with a wrong clock come, too.
        authority
            .lasting(&[&address.to_string()])
            .write(&home, "ca-server");
        let path = |name: &str| home.path().join(name).display().to_string();
        let mut config = json!({ "pebble": {
            "listenAddress": format!("{address}:{DIRECTORY_PORT}"),
            "managementListenAddress": format!("{address}:{MANAGEMENT_PORT}"),
            "certificate": path("ca-server.pem"),
            "privateKey": path("ca-server.key"),
            "httpPort": HTTP_PORT,
            "tlsPort": TLS_PORT,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": wanted.eab.is_some(),
            "externalAccountMACKeys": wanted.eab.iter().map(|(kid, secret)| ((*kid).to_owned(), json!(secret))).collect::<serde_json::Map<_, _>>(),
            "domainBlocklist": ["blocked.example.com"],
            "certificateValidityPeriod": wanted.validity,
        }});
        for (name, validity) in wanted.profiles {
            config["pebble"]["profiles"][*name] =
                json!({ "description": name, "validityPeriod": validity });
        }
        home.write("pebble.json", &config.to_string());
        let mut ca = Self {
            address,
            home,
            children: Vec::new(),
            release: available(wanted.release),
        };
        ca.start_names();
        ca.start_ca(wanted);
        ca
    }

    /// Every name leads to our address.
    fn start_names(&mut self) {
        let address = self.address;
        let mut command = self.program("pebble-challtestsrv");
        let listen = match self.release {
            Release::Stable => "-dns01",
            Release::Newer => {
                command.args(["-doh", ""]);
                "-dnsserver"
            }
        };
        command
            .args(["-http01", "", "-https01", "", "-tlsalpn01", ""])
            .args([
                listen,
                &format!("{address}:{DNS_PORT}"),
                "-management",
                &format!("{address}:{DNS_MANAGEMENT_PORT}"),
                "-defaultIPv4",
                &address.to_string(),
                "-defaultIPv6",
                "",
            ]);
        self.run(command, "names.log");
        let management = SocketAddr::from((address, DNS_MANAGEMENT_PORT));
        eventually("a DNS server for the CA", || {
            std::net::TcpStream::connect(management).ok()
        });
    }

    fn start_ca(&mut self, wanted: &Wanted) {
        let own = SocketAddr::from((self.address, DNS_PORT));
        let mut command = self.program("pebble");
        command
            .args([
                "-config",
                &self.home.path().join("pebble.json").display().to_string(),
            ])
            .args(["-dnsserver", &wanted.dns.unwrap_or(own).to_string()])
            .env("PEBBLE_VA_NOSLEEP", "1")
            .env("PEBBLE_WFE_NONCEREJECT", "5")
            .env("PEBBLE_AUTHZREUSE", "0")
            .envs(wanted.variables.iter().map(|(name, value)| (name, value)));
        self.run(command, "pebble.log");
        let directory = self.directory();
        // It makes keys first.
        within(3 * PATIENCE, "a CA that answers", || self.fetch(&directory));
    }

    fn program(&self, name: &str) -> Command {
        match self.release {
            Release::Stable => Command::new(name),
            Release::Newer => Command::new(format!("{NEWER}/{name}")),
        }
    }

    #[track_caller]
    fn run(&mut self, mut command: Command, log: &str) {
        let log = File::create(self.home.path().join(log)).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("`pebble` of Debian's packages: tests/run installs it");
        self.children.push(child);
    }

    /// Where names lead.
    pub(crate) fn address(&self) -> Ipv4Addr {
        self.address
    }

    pub(crate) fn tls(&self) -> SocketAddr {
        (self.address, TLS_PORT).into()
    }

    pub(crate) fn plain(&self) -> SocketAddr {
        (self.address, HTTP_PORT).into()
    }

    /// The directory's URL.
    pub(crate) fn directory(&self) -> String {
        format!("https://{}:{DIRECTORY_PORT}/dir", self.address)
    }

    /// Whom to trust for the CA's own HTTPS, as a file.
    pub(crate) fn roots_file(&self) -> String {
        self.home.path().join("ca.pem").display().to_string()
    }

    /// Whom to trust for what it issues.
    pub(crate) fn issued_roots(&self) -> Arc<RootCertStore> {
        let url = format!("https://{}:{MANAGEMENT_PORT}/roots/0", self.address);
        let pem = self.fetch(&url).unwrap();
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap())
            .unwrap();
        Arc::new(roots)
    }

    /// Whether it is one with renewal windows and profiles.
    pub(crate) fn release(&self) -> Release {
        self.release
    }

    /// Answers nobody from now on, and loses nothing.
    pub(crate) fn pause(&self) {
        self.signal(Signal::STOP);
    }

    pub(crate) fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(self.children.last().unwrap()), signal).unwrap();
    }

    /// What it says from now on of the renewal of a certificate.
    #[track_caller]
    pub(crate) fn set_renewal_info(&self, certificate_pem: &str, answer: &serde_json::Value) {
        let body = json!({ "certificate": certificate_pem, "ariResponse": answer.to_string() });
        let url = format!(
            "https://{}:{MANAGEMENT_PORT}/set-renewal-info/",
            self.address
        );
        let output = Command::new("curl")
            .args(["-sS", "--fail-with-body", "--cacert", &self.roots_file()])
            .args(["--data", &body.to_string(), &url])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{said}");
    }

    /// How many certificates it issued.
    pub(crate) fn issued(&self) -> usize {
        self.home
            .read("pebble.log")
            .matches("Issued certificate serial")
            .count()
    }

    pub(crate) fn log(&self) -> String {
        self.home.read("pebble.log")
    }

    fn fetch(&self, url: &str) -> Option<String> {
        let output = Command::new("curl")
            .args(["-sf", "--cacert", &self.roots_file(), url])
            .output()
            .unwrap();
        output
            .status
            .success()
            .then(|| String::from_utf8(output.stdout).unwrap())
    }
}

impl Drop for Pebble {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _gone = child.kill();
            let _reaped = child.wait();
        }
        if std::thread::panicking() {
            eprintln!("--- pebble said:\n{}", self.log());
        }
    }
}

fn available(wanted: Release) -> Release {
    if wanted == Release::Newer && !std::path::Path::new(NEWER).exists() {
        eprintln!(
            "NOT TESTED: renewal windows and profiles, for lack of a newer Pebble (tests/run fetches it)"
        );
        return Release::Stable;
    }
    wanted
}

/// Every CA has an address of its own among the 16 million of loopback, so fixed ports are always free.
pub(crate) fn own_address() -> Ipv4Addr {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let process = std::process::id();
    let [_, _, high, low] = process.to_be_bytes();
    Ipv4Addr::new(127, 128 | (number as u8 & 0x7f), high, low)
}

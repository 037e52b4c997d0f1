//! Authorities and client certificates, made by OpenSSL.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::support::client::curl;
use crate::support::door::Door;

/// A folder in which OpenSSL signs.
pub(super) struct Clients {
    folder: TempDir,
}

impl Clients {
    /// With the authorities `staff` and `guests`.
    pub(super) fn new() -> Self {
        let clients = Self {
            folder: TempDir::new().unwrap(),
        };
        let extensions = "basicConstraints=CA:FALSE\nextendedKeyUsage=clientAuth\n";
        std::fs::write(clients.path("extensions"), extensions).unwrap();
        for authority in ["staff", "guests"] {
            let subject = format!("/CN=The {authority}");
            clients.request(&["-x509", "-days", "30"], authority, &subject, "pem");
        }
        clients
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// `NAME.pem` and `NAME.key`, signed by an authority.
    pub(super) fn sign(&self, name: &str, subject: &str, authority: &str) {
        self.sign_by(Command::new("openssl"), name, subject, authority);
    }

    /// The same years ago, for a month.
    pub(super) fn sign_long_ago(&self, name: &str, subject: &str, authority: &str) {
        let mut then = Command::new("faketime");
        then.args(["2020-01-01 00:00:00", "openssl"]);
        self.sign_by(then, name, subject, authority);
    }

    fn sign_by(&self, mut openssl: Command, name: &str, subject: &str, authority: &str) {
        self.request(&[], name, subject, "csr");
        let of = |end: &str| format!("{authority}.{end}");
        openssl.args(["x509", "-req", "-days", "30", "-extfile", "extensions"]);
        openssl.args(["-CA", &of("pem"), "-CAkey", &of("key"), "-CAcreateserial"]);
        openssl.args([
            "-in",
            &format!("{name}.csr"),
            "-out",
            &format!("{name}.pem"),
        ]);
        self.run(openssl);
    }

    fn request(&self, options: &[&str], name: &str, subject: &str, form: &str) {
        let mut openssl = Command::new("openssl");
        openssl.args(["req", "-utf8", "-nodes", "-newkey", "ec"]);
        openssl.args(["-pkeyopt", "ec_paramgen_curve:P-256", "-subj", subject]);
        openssl.args(["-keyout", &format!("{name}.key")]);
        openssl.args(["-out", &format!("{name}.{form}")]);
        openssl.args(options);
        self.run(openssl);
    }

    /// What `openssl x509` says of a certificate.
    pub(super) fn told(&self, name: &str, options: &[&str]) -> String {
        let mut openssl = Command::new("openssl");
        openssl.args(["x509", "-noout", "-in", &format!("{name}.pem")]);
        openssl.args(options);
        let said = self.run(openssl);
        said.trim().split_once('=').unwrap().1.to_owned()
    }

    #[track_caller]
    fn run(&self, mut command: Command) -> String {
        let output = command
            .current_dir(self.folder.path())
            .output()
            .unwrap_or_else(|error| panic!("{command:?}: {error}: run tests/run"));
        let cause = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command:?}: {cause}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The options by which OpenSSL's client and curl show a certificate.
    pub(super) fn shown(&self, name: &str) -> [String; 4] {
        let text = |path: PathBuf| path.to_str().unwrap().to_owned();
        let [pem, key] = ["pem", "key"].map(|end| text(self.path(&format!("{name}.{end}"))));
        ["--cert".to_owned(), pem, "--key".to_owned(), key]
    }

    /// curl with a client certificate, or without; exit code and what it says.
    pub(super) fn curl(
        &self,
        door: &Door,
        host: &str,
        shown: Option<&str>,
        options: &[&str],
    ) -> (i32, String) {
        let shown = shown.map(|name| self.shown(name));
        let mut all: Vec<&str> = shown.iter().flatten().map(String::as_str).collect();
        all.extend(options);
        curl(door, host, "/", &all)
    }
}

/// The content of a file, into a folder where a door reads it.
pub(super) fn copy(from: &Path, door: &crate::support::door::Home, name: &str) {
    door.write(name, &std::fs::read_to_string(from).unwrap());
}

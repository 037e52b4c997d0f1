//! A machine of its own as far as roots go: in a private mount namespace, copies of Debian's folders lie over the real ones, so the verbs
//! and Debian's programs run as they are and the machine is left as it was. Only root may mount.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::support::door::Home;

/// Whose stores are meant.
pub(super) const ANA: u32 = 54321;

pub(super) struct Machine {
    folder: TempDir,
    mounts: String,
}

impl Machine {
    /// With the store of the system as it is here; the hooks of other programs do not run.
    #[track_caller]
    pub(super) fn of_debian() -> Self {
        let mut machine = Self::bare();
        for (name, real) in [
            ("certs", "/etc/ssl/certs"),
            ("anchors", "/usr/local/share/ca-certificates"),
            ("hooks", "/etc/ca-certificates/update.d"),
        ] {
            let copy = machine.path(name);
            assert!(
                Path::new(real).is_dir(),
                "ca-certificates is missing: run tests/run"
            );
            let copied = Command::new("cp").arg("-a").arg(real).arg(&copy).status();
            assert!(copied.unwrap().success());
            machine.mount(&copy, real);
        }
        for hook in fs::read_dir(machine.path("hooks")).unwrap() {
            fs::remove_file(hook.unwrap().path()).unwrap();
        }
        // Whatever was done to the real ones by hand, these are as Debian makes them.
        let (code, _out, err) = machine.program(&["update-ca-certificates", "--fresh"]);
        assert_eq!(code, 0, "{err}");
        machine
    }

    /// With browsers alone: no folder of the system takes a root.
    #[track_caller]
    pub(super) fn without_store() -> Self {
        let mut machine = Self::bare();
        let empty = machine.path("share");
        fs::create_dir(&empty).unwrap();
        machine.mount(&empty, "/usr/local/share");
        machine
    }

    #[track_caller]
    fn bare() -> Self {
        assert!(
            rustix::process::geteuid().is_root(),
            "a machine of its own is needed here: run the tests as root"
        );
        let machine = Self {
            folder: TempDir::new().unwrap(),
            mounts: "set -e\n".to_owned(),
        };
        fs::create_dir(machine.home()).unwrap();
        machine
    }

    /// With a user `ana` whose home this is, and whom the home belongs to.
    pub(super) fn with_ana(mut self) -> Self {
        let users = self.path("passwd");
        let known = fs::read_to_string("/etc/passwd").unwrap();
        let home = self.home().display().to_string();
        let ana = format!("{known}ana:x:{ANA}:{ANA}::{home}:/bin/sh\n");
        fs::write(&users, ana).unwrap();
        self.mount(&users, "/etc/passwd");
        let everyone = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(self.folder.path(), everyone).unwrap();
        chown(self.home(), Some(ANA), Some(ANA)).unwrap();
        self
    }

    fn mount(&mut self, over: &Path, real: &str) {
        let line = format!("mount --bind {} {real}\n", over.display());
        self.mounts.push_str(&line);
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The home of whoever uses this machine.
    pub(super) fn home(&self) -> PathBuf {
        self.path("home")
    }

    /// onedoor on this machine: exit code, standard output, standard error.
    pub(super) fn onedoor(&self, home: &Home, arguments: &[&str]) -> (i32, String, String) {
        Home::end_of(self.command(home).args(arguments))
    }

    pub(super) fn command(&self, home: &Home) -> Command {
        self.command_behind(home, &[], env!("CARGO_BIN_EXE_onedoor").as_ref())
    }

    /// A copy of onedoor, run by another program.
    pub(super) fn command_behind(&self, home: &Home, before: &[&str], program: &Path) -> Command {
        let script = format!("{}exec \"$@\"", self.mounts);
        let mut arguments = vec!["--mount", "sh", "-c", &script, "sh"];
        arguments.extend(before);
        let mut command = home.command_of("unshare", &arguments, program);
        self.surround(&mut command);
        command
    }

    /// Another program on this machine.
    pub(super) fn program(&self, words: &[&str]) -> (i32, String, String) {
        let mut command = Command::new("unshare");
        let script = format!("{}exec \"$@\"", self.mounts);
        command.args(["--mount", "sh", "-c", &script, "sh"]);
        self.surround(command.args(words));
        Home::end_of(&mut command)
    }

    fn surround(&self, command: &mut Command) {
        command.env("HOME", self.home());
        for foreign in [
            "SUDO_USER",
            "JAVA_HOME",
            "SSL_CERT_FILE",
            "SSL_CERT_DIR",
            "CURL_CA_BUNDLE",
            "NODE_EXTRA_CA_CERTS",
            "XDG_DATA_HOME",
        ] {
            command.env_remove(foreign);
        }
    }

    /// What lies in the folders of the system's store: what files hold, and where links lead.
    pub(super) fn store(&self) -> Store {
        let mut found = BTreeMap::new();
        for folder in ["certs", "anchors"] {
            gather(&self.path(folder), &mut found);
        }
        Store(found)
    }
}

/// The store of the system at one moment.
pub(super) struct Store(BTreeMap<PathBuf, Vec<u8>>);

impl Store {
    /// Everything that is in one and not, or otherwise, in the other.
    pub(super) fn differences<'a>(&'a self, other: &'a Self) -> Vec<&'a Path> {
        let paths: BTreeSet<&PathBuf> = self.0.keys().chain(other.0.keys()).collect();
        let differs = |path: &&PathBuf| self.0.get(*path) != other.0.get(*path);
        paths
            .into_iter()
            .filter(differs)
            .map(PathBuf::as_path)
            .collect()
    }
}

fn gather(folder: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let kind = fs::symlink_metadata(&path).unwrap();
        if kind.is_dir() {
            gather(&path, found);
            continue;
        }
        let content = if kind.is_symlink() {
            let to = fs::read_link(&path).unwrap();
            to.into_os_string().into_encoded_bytes()
        } else {
            fs::read(&path).unwrap()
        };
        found.insert(path, content);
    }
}

/// A data base of NSS, as browsers have one.
pub(super) struct DataBase(String);

impl DataBase {
    /// An empty one below a home.
    #[track_caller]
    pub(super) fn make(folder: &Path) -> Self {
        fs::create_dir_all(folder).unwrap();
        let data_base = Self::at(folder);
        data_base.certutil(&["-N", "--empty-password"]);
        data_base
    }

    pub(super) fn at(folder: &Path) -> Self {
        Self(format!("sql:{}", folder.display()))
    }

    /// Everything in it, and what it is trusted for.
    #[track_caller]
    pub(super) fn list(&self) -> String {
        self.certutil(&["-L"])
    }

    #[track_caller]
    pub(super) fn trust(&self, nickname: &str, certificate: &Path) {
        let file = certificate.display().to_string();
        self.certutil(&["-A", "-t", "C,,", "-n", nickname, "-i", &file]);
    }

    #[track_caller]
    pub(super) fn certutil(&self, what: &[&str]) -> String {
        let output = Command::new("certutil")
            .args(what)
            .args(["-d", &self.0])
            .output()
            .expect("certutil is missing: run tests/run");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "certutil {what:?}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }
}

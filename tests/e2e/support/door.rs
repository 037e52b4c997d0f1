//! A running onedoor in a folder of its own, on ports that the system chooses; gone when dropped.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::backend::Backend;
use super::{PATIENCE, eventually, within};

/// How long one may take to begin: it waits for the disk, which may be busy with what was built.
const START_TIME: Duration = Duration::from_secs(60);

/// A onedoor that serves.
pub(crate) struct Door {
    child: Child,
    home: Home,
    /// None: as in a terminal.
    manager: Option<Manager>,
}

/// The service manager that onedoor tells how far it is.
struct Manager {
    socket: Arc<UnixDatagram>,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Manager {
    fn at(path: &Path) -> Self {
        // A door that was in this folder before left its socket.
        let _none = fs::remove_file(path);
        let socket = Arc::new(UnixDatagram::bind(path).unwrap());
        // Whichever user onedoor runs as.
        fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
        let heard: Arc<Mutex<Vec<String>>> = Arc::default();
        let (listening, noted) = (socket.clone(), heard.clone());
        thread::spawn(move || {
            let mut words = [0; 1024];
            while let Ok(length) = listening.recv(&mut words)
                && length > 0
            {
                let words = String::from_utf8_lossy(&words[..length]).into_owned();
                noted.lock().unwrap().push(words);
            }
        });
        Self { socket, heard }
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        // Wakes the thread; it ends with the test process at the latest.
        let _ended = self.socket.shutdown(std::net::Shutdown::Both);
    }
}

/// The folder with the configuration, the storage, the control socket and what the process said.
pub(crate) struct Home {
    folder: TempDir,
    control: PathBuf,
}

impl Home {
    pub(crate) fn new(config: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let control = folder.path().join("control");
        fs::create_dir(&control).unwrap();
        fs::set_permissions(&control, fs::Permissions::from_mode(0o700)).unwrap();
        let home = Self { folder, control };
        home.write("proxy.toml", config);
        home
    }

    /// With the control socket in a folder elsewhere.
    pub(crate) fn with_control(config: &str, control: &Path) -> Self {
        Self {
            control: control.to_owned(),
            ..Self::new(config)
        }
    }

    /// A folder of its own whose onedoor finds the other's.
    pub(crate) fn beside(&self, config: &str) -> Self {
        Self::with_control(config, &self.control)
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The folder of the control socket.
    pub(crate) fn control(&self) -> &Path {
        &self.control
    }

    /// Replaces a file of this folder at once, as editors do.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let place = self.path().join(name);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        let fresh = self
            .path()
            .join(format!("{}.fresh", name.replace('/', "-")));
        fs::write(&fresh, text).unwrap();
        fs::rename(fresh, place).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path().join(name)).unwrap_or_default()
    }

    /// onedoor with this folder as its whole world.
    pub(crate) fn command(&self) -> Command {
        self.surrounded(Command::new(env!("CARGO_BIN_EXE_onedoor")))
    }

    /// Another program that executes onedoor, by the path it is given behind `arguments`.
    pub(crate) fn command_by(&self, program: &str, arguments: &[&str]) -> Command {
        self.command_of(program, arguments, env!("CARGO_BIN_EXE_onedoor").as_ref())
    }

    /// The same for a copy of onedoor.
    pub(crate) fn command_of(&self, program: &str, arguments: &[&str], onedoor: &Path) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).arg(onedoor);
        self.surrounded(command)
    }

    fn surrounded(&self, mut command: Command) -> Command {
        command
            .current_dir(self.path())
            .env("ONEDOOR_STORAGE", self.path().join("storage"))
            .env("ONEDOOR_CONTROL", &self.control)
            .env("TMPDIR", self.path())
            .env_remove("NOTIFY_SOCKET")
            .env_remove("XDG_RUNTIME_DIR")
            .stdin(Stdio::null());
        command
    }

    /// Runs a verb to its end: exit code, standard output, standard error.
    pub(crate) fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        Self::end_of(self.command().args(arguments))
    }

    /// The same for any command.
    pub(crate) fn end_of(command: &mut Command) -> (i32, String, String) {
        let output = command.output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let code = output.status.code().unwrap_or(-1);
        (code, text(output.stdout), text(output.stderr))
    }
}

impl Door {
    /// `a.test` over TLS and `b.test` in clear text, both with this upstream.
    pub(crate) fn before(backend: &Backend) -> Self {
        let to = backend.address;
        Self::serving(
            "",
            &format!(
                r#"
                "a.test" = "{to}"
                "b.test" = {{ to = "{to}", tls = "off" }}
                "#
            ),
        )
    }

    /// These sites on ports of their own, with these settings.
    #[track_caller]
    pub(crate) fn serving(settings: &str, sites: &str) -> Self {
        Self::up(&format!(
            "listen = [\"127.0.0.1:0\"]\nhttp = [\"127.0.0.1:0\"]\n{settings}\n[sites]\n{sites}"
        ))
    }

    /// `onedoor up` with this configuration; returns once it says that it is ready.
    #[track_caller]
    pub(crate) fn up(config: &str) -> Self {
        Self::up_in(Home::new(config), &["up"])
    }

    /// The same in a folder that is there already.
    #[track_caller]
    pub(crate) fn up_in(home: Home, arguments: &[&str]) -> Self {
        let mut command = home.command();
        command.args(arguments);
        Self::up_by(home, command)
    }

    /// The same by a command of the folder.
    #[track_caller]
    pub(crate) fn up_by(home: Home, mut command: Command) -> Self {
        let socket = home.path().join("notify");
        let manager = Manager::at(&socket);
        let file = |name: &str| File::create(home.path().join(name)).unwrap();
        let child = command
            .env("NOTIFY_SOCKET", &socket)
            .stdout(file("out"))
            .stderr(file("err"))
            .spawn()
            .unwrap();
        let mut door = Self {
            child,
            home,
            manager: Some(manager),
        };
        within(START_TIME, "READY=1", || {
            if let Some(status) = door.child.try_wait().unwrap() {
                panic!("ended with {status}:\n{}", door.home.read("err"));
            }
            door.told("READY=1").then_some(())
        });
        door
    }

    /// `onedoor up` as a terminal starts it, without a service manager; returns once it has the door.
    #[track_caller]
    pub(crate) fn up_unmanaged(home: Home, mut command: Command) -> Self {
        let file = |name: &str| File::create(home.path().join(name)).unwrap();
        let child = command
            .stdout(file("out"))
            .stderr(file("err"))
            .spawn()
            .unwrap();
        let mut door = Self {
            child,
            home,
            manager: None,
        };
        within(START_TIME, "a holder that is ready", || {
            if let Some(status) = door.child.try_wait().unwrap() {
                panic!("ended with {status}:\n{}", door.home.read("err"));
            }
            let health = door.try_health()?;
            (health["status"] == "ready" && health["pid"] == door.pid()).then_some(())
        });
        door
    }

    /// Whether the service manager was told this, ever.
    pub(crate) fn told(&self, word: &str) -> bool {
        let heard = self.manager.as_ref().unwrap().heard.lock().unwrap();
        let mut lines = heard.iter().flat_map(|words| words.lines());
        lines.any(|line| line == word)
    }

    /// Ends it at once and gives the folder back, for another one to be started there.
    pub(crate) fn leave(mut self) -> Home {
        self.signal(Signal::TERM);
        assert!(self.ended().success());
        std::mem::replace(&mut self.home, Home::new(""))
    }

    /// Kills it where it stands and gives the folder back.
    pub(crate) fn kill(mut self) -> Home {
        self.signal(Signal::KILL);
        let _status = self.ended();
        std::mem::replace(&mut self.home, Home::new(""))
    }

    pub(crate) fn home(&self) -> &Home {
        &self.home
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What the control socket says of `/v1/health`, as soon as whoever has the door now answers there.
    #[track_caller]
    pub(crate) fn health(&self) -> serde_json::Value {
        eventually("an answer of the control socket", || self.try_health())
    }

    /// The same where perhaps nobody answers.
    pub(crate) fn try_health(&self) -> Option<serde_json::Value> {
        let answer = self.answer_to("GET /v1/health", "").ok()?;
        serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()
    }

    /// The whole answer to a request on the control socket, with these fields.
    fn answer_to(&self, request: &str, fields: &str) -> std::io::Result<String> {
        let mut stream = UnixStream::connect(self.home.control.join("control.sock"))?;
        let head =
            format!("{request} HTTP/1.1\r\nHost: onedoor\r\nConnection: close\r\n{fields}\r\n");
        stream.set_read_timeout(Some(2 * PATIENCE))?;
        stream.write_all(head.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    /// All listeners of a kind, `tls` or `plain`.
    pub(crate) fn listeners(&self, kind: &str) -> Vec<SocketAddr> {
        let health = self.health();
        let listeners = health["listeners"].as_array().unwrap().iter();
        listeners
            .filter(|listener| listener["kind"] == kind)
            .map(|listener| listener["address"].as_str().unwrap().parse().unwrap())
            .collect()
    }

    /// The first TLS listener.
    pub(crate) fn tls(&self) -> SocketAddr {
        self.listeners("tls")[0]
    }

    /// The first plain listener.
    pub(crate) fn plain(&self) -> SocketAddr {
        self.listeners("plain")[0]
    }

    /// The local CA's root certificate.
    pub(crate) fn ca(&self) -> PathBuf {
        self.home.path().join("storage/local-ca/root.pem")
    }

    pub(crate) fn revision(&self) -> u64 {
        self.health()["revision"].as_u64().unwrap()
    }

    /// Replaces the configuration and waits until it is in service: by a request, for a signal has no answer.
    #[track_caller]
    pub(crate) fn reload(&self, config: &str) {
        self.home.write("proxy.toml", config);
        let answer = self
            .answer_to("POST /v1/reload", "If-Match: *\r\n")
            .unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Octets of memory that the process occupies.
    pub(crate) fn resident(&self) -> u64 {
        self.memory("VmRSS:")
    }

    /// The most that it ever occupied.
    pub(crate) fn resident_at_most(&self) -> u64 {
        self.memory("VmHWM:")
    }

    fn memory(&self, line: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|known| known.starts_with(line));
        let kibibytes = line.unwrap().split_whitespace().nth(1).unwrap();
        kibibytes.parse::<u64>().unwrap() << 10
    }

    /// Processor time that the process has used.
    pub(crate) fn worked(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        let after_name = stat.rsplit_once(')').unwrap().1;
        let ticks = after_name.split_whitespace().skip(11).take(2);
        let ticks: u64 = ticks.map(|ticks| ticks.parse::<u64>().unwrap()).sum();
        Duration::from_millis(ticks * 10)
    }

    /// Descriptors that the process holds.
    pub(crate) fn descriptors(&self) -> usize {
        let folder = fs::read_dir(format!("/proc/{}/fd", self.pid()));
        folder.unwrap().count()
    }

    /// Waits for the process to end by itself.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        eventually("the end of the process", || self.child.try_wait().unwrap())
    }

    /// What it said so far on standard output and standard error.
    pub(crate) fn said(&self) -> String {
        self.home.read("out") + &self.home.read("err")
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        // It may have ended already.
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
        if thread::panicking() {
            eprintln!("--- onedoor said:\n{}", self.said());
        }
    }
}

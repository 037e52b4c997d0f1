//! Other ACME clients, each run once against a test's CA: `tests/run` installs them.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::eventually;
use crate::support::pebble::{HTTP_PORT, Pebble, TLS_PORT};

/// Where `tests/run` puts Python's packages, a current Caddy among them.
const PYTHON: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/python/bin");

/// A tool's folder.
pub(super) struct Tool {
    folder: TempDir,
    roots: String,
}

impl Tool {
    pub(super) fn new(ca: &Pebble) -> Self {
        Self {
            folder: TempDir::new().unwrap(),
            roots: ca.roots_file(),
        }
    }

    pub(super) fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    pub(super) fn write(&self, path: &str, text: &str) {
        let path = self.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        File::create(path)
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
    }

    pub(super) fn read(&self, path: &str) -> String {
        let path = self.at(path);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    pub(super) fn json(&self, path: &str) -> Value {
        serde_json::from_str(&self.read(path)).unwrap()
    }

    /// The only file of this name below a folder.
    #[track_caller]
    pub(super) fn find(&self, folder: &str, name: &str) -> PathBuf {
        find(&self.at(folder), name).unwrap_or_else(|| panic!("no {name} in {folder}"))
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.folder.path())
            .env("HOME", self.folder.path())
            .env("XDG_DATA_HOME", self.folder.path())
            .env("XDG_CONFIG_HOME", self.folder.path())
            .env("REQUESTS_CA_BUNDLE", &self.roots)
            .env("LEGO_CA_CERTIFICATES", &self.roots)
            .env("SSL_CERT_FILE", &self.roots)
            .env("CURL_CA_BUNDLE", &self.roots)
            .stdin(Stdio::null());
        command
    }

    #[track_caller]
    pub(super) fn run(&self, program: &str, arguments: &[&str]) -> String {
        let output = self
            .command(program)
            .args(arguments)
            .output()
            .unwrap_or_else(|error| panic!("`{program}`: {error}: tests/run installs it"));
        let text = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program}: {text}");
        text
    }

    fn start(&self, program: &str, arguments: &[&str]) -> Running {
        let log = File::create(self.at("log")).unwrap();
        let child = self
            .command(program)
            .args(arguments)
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("`{program}`: {error}: tests/run installs it"));
        Running(child)
    }
}

/// A program that ends with its handle.
pub(super) struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    let entries = fs::read_dir(folder).ok()?;
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let own = paths
        .iter()
        .find(|path| path.file_name().is_some_and(|it| it == name));
    let below = || {
        paths
            .iter()
            .filter(|path| path.is_dir())
            .find_map(|path| find(path, name))
    };
    own.cloned().or_else(below)
}

/// One lineage in `etc`, for these names; the account's key is RSA.
pub(super) fn certbot(ca: &Pebble, names: &[&str]) -> Tool {
    let tool = Tool::new(ca);
    let (address, port) = (ca.address().to_string(), HTTP_PORT.to_string());
    let directory = ca.directory();
    let mut arguments = vec![
        "certonly",
        "--config-dir",
        "etc",
        "--work-dir",
        "work",
        "--logs-dir",
        "logs",
        "--server",
        &directory,
        "--standalone",
        "--http-01-address",
        &address,
        "--http-01-port",
        &port,
        "-n",
        "--agree-tos",
        "-m",
        "ada@example.com",
        "--no-eff-email",
    ];
    arguments.extend(names.iter().flat_map(|name| ["-d", name]));
    tool.run("certbot", &arguments);
    tool
}

/// One certificate in `lego`.
pub(super) fn lego(ca: &Pebble, names: &[&str]) -> Tool {
    let tool = Tool::new(ca);
    let (directory, port) = (ca.directory(), ca.plain().to_string());
    let mut arguments = vec![
        "--path",
        "lego",
        "--server",
        &directory,
        "--email",
        "ada@example.com",
        "--accept-tos",
        "--http",
        "--http.port",
        &port,
    ];
    arguments.extend(names.iter().flat_map(|name| ["-d", name]));
    arguments.push("run");
    tool.run("lego", &arguments);
    tool
}

/// One certificate in `dehydrated`; the account's key is RSA.
pub(super) fn dehydrated(ca: &Pebble, name: &str) -> Tool {
    let tool = Tool::new(ca);
    let challenges = tool.at("www/.well-known/acme-challenge");
    fs::create_dir_all(&challenges).unwrap();
    tool.write(
        "dehydrated/config",
        &format!(
            "CA={}\nBASEDIR={}\nWELLKNOWN={}\nCONTACT_EMAIL=ada@example.com\nKEY_ALGO=prime256v1\nACCOUNT_KEYSIZE=2048\n",
            ca.directory(),
            tool.at("dehydrated").display(),
            challenges.display()
        ),
    );
    let (address, port) = (ca.address().to_string(), HTTP_PORT.to_string());
    let www = tool.at("www").display().to_string();
    let arguments = ["-m", "http.server", &port, "--bind", &address, "-d", &www];
    let _server = tool.start("python3", &arguments);
    eventually("a web server", || {
        std::net::TcpStream::connect(ca.plain()).ok()
    });
    tool.run(
        "dehydrated",
        &["-f", "dehydrated/config", "--register", "--accept-terms"],
    );
    tool.run("dehydrated", &["-f", "dehydrated/config", "-c", "-d", name]);
    tool
}

/// One certificate in `acmetool`.
pub(super) fn acmetool(ca: &Pebble, name: &str) -> Tool {
    let tool = Tool::new(ca);
    tool.write(
        "acmetool/conf/target",
        &format!(
            "request:\n  provider: {}\n  key:\n    type: ecdsa\n    ecdsa-curve: nistp256\n  challenge:\n    http-ports: [\"{}\"]\n    http-self-test: false\n",
            ca.directory(),
            ca.plain()
        ),
    );
    tool.write(
        "responses",
        "\"acme-enter-email\": \"ada@example.com\"\n\"acme-agreement:data:text/plain,Do%20what%20thou%20wilt\": true\n",
    );
    let (state, hooks) = (
        tool.at("acmetool").display().to_string(),
        tool.at("hooks").display().to_string(),
    );
    let arguments = [
        "--state",
        &state,
        "--hooks",
        &hooks,
        "--batch",
        "--response-file",
        "responses",
        "want",
        name,
    ];
    tool.run("acmetool", &arguments);
    tool
}

/// What Caddy got in `caddy`, and stopped; the Caddyfile is there, too.
pub(super) fn caddy(ca: &Pebble, name: &str) -> Tool {
    let tool = Tool::new(ca);
    caddyfile(&tool, ca, name);
    let running = serve_by_caddy(&tool);
    eventually("Caddy's certificate", || {
        find(&tool.at("caddy/certificates"), &format!("{name}.json"))
    });
    drop(running);
    tool
}

/// Caddy's configuration for a site, with its state in `caddy`.
pub(super) fn caddyfile(tool: &Tool, ca: &Pebble, name: &str) {
    let (state, directory, roots) = (tool.at("caddy"), ca.directory(), ca.roots_file());
    let (state, address) = (state.display(), ca.address());
    tool.write(
        "Caddyfile",
        &format!(
            "{{\n storage file_system {state}\n acme_ca {directory}\n acme_ca_root {roots}\n http_port {HTTP_PORT}\n https_port {TLS_PORT}\n default_bind {address}\n email ada@example.com\n admin off\n}}\n{name} {{\n respond \"{name}\"\n}}\n"
        ),
    );
}

pub(super) fn serve_by_caddy(tool: &Tool) -> Running {
    tool.start(
        &caddy_program(),
        &["run", "--config", "Caddyfile", "--adapter", "caddyfile"],
    )
}

pub(super) fn caddy_program() -> String {
    format!("{PYTHON}/caddy")
}

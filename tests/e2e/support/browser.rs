//! A real Chromium without a window, which is asked over its debugging port what its tab shows.

use std::fs::File;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;
use tempfile::TempDir;

use super::door::Door;
use super::wire::Wire;
use super::{PATIENCE, client};

/// How long a browser may take to start where many tests run at once.
const START_TIME: Duration = Duration::from_secs(60);

/// A browser with one tab; gone when dropped.
pub(crate) struct Browser {
    child: Child,
    folder: TempDir,
    debugging: SocketAddr,
}

impl Browser {
    /// Opens `path` of a site of the door, over TLS that it trusts. The name ends in `.localhost`, so browsers know where it is.
    #[track_caller]
    pub(crate) fn at(door: &Door, host: &str, path: &str) -> Self {
        let stream = client::tls(door, host, &["http/1.1"]);
        let certificate = &stream.conn.peer_certificates().unwrap()[0];
        let (_, parsed) = x509_parser::parse_x509_certificate(certificate).unwrap();
        let key = BASE64_STANDARD.encode(digest(&SHA256, parsed.public_key().raw));
        let folder = TempDir::new().unwrap();
        let home = folder.path().to_owned();
        let trusted = format!("--ignore-certificate-errors-spki-list={key}");
        Self::start(folder, &home, &[&trusted, &url(door, host, path)])
    }

    /// Opens a site of the door, wherever its name leads elsewhere, and trusts whom the browsers of this home trust.
    #[track_caller]
    pub(crate) fn of_home(home: &Path, door: &Door, host: &str) -> Self {
        let here = format!("--host-resolver-rules=MAP {host} 127.0.0.1");
        let folder = TempDir::new().unwrap();
        Self::start(folder, home, &[&here, &url(door, host, "/")])
    }

    #[track_caller]
    fn start(folder: TempDir, home: &Path, arguments: &[&str]) -> Self {
        let log = File::create(folder.path().join("log")).unwrap();
        let child = Command::new("chromium")
            .args([
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
            ])
            .args([
                "--no-first-run",
                "--disable-extensions",
                "--disable-background-networking",
            ])
            .args(["--no-proxy-server", "--remote-debugging-port=0"])
            .arg(format!("--user-data-dir={}", folder.path().display()))
            .args(arguments)
            .env("HOME", home)
            .env_remove("XDG_DATA_HOME")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("chromium is missing: run tests/run");
        let mut browser = Self {
            child,
            folder,
            debugging: SocketAddr::from(([127, 0, 0, 1], 0)),
        };
        let port = browser.within(START_TIME, "a browser", |browser| {
            let text = browser.read("DevToolsActivePort");
            text.lines().next()?.parse().ok()
        });
        browser.debugging.set_port(port);
        browser
    }

    /// Waits until the tab's title begins so, and says which tab it is and the whole title.
    #[track_caller]
    pub(crate) fn shows(&mut self, title: &str) -> (String, String) {
        self.within(PATIENCE.max(START_TIME), title, |browser| {
            let tab = browser.tab()?;
            let text = |key: &str| tab[key].as_str().unwrap_or_default().to_owned();
            text("title")
                .starts_with(title)
                .then(|| (text("id"), text("title")))
        })
    }

    fn tab(&self) -> Option<Value> {
        let stream = TcpStream::connect(self.debugging).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        let head = format!(
            "GET /json/list HTTP/1.1\r\nHost: {}\r\n\r\n",
            self.debugging
        );
        let answer = Wire::over(stream).try_answer_to(&head).ok()?;
        let list: Value = serde_json::from_slice(&answer.body).ok()?;
        let mut tabs = list.as_array()?.iter();
        tabs.rfind(|tab| tab["type"] == "page").cloned()
    }

    #[track_caller]
    fn within<T>(&mut self, time: Duration, what: &str, look: impl Fn(&Self) -> Option<T>) -> T {
        let started = Instant::now();
        loop {
            if let Some(found) = look(self) {
                return found;
            }
            let ended = self.child.try_wait().unwrap();
            assert!(
                ended.is_none() && started.elapsed() < time,
                "chromium ({ended:?}) never came to {what}; its tab: {:?}\n{}",
                self.tab(),
                self.read("log")
            );
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }

    fn read(&self, name: &str) -> String {
        let place: &Path = self.folder.path();
        std::fs::read_to_string(place.join(name)).unwrap_or_default()
    }
}

fn url(door: &Door, host: &str, path: &str) -> String {
    format!("https://{host}:{}{path}", door.tls().port())
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}

//! `redis-server` of Debian's package of that name.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::super::super::Store;
use super::super::super::redis::{Place, Reached, Redis};

/// A server of its own, on a socket in a folder; gone when dropped.
pub(super) struct Server {
    child: Child,
    folder: TempDir,
    words: Vec<String>,
}

impl Server {
    pub(super) fn start() -> Self {
        Self::start_with(TempDir::new().unwrap(), &[])
    }

    /// With words more, in a folder that has what they name.
    pub(super) fn start_with(folder: TempDir, words: &[&str]) -> Self {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let child = serve(folder.path(), &words);
        Self {
            child,
            folder,
            words,
        }
    }

    pub(super) fn place(&self, prefix: &str) -> Place {
        Place {
            reached: Reached::Socket(socket(self.folder.path()).into()),
            database: 0,
            prefix: prefix.into(),
            user: None,
            password: None,
            name: "redis+unix".into(),
        }
    }

    /// A process of its own, as far as Redis can see.
    pub(super) fn store(&self, prefix: &str) -> Store {
        Store::on(Redis::at(self.place(prefix)).unwrap())
    }

    /// What anybody may tell it, in one line.
    pub(super) fn tell(&self, words: &str) {
        let mut stream = UnixStream::connect(socket(self.folder.path())).unwrap();
        stream.write_all(words.as_bytes()).unwrap();
        stream.write_all(b"\r\nQUIT\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(!answer.starts_with('-'), "{words}: {answer}");
    }

    /// It is there and answers nobody, until it ends.
    pub(super) fn freeze(&self) {
        let id = Pid::from_child(&self.child);
        kill_process(id, Signal::STOP).unwrap();
    }

    /// Everything is forgotten.
    pub(super) fn restart(&mut self) {
        self.stop();
        self.revive();
    }

    pub(super) fn stop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(super) fn revive(&mut self) {
        self.child = serve(self.folder.path(), &self.words);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn socket(folder: &Path) -> String {
    folder.join("socket").display().to_string()
}

fn serve(folder: &Path, words: &[String]) -> Child {
    Command::new("redis-server")
        .args(["--port", "0", "--save", "", "--appendonly", "no"])
        .args(["--unixsocket", &socket(folder)])
        .args(words)
        .current_dir(folder)
        .stdout(Stdio::null())
        .spawn()
        .expect("no redis-server: run `tests/run --prepare`")
}

//! Debian's `redis-server` on a socket in a folder of its own; gone when dropped.

use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::eventually;

/// A Redis that several doors share.
pub(crate) struct Redis {
    child: Child,
    folder: TempDir,
}

impl Redis {
    /// Returns once it answers.
    #[track_caller]
    pub(crate) fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let child = serve(&folder);
        let redis = Self { child, folder };
        eventually("PONG", || {
            (redis.ask(&["ping"]).trim() == "PONG").then_some(())
        });
        redis
    }

    /// What `storage` is told.
    pub(crate) fn url(&self) -> String {
        format!("redis+unix://{}", socket(&self.folder))
    }

    /// What its own client is answered.
    pub(crate) fn ask(&self, words: &[&str]) -> String {
        let output = Command::new("redis-cli")
            .args(["-s", &socket(&self.folder)])
            .args(words)
            .stderr(Stdio::null())
            .output()
            .expect("redis-cli is missing: run tests/run");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

fn serve(folder: &TempDir) -> Child {
    Command::new("redis-server")
        .args(["--port", "0", "--save", "", "--appendonly", "no"])
        .args(["--unixsocket", &socket(folder)])
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-server is missing: run tests/run")
}

fn socket(folder: &TempDir) -> String {
    folder.path().join("socket").display().to_string()
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

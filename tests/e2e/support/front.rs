//! Other people's proxies, as processes in front of a door.

use std::net::{IpAddr, SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::{eventually, free_port};

/// A proxy that runs and is connected to; gone when dropped.
pub(crate) struct Front {
    child: Child,
    pub(crate) address: SocketAddr,
    _folder: TempDir,
}

impl Front {
    /// Starts `program` with `arguments` and then the path of its configuration, which is made for the address where it listens.
    #[track_caller]
    pub(crate) fn start(
        program: &str,
        arguments: &[&str],
        listens_on: IpAddr,
        config: impl Fn(SocketAddr) -> String,
    ) -> Self {
        let folder = TempDir::new().unwrap();
        let address = SocketAddr::from((listens_on, free_port()));
        let place = folder.path().join("front.conf");
        std::fs::write(&place, config(address)).unwrap();
        let mut child = Command::new(program)
            .args(arguments)
            .arg(&place)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{program}: {error}: run `tests/run --prepare`"));
        eventually(program, || {
            if let Some(status) = child.try_wait().unwrap() {
                panic!("{program} ended with {status}: run `tests/run --prepare`");
            }
            TcpStream::connect(address).ok()
        });
        Self {
            child,
            address,
            _folder: folder,
        }
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        // It may have ended already.
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

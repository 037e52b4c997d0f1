//! HAProxy and nginx in front of a door: they pass octets on, and say for whom.

use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::support::{eventually, free_port};

/// A balancer that runs; gone when dropped.
pub(super) struct Balancer {
    child: Child,
    pub(super) address: SocketAddr,
    _folder: TempDir,
}

/// What is put in front of each connection.
#[derive(Debug, Clone, Copy)]
pub(super) enum Header {
    V1,
    V2,
    /// With a checksum and what HAProxy can add.
    V2WithAdditions,
}

impl Balancer {
    /// HAProxy in front of an address.
    pub(super) fn haproxy(to: SocketAddr, header: Header) -> Self {
        let option = match header {
            Header::V1 => "send-proxy",
            Header::V2 => "send-proxy-v2",
            Header::V2WithAdditions => "send-proxy-v2 proxy-v2-options crc32c,unique-id",
        };
        Self::start("haproxy", &["-db", "-f"], |address| {
            format!(
                "defaults\n  mode tcp\n  timeout connect 20s\n  timeout client 20s\n  timeout server 20s\n\
                 frontend front\n  bind {address}\n  unique-id-format %{{+X}}o\\ %ci:%cp\n  default_backend door\n\
                 backend door\n  server door {to} {option}\n"
            )
        })
    }

    /// nginx in front of an address; it writes version 1.
    pub(super) fn nginx(to: SocketAddr) -> Self {
        let arguments = ["-e", "stderr", "-p", ".", "-c"];
        Self::start("nginx", &arguments, |address| {
            format!(
                "load_module /usr/lib/nginx/modules/ngx_stream_module.so;\n\
                 daemon off;\nmaster_process off;\npid nginx.pid;\nevents {{}}\n\
                 stream {{ server {{ listen {address}; proxy_pass {to}; proxy_protocol on; }} }}\n"
            )
        })
    }

    fn start(program: &str, arguments: &[&str], config: impl Fn(SocketAddr) -> String) -> Self {
        let folder = TempDir::new().unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let place = folder.path().join("balancer.conf");
        std::fs::write(&place, config(address)).unwrap();
        let mut child = Command::new(program)
            .args(arguments)
            .arg(&place)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{program}: {error}: run tests/run"));
        eventually(program, || {
            if let Some(status) = child.try_wait().unwrap() {
                panic!("{program} ended with {status}: run tests/run");
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

impl Drop for Balancer {
    fn drop(&mut self) {
        // It may have ended already.
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

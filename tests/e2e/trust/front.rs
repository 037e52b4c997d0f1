//! HAProxy and nginx as HTTP proxies in front of a door. They listen on `::1` and ask from `127.0.0.1`, so that the client and the
//! proxy have addresses of their own.

use std::net::{Ipv6Addr, SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::support::{eventually, free_port};

/// A proxy that runs; gone when dropped.
pub(super) struct Front {
    child: Child,
    pub(super) address: SocketAddr,
    _folder: TempDir,
}

impl Front {
    /// nginx as its handbook sets it up, and with this besides.
    #[track_caller]
    pub(super) fn nginx(to: SocketAddr, more: &str) -> Self {
        Self::start("nginx", &["-e", "stderr", "-p", ".", "-c"], |address| {
            let places = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
            let places = places
                .map(|place| format!("{place}_temp_path .;\n"))
                .concat();
            format!(
                "daemon off;\nmaster_process off;\npid nginx.pid;\nevents {{}}\nhttp {{ access_log off;\n{places}\
                 server {{ listen {address}; location / {{\n\
                 proxy_pass http://{to};\nproxy_http_version 1.1;\nproxy_set_header Connection \"\";\n\
                 proxy_set_header Host $http_host;\n\
                 proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;\n{more} }} }} }}\n"
            )
        })
    }

    /// HAProxy with `option forwardfor`.
    #[track_caller]
    pub(super) fn haproxy(to: SocketAddr) -> Self {
        Self::start("haproxy", &["-db", "-f"], |address| {
            format!(
                "defaults\n  mode http\n  timeout connect 20s\n  timeout client 20s\n  timeout server 20s\n\
                 frontend front\n  bind {address}\n  option forwardfor\n  default_backend door\n\
                 backend door\n  server door {to}\n"
            )
        })
    }

    #[track_caller]
    fn start(program: &str, arguments: &[&str], config: impl Fn(SocketAddr) -> String) -> Self {
        let folder = TempDir::new().unwrap();
        let address = SocketAddr::from((Ipv6Addr::LOCALHOST, free_port()));
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

//! HAProxy and nginx as HTTP proxies in front of a door. They listen on `::1` and ask from `127.0.0.1`, so that the client and the
//! proxy have addresses of their own.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use crate::support::front::Front;

const HERE: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

/// nginx as its handbook sets it up, and with this besides.
#[track_caller]
pub(super) fn nginx(to: SocketAddr, more: &str) -> Front {
    let arguments = ["-e", "stderr", "-p", ".", "-c"];
    Front::start("nginx", &arguments, HERE, |address| {
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
pub(super) fn haproxy(to: SocketAddr) -> Front {
    Front::start("haproxy", &["-db", "-f"], HERE, |address| {
        format!(
            "defaults\n  mode http\n  timeout connect 20s\n  timeout client 20s\n  timeout server 20s\n\
             frontend front\n  bind {address}\n  option forwardfor\n  default_backend door\n\
             backend door\n  server door {to}\n"
        )
    })
}

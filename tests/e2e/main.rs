//! onedoor as a process, over real sockets, with real clients and upstreams. One binary, a file a theme.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "tests stop at the first surprise, and say what the process said"
)]

mod abuse;
mod basics;
mod bodies;
mod certificates;
mod corpus;
mod faults;
mod forwarding;
mod framing;
mod grpc;
mod handshake;
mod hellos;
mod http2;
mod lifecycle;
mod limits;
mod ports;
mod reload;
mod replies;
mod scan;
mod support;
mod tunnel;
mod upstreams;

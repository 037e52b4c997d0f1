//! onedoor as a process, over real sockets, with real clients and upstreams. One binary, a file a theme.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "tests stop at the first surprise, say what the process said, and do what users do"
)]

mod abuse;
mod acme;
mod addresses;
mod basics;
mod bodies;
mod certificates;
mod certs_verbs;
mod cli;
mod corpus;
#[cfg(target_os = "macos")]
mod darwin;
mod demo;
mod dns;
mod doctor;
mod faults;
mod forwarding;
mod framing;
mod grpc;
mod handshake;
mod hellos;
mod hosts;
mod http2;
mod joining;
mod lifecycle;
mod limits;
mod links;
mod log;
mod ports;
mod reload;
mod replies;
mod run;
mod scan;
mod service;
mod support;
mod tunnel;
mod unread;
mod upstreams;
mod verbs;
mod volume;
mod websocket;

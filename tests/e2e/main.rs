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
mod auth;
mod backup;
mod balance;
mod basics;
mod bodies;
mod certificates;
mod certs_verbs;
mod cli;
mod client_auth;
mod compress;
mod corpus;
#[cfg(target_os = "macos")]
mod darwin;
mod demo;
mod dns;
mod doctor;
mod faults;
mod fleet;
mod forwarding;
mod framing;
mod grpc;
mod guard;
mod handshake;
mod health;
mod hellos;
mod hosts;
mod http2;
mod joining;
mod lifecycle;
mod limits;
mod links;
mod local_ca;
mod log;
mod moving_in;
mod pages;
mod ports;
mod proxied;
mod proxy_protocol;
mod reload;
mod replies;
mod resolving;
mod resumption;
mod retry;
mod run;
mod scan;
mod service;
mod sharing;
mod support;
mod trust;
mod trusting;
mod tunnel;
mod unread;
mod upstream_tls;
mod upstreams;
mod verbs;
mod volume;
mod waiting;
mod websocket;

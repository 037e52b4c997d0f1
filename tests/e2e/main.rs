//! onedoor as a process, over real sockets, with real clients and upstreams. One binary, a file a theme.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "tests stop at the first surprise, and say what the process said"
)]

mod basics;
mod demo;
mod lifecycle;
mod ports;
mod reload;
mod support;

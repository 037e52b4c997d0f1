//! onedoor as a process, over real sockets, with real clients and upstreams. One binary, a file a theme.

mod basics;
mod certificates;
mod handshake;
mod hellos;
mod scan;
mod support;
mod tunnel;

//! onedoor as a process, over real sockets, with real clients and upstreams. One binary, a file a theme.

mod basics;
mod demo;
mod support;

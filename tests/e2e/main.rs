//! onedoor as a process, over real sockets, with real clients and upstreams. One binary, a file a theme.

mod abuse;
mod basics;
mod grpc;
mod http2;
mod support;
mod volume;
mod websocket;

//! onedoor: one process owns the ports, picks the certificate by SNI, and routes every host name to its own upstream.

pub mod app;
pub mod causes;
pub mod certs;
pub mod cli;
pub mod clock;
pub mod config;
pub mod control;
pub mod deadline;
pub mod door;
pub mod framing;
pub mod hostname;
pub mod observe;
pub mod ports;
pub mod proxy;
pub mod proxy_protocol;
pub mod relay;
pub mod routing;
pub mod shutdown;
pub mod storage;
pub mod system;
pub mod upstream;

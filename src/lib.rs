//! onedoor: one process owns the ports, picks the certificate by SNI, and routes every host name to its own upstream.

pub mod shutdown;

pub mod config;
pub mod hostname;
pub mod ports;

pub mod control;

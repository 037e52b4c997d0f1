//! Certificates: where each name's comes from, and the one to show at a handshake.

pub mod alerts;
pub mod cert_dir;
mod draft;
pub mod facts;
pub mod local_ca;
pub mod pair;
pub mod pem;
pub mod plan;
pub mod resolver;
pub mod stamp;

#[cfg(test)]
mod fixture;

//! Certificates: where each name's comes from, and the one to show at a handshake.

pub mod acme;
pub mod adopt;
pub mod alerts;
pub mod backup;
pub mod bundle;
pub mod cert_dir;
mod cert_id;
pub mod challenges;
pub mod dns;
mod draft;
pub mod export;
pub mod facts;
pub mod http;
pub mod import;
pub mod keeper;
pub mod ledger;
pub mod local_ca;
pub mod pair;
pub mod pem;
pub mod plan;
pub mod resolver;
pub mod retry;
pub mod schedule;
pub mod shelf;
pub mod stamp;
pub mod tickets;
pub mod utc;
pub mod vault;

#[cfg(test)]
mod fixture;

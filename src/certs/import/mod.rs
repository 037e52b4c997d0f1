//! Certificates and accounts that other tools left in a folder or a file. They are found and judged here; putting them into the vault is
//! somebody else's work.

mod account;
pub mod account_key;
mod acme_sh;
mod acmetool;
mod archive;
pub(in crate::certs) mod caddy;
mod certbot;
mod certificate;
mod companion;
mod dehydrated;
pub mod fault;
pub mod findings;
#[cfg(test)]
pub(in crate::certs) mod fixture;
pub mod known;
mod kubernetes;
mod lego;
mod plain;
mod proxy_manager;
mod recognise;
mod sections;
mod settings;
pub mod staging;
mod survey;
mod traefik;
pub mod tree;
pub mod walk;

use std::path::Path;
use std::time::SystemTime;

pub use recognise::recognise;

use findings::Findings;
use walk::ImportError;

/// Reads what is at `path`, a folder or a file, and says what it is.
///
/// # Errors
/// Nothing can be read there, or it is too much. That nothing was recognised is no error.
pub fn read(path: &Path, now: SystemTime) -> Result<Findings, ImportError> {
    Ok(recognise(&walk::tree(path)?, now))
}

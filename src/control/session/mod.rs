//! A guest's conversation with its holder: begun as an HTTP/1.1 upgrade, then JSON lines both ways, with descriptors beside them.

pub mod channel;
pub mod guest;
pub mod hosting;
pub mod message;
mod rights;
mod upgrade;

pub use rights::DESCRIPTORS_PER_MESSAGE_MAX;

/// Where a guest joins.
pub const JOIN_PATH: &str = "/v1/join";
/// Where a successor takes over.
pub const SUCCEED_PATH: &str = "/v1/succeed";
/// The protocol that the connection is upgraded to.
pub const UPGRADE: &str = "onedoor-session";

//! A guest's conversation with its holder: begun as an HTTP/1.1 upgrade, then JSON lines both ways, with descriptors beside them.

pub mod channel;
pub mod message;
mod rights;

pub use rights::DESCRIPTORS_PER_MESSAGE_MAX;

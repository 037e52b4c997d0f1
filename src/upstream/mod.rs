//! Upstream targets: dialing, the connections of one worker, and sending a request on one of them.

pub mod balance;
pub mod dial;
pub mod endpoint;
mod error;
pub mod group;
pub mod health;
mod http1;
mod incoming;
pub mod names;
mod outgoing;
mod pool;
mod send;
pub mod tls;

pub use error::{Cause, UpstreamError};
pub use incoming::{Incoming, Upgraded, upgraded};
pub use outgoing::{BodyError, Outgoing, Progress, Upload};
pub use pool::Upstreams;
pub use send::{Job, Resend, Unfit};

//! Upstream targets: dialing, the connections of one worker, and sending a request on one of them.

pub mod dial;
mod error;
mod outgoing;
mod pool;
mod send;
mod spare;
pub mod tls;

pub use error::UpstreamError;
pub use outgoing::{BodyError, Gate, Opener, Outgoing, Progress, Upload};
pub use pool::{Lease, Upstreams};
pub use send::{Answer, Job, Resend, Unfit};

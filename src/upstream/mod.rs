//! Upstream targets: dialing, the connections of one worker, and sending a request on one of them.

pub mod balance;
pub mod dial;
pub mod endpoint;
mod error;
pub mod group;
pub mod health;
mod http1;
mod http2;
mod incoming;
mod liveness;
pub mod names;
mod outgoing;
mod pool;
mod progress;
mod replay;
mod resend;
pub mod seating;
pub mod seats;
mod send;
mod shared;
pub mod tls;

pub use error::{Cause, UpstreamError};
pub use incoming::{Incoming, Upgraded, upgraded};
pub use outgoing::{BodyError, Outgoing, Upload};
pub use pool::Upstreams;
pub use progress::Progress;
pub use replay::Keep;
pub use resend::Resend;
pub use send::{Job, Unfit};

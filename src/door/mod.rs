//! The listening side: sockets → arrivals → hellos → decisions → TLS → visits.

pub mod accept;
mod arrival;
mod awaited;
mod client_certificate;
mod crowd;
mod frames;
mod handshake;
mod hello;
mod http1;
mod http2;
mod loan;
mod preface;
mod serve;
mod stream;
mod subject;
mod tls;
mod tunnel;
mod wire;
mod worker;

use std::time::Duration;

pub use arrival::From;
pub use awaited::{AWAITED_MAX, Awaited};
pub use crowd::Crowd;
pub use hello::{HELLO_BYTES_MAX, Hello, HelloReader, NotHello};
pub use tls::{NoPolicy, Policies};
pub use worker::{Current, Handle, Options, Order, start};

/// What is read of a connection at once, before anybody knows what it is.
const READ_BYTES: usize = 4096;
/// How long a client may take to hear why it is not served.
const FAREWELL_TIME: Duration = Duration::from_secs(2);

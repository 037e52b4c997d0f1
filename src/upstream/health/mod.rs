//! What all workers know of endpoints, and who finds it out.

pub mod check;
mod crew;
mod down;
mod finding;
mod grpc;
mod http;
mod message;
mod news;
mod prober;
mod probers;
mod rhythm;
mod standing;
mod subject;
mod verdict;

pub use down::Down;
pub use finding::Finding;
pub use message::Serving;
pub use probers::Probers;
pub use standing::{Standing, Standings, Turn};
pub use subject::{Report, Reports, Subject, Wanted, Way};
pub use verdict::State;

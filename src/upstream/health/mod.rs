//! What all workers know of endpoints, and who finds it out.

mod standing;

pub use standing::{Standing, Standings, Turn};

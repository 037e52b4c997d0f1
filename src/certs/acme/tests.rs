//! Orders against the fake CA.

mod bench;
mod orders;

//! Paths: which rule one falls under, and what is sent of it. Matching reads a normal form; sending keeps every octet that no rule removes.

mod choice;
mod normal;
mod retarget;

pub use choice::{Chosen, choose, choose_of, sort};
pub use normal::normalise;
pub use retarget::retarget;

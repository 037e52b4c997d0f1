//! Objects and leases in a bucket of S3 or a store that speaks as it does, for a fleet.

mod place;

pub use place::{BadPlace, Place};

//! Orders against the fake CA.

mod accounts;
mod bench;
mod crashes;
mod lies;
mod orders;
mod renewals;
mod takeovers;
mod traps;

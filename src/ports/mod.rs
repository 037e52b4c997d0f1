//! Who owns a port: binding it strictly, taking it over from a service manager, and naming whoever has it already.
//!
//! A listening socket is bound once and exclusively, never with `SO_REUSEPORT`. Nothing here accepts a connection but the
//! [`probe`], which accepts only to see whether connections arrive here at all.

mod ask;
pub mod bind;
pub mod descriptors;
pub mod entry;
pub mod holder;
pub mod launchd;
pub mod passed;
pub mod permission;
pub mod probe;
pub mod problem;
mod process;
mod report;
pub mod strict;
mod table;
pub mod ways;
mod wording;

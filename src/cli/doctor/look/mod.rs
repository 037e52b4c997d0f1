//! Gathering the facts: everything that touches the machine, bounded in time, and without an opinion.

pub(super) mod authority;
pub(super) mod control;
pub(super) mod names;
pub(super) mod ports;
pub(super) mod reach;
pub(super) mod storage;

//! From facts to findings. Nothing is looked at here, so that the facts of every system are judged on any.

pub(super) mod authority;
pub(super) mod certificates;
pub(super) mod control;
pub(super) mod names;
pub(super) mod ports;
pub(super) mod reach;
pub(super) mod storage;
pub(super) mod trust;

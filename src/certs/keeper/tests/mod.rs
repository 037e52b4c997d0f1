//! The promise of the keeper, over years and against every fault: no certificate is asked for twice, and every name is served.

mod crashes;
mod headline;
mod refusals;
mod simulation;
mod time;

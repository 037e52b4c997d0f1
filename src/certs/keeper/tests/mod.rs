//! The promise of the keeper, over years and against every fault: no certificate is asked for twice, and every name is served.

mod crashes;
mod crowd;
mod damage;
mod fleet;
mod guard;
mod headline;
mod imported;
mod panics;
mod refusals;
mod reload;
mod restored;
mod schedules;
mod simulation;
mod strangers;
mod time;
mod turns;
mod zone;

//! Moving in, with a store in memory and a CA in process.

mod accounts;
mod certificates;
mod scene;

//! What the process tells: the access log, events for people or machines, and counters. It decides nothing and knows only names.

pub mod access;
mod combined;
pub mod counters;
mod decimal;
mod escape;
mod event_fields;
pub mod events;
mod json;
pub mod lines;
pub mod record;
mod sink;
mod stamp;
pub mod taps;
mod text;
pub mod writer;

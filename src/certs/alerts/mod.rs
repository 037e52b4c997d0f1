//! Telling people what becomes of certificates and storage: which events there are, which of them are news, and who is told.

pub mod event;
pub mod exec;
pub mod notices;
pub mod outbox;
pub mod told;
mod unsaved;
pub mod webhook;

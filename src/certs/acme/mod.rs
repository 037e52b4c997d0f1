//! Everything that speaks to an ACME CA (RFC 8555, RFC 9773): the account, the order, the renewal window. It keeps nothing itself and knows no limits:
//! a keeper stores what must outlive the process, and the ledger is asked by whoever calls.

mod account;
pub mod account_key;
pub mod adopted;
pub mod answer;
pub mod ari;
pub mod ca;
mod chain;
pub mod directory;
pub mod fault;
pub mod journal;
mod jws;
pub mod name;
pub mod options;
pub mod order;
mod post;
mod profile;
pub mod reach;
pub mod request;
mod rollover;
pub mod seams;
mod session;
pub mod solver;
pub mod transport;
mod tries;
mod walk;
mod wire;

#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
mod tests;

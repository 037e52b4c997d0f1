//! What happens to the heads of one exchange. Pure: heads and facts in, heads or refusals out.
//!
//! `Received::judge` → routing → [`outbound()`] → [`to_http1`] or [`to_http2`] per attempt → the upstream → [`inbound()`].

mod authority;
mod client_certificate;
mod connection;
mod edit;
mod facts;
mod field;
mod form;
mod forwarded;
mod hops;
mod inbound;
mod outbound;
#[cfg(test)]
mod properties;
mod received;
mod refusal;
mod rules;
mod target;
mod upgrade;

pub use authority::Authority;
pub use client_certificate::ClientCertificate;
pub use connection::Trailers;
pub use facts::{Facts, Scheme};
pub use field::{is_claim, trailers};
pub use form::{to_http1, to_http2};
pub use forwarded::{Forwarded, Hop, is_passed_on};
pub use inbound::{BrokenAnswer, inbound};
pub use outbound::outbound;
pub use received::{Body, Protocol, Received};
pub use refusal::Refusal;
pub use upgrade::Upgrade;

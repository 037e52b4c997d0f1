//! One request's journey. The pure parts are heads, paths, redirects and the form of the replies we give ourselves; the rest carries
//! an exchange from its judgement to its line in the access log.

mod accept;
mod attempts;
pub mod body;
pub mod client;
pub mod compress;
pub mod context;
pub mod exchange;
pub mod forward;
mod forwarded;
pub mod guard;
pub mod headers;
mod local_network;
mod pages;
pub mod passage;
pub mod path;
pub mod record;
pub mod redirect;
pub mod replies;
pub mod reply;
mod retry;
mod switch;
pub mod template;
#[cfg(test)]
mod testing;
pub mod visit;

//! One request's journey. The pure parts: heads, paths, redirects, and the replies we give ourselves.

mod accept;
pub mod headers;
pub mod path;
pub mod redirect;
pub mod reply;
pub mod template;
#[cfg(test)]
mod testing;

//! `compress`: answers that are smaller on the way. Whether and how an answer is encoded is decided from its head alone; its body then
//! goes through an encoder of the worker, a piece at a time.
//!
//! A strong entity tag becomes weak, since the octets are no longer those that it names. A client sends it back as `W/"…"`, which the
//! upstream compares weakly in `If-None-Match` (RFC 9110 section 13.1.2), so a 304 is still what it gets.

mod choice;
mod encoder;
mod encoders;
mod fitness;
mod media;
mod stream;

pub(super) use choice::Wish;
pub use encoders::Encoders;
pub(super) use encoders::Lease;
pub(super) use stream::{Broken, Compressed};

use http::header::CONTENT_TYPE;
use http::response::Parts;
use http::{HeaderMap, HeaderValue, Version};

use self::encoders::Pace;
use super::record::Record;
use crate::config::site::Coding;

/// Looks at the head of an answer whose body is `length` octets long, if that is known. Returns the encoder that its body must go
/// through, with the head edited for it.
pub(super) fn take_on(head: &mut Parts, length: Option<u64>, record: &Record) -> Option<Lease> {
    if record.wish == Wish::Off || !fitness::may_be_encoded(head, length) {
        return None;
    }
    fitness::add_vary(&mut head.headers);
    let Wish::Coded(coding) = record.wish else {
        return None;
    };
    // Without a length, the end of the connection would be all that tells such a client that it has everything.
    if record.version == Version::HTTP_10 {
        return None;
    }
    let pace = pace_of(&head.headers);
    let encoders = &record.visit.context.encoders;
    let lease = encoders.lease(coding, pace)?;
    fitness::encoded(head, token(coding));
    Some(lease)
}

fn pace_of(headers: &HeaderMap) -> Pace {
    let kind = headers
        .get(CONTENT_TYPE)
        .map_or(&b""[..], HeaderValue::as_bytes);
    if media::essence(kind).eq_ignore_ascii_case(b"text/event-stream") {
        Pace::Events
    } else {
        Pace::Steady
    }
}

/// The name of a coding in fields (RFC 9110 section 8.4.1, RFC 7932, RFC 8878).
fn token(coding: Coding) -> &'static str {
    match coding {
        Coding::Zstd => "zstd",
        Coding::Brotli => "br",
        Coding::Gzip => "gzip",
    }
}

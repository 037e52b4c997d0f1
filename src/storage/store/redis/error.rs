//! What goes wrong on the way to Redis, and how to mend it.

use std::fmt;

use redis::ErrorKind;

use super::place::Place;

/// Redis did not do what was asked. A write may have taken effect all the same.
#[derive(Debug)]
pub struct RedisError {
    /// Without its password.
    place: Box<str>,
    prefix: Box<str>,
    fault: Fault,
    source: redis::RedisError,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// No connection, or none any more.
    Unreachable,
    /// Its certificate is of nobody whom we trust, or for another name.
    Untrusted,
    /// It wants a password, or another one.
    Unauthenticated,
    /// It knows us, but its lists say that we may not.
    Denied,
    /// It is a replica, or loading, or its disk is full.
    NoWrites,
    /// Anything else it says.
    Other,
}

impl RedisError {
    pub(super) fn new(place: &Place, source: redis::RedisError) -> Self {
        Self {
            place: place.to_string().into(),
            prefix: place.prefix.clone(),
            fault: Fault::of(&source),
            source,
        }
    }
}

impl RedisError {
    pub(in crate::storage::store) fn is_outage(&self) -> bool {
        self.fault == Fault::Unreachable
    }
}

impl Fault {
    fn of(error: &redis::RedisError) -> Self {
        if error.to_string().contains("certificate") {
            return Self::Untrusted;
        }
        if error.is_io_error() || error.is_timeout() || error.is_connection_dropped() {
            return Self::Unreachable;
        }
        // Redis reads no long command of whom it does not know, and so cannot say that it wants a password.
        let is_unread = error
            .detail()
            .is_some_and(|said| said.contains("unauthenticated"));
        if error.kind() == ErrorKind::AuthenticationFailed || is_unread {
            return Self::Unauthenticated;
        }
        match error.code() {
            Some("NOAUTH" | "WRONGPASS") => Self::Unauthenticated,
            Some("NOPERM") => Self::Denied,
            Some("READONLY" | "LOADING" | "MISCONF" | "OOM" | "MASTERDOWN") => Self::NoWrites,
            Some(_) | None => Self::Other,
        }
    }
}

impl fmt::Display for RedisError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (place, prefix) = (&self.place, &self.prefix);
        match self.fault {
            Fault::Unreachable => write!(
                f,
                "the storage at {place} cannot be reached: see that Redis runs there and lets this host in"
            ),
            Fault::Untrusted => write!(
                f,
                "the storage at {place} shows a certificate that is not trusted: name its CA with `roots` in `storage`, and the host as the certificate does"
            ),
            Fault::Unauthenticated => write!(
                f,
                "the storage at {place} turns us away: put user and password into the URL of `storage`"
            ),
            Fault::Denied => write!(
                f,
                "the storage at {place} denies us this: allow our user the keys and the channel, with `ACL SETUSER` and `~{{{prefix}}}:* &{{{prefix}}}:* +@read +@write +@scripting +@pubsub +@connection +info`"
            ),
            Fault::NoWrites => write!(
                f,
                "the storage at {place} takes no writes: name the primary, and see that its disk and memory are not full"
            ),
            Fault::Other => write!(f, "the storage at {place} did not do what was asked"),
        }
    }
}

impl std::error::Error for RedisError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

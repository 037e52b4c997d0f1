//! What can go wrong on the way to an upstream, by fault.

use std::error::Error as _;
use std::fmt;
use std::io;

use super::{BodyError, Unfit};

/// What a library, or the system, says of a fault.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why there is no answer, or not the whole of it.
#[derive(Debug)]
pub enum UpstreamError {
    /// No address took the connection; the last error.
    Unreachable(io::Error),
    /// The resolver knows no address.
    Unresolved(io::Error),
    /// No connection in time.
    ConnectTimedOut,
    /// The TLS handshake failed: certificate, name, version, or no TLS at all.
    Tls(io::Error),
    /// The HTTP preface or settings failed.
    Handshake(hyper::Error),
    /// As many exchanges as `max_conns` allows are under way there, and none ended in time.
    Busy,
    /// The connection ended before anything was sent.
    Unsent(Cause),
    /// The connection ended before an answer began.
    Closed(Cause),
    /// The connection ended in the middle of an answer.
    Cut(Cause),
    /// The upstream said that it did not begin with the request (RFC 9113 section 8.7).
    Refused(Cause),
    /// The answer is no HTTP.
    Malformed(Cause),
    /// The answer did not begin in time.
    ResponseTimedOut,
    /// The client's body broke the rules or off.
    ClientBody(BodyError),
    /// The request cannot be put in the protocol that the upstream speaks.
    Unfit(Unfit),
}

impl UpstreamError {
    pub(super) fn of_exchange(error: hyper::Error) -> Self {
        if let Some(body) = body_error(&error) {
            return Self::ClientBody(body);
        }
        if was_refused(&error) {
            Self::Refused(error.into())
        } else if error.is_parse() {
            Self::Malformed(error.into())
        } else {
            Self::Closed(error.into())
        }
    }
}

fn body_error(error: &hyper::Error) -> Option<BodyError> {
    let mut cause = error.source();
    while let Some(inner) = cause {
        if let Some(body) = inner.downcast_ref::<BodyError>() {
            return Some(*body);
        }
        cause = inner.source();
    }
    None
}

/// Whether the stream was refused, or lies beyond the last one that a GOAWAY names.
fn was_refused(error: &hyper::Error) -> bool {
    let cause = error
        .source()
        .and_then(|cause| cause.downcast_ref::<h2::Error>());
    cause.is_some_and(|cause| {
        let refuses = cause.is_reset() && cause.reason() == Some(h2::Reason::REFUSED_STREAM);
        cause.is_remote() && (refuses || cause.is_go_away())
    })
}

impl fmt::Display for UpstreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(_) => f.write_str("nothing accepts connections there"),
            Self::Unresolved(_) => f.write_str("the name has no address"),
            Self::ConnectTimedOut => f.write_str("no connection in time"),
            Self::Tls(_) => f.write_str("the TLS handshake with the upstream failed"),
            Self::Handshake(_) => f.write_str("the upstream does not speak the protocol"),
            Self::Busy => f.write_str("it has as many requests as `max_conns` allows"),
            Self::Unsent(_) | Self::Closed(_) => {
                f.write_str("the upstream closed the connection before it answered")
            }
            Self::Cut(_) => f.write_str("the upstream's answer broke off"),
            Self::Refused(_) => f.write_str("the upstream refused to begin with the request"),
            Self::Malformed(_) => f.write_str("the upstream's answer is not HTTP"),
            Self::ResponseTimedOut => f.write_str("the upstream did not answer in time"),
            Self::ClientBody(_) => f.write_str("the request's body cannot be passed on"),
            Self::Unfit(_) => {
                f.write_str("the request has no form in the protocol that the upstream speaks")
            }
        }
    }
}

impl std::error::Error for UpstreamError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unreachable(error) | Self::Unresolved(error) | Self::Tls(error) => Some(error),
            Self::Handshake(error) => Some(error),
            Self::Unsent(cause)
            | Self::Closed(cause)
            | Self::Cut(cause)
            | Self::Refused(cause)
            | Self::Malformed(cause) => Some(&**cause),
            Self::ClientBody(error) => Some(error),
            Self::Busy | Self::ConnectTimedOut | Self::ResponseTimedOut | Self::Unfit(_) => None,
        }
    }
}

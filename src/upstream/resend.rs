//! Whether a request goes out once more to the same target after its connection failed: what a connection does by its nature, and no
//! rule has a say in. Whether it goes to another target is the rule's to say.
//!
//! | what happened | on a kept connection | on a fresh one |
//! |---|---|---|
//! | nothing of it was written | again, whatever the method | no: the target failed |
//! | the end, before any octet of an answer | again if idempotent | no |
//! | refused (REFUSED_STREAM, or beyond the last stream of a GOAWAY) | again, but for a change of protocols | the same |
//! | anything else | no | no |
//!
//! Once at most, on a fresh connection, and only if the body can be sent from its beginning.
//!
//! A kept connection that ends after a request was written may have ended because of it: nobody can tell from here whether the upstream
//! read it. So one that must not be done twice (RFC 9110 section 9.2.2) is not repeated then. What is done instead is to make that case
//! rare: before such a request is written the system is asked whether the connection still stands, connections are given up before
//! the upstream's `Keep-Alive: timeout` ends, and one that is to change protocols gets a fresh connection.

use super::UpstreamError;

/// Whether a request that may have reached the upstream may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resend {
    /// Idempotent (RFC 9110 section 9.2.2).
    Allowed,
    /// Only when the upstream says that it did not begin (RFC 9113 section 8.7).
    IfRefused,
    /// It changes protocols.
    Forbidden,
}

/// Whether a connection served requests before: only then its end may be none of the request's doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Age {
    Kept,
    Fresh,
}

impl Resend {
    /// Whether a request goes out once more, if its body can.
    pub(super) fn follows(self, error: &UpstreamError, age: Age) -> bool {
        match error {
            UpstreamError::Refused(_) => self != Self::Forbidden,
            UpstreamError::Closed(_) => age == Age::Kept && self == Self::Allowed,
            UpstreamError::Unsent(_) => age == Age::Kept,
            UpstreamError::Unreachable(_)
            | UpstreamError::Unresolved(_)
            | UpstreamError::ConnectTimedOut
            | UpstreamError::Tls(_)
            | UpstreamError::Handshake(_)
            | UpstreamError::Busy
            | UpstreamError::Cut(_)
            | UpstreamError::Malformed(_)
            | UpstreamError::ResponseTimedOut
            | UpstreamError::ClientBody(_)
            | UpstreamError::Unfit(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn follows(error: &UpstreamError) -> [[bool; 2]; 3] {
        [Resend::Allowed, Resend::IfRefused, Resend::Forbidden]
            .map(|resend| [Age::Kept, Age::Fresh].map(|age| resend.follows(error, age)))
    }

    #[test]
    fn the_table_holds() {
        let always = [[true, true], [true, true], [false, false]];
        assert_eq!(follows(&UpstreamError::Refused("".into())), always);
        let kept = [[true, false]; 3];
        assert_eq!(follows(&UpstreamError::Unsent("".into())), kept);
        let idempotent = [[true, false], [false, false], [false, false]];
        assert_eq!(follows(&UpstreamError::Closed("".into())), idempotent);
        for error in [
            UpstreamError::Cut("".into()),
            UpstreamError::Malformed("".into()),
            UpstreamError::ResponseTimedOut,
            UpstreamError::ConnectTimedOut,
            UpstreamError::Busy,
        ] {
            assert_eq!(follows(&error), [[false; 2]; 3], "{error:?}");
        }
    }
}

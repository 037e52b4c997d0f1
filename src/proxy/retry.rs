//! Whether a request goes to another target after one failed it. A rule's `retry` may only narrow what is safe:
//!
//! | what became of the attempt | goes on where | costs a try |
//! |---|---|---|
//! | nothing of the request was written: no connection, no seat | `on` has `connect`; any method | no |
//! | refused (REFUSED_STREAM, or beyond the last stream of a GOAWAY) | `on` has `connect` or `reset`; any method but a change of protocols | yes |
//! | the connection ended before an answer, or within its head | `on` has `reset`; idempotent | yes |
//! | no answer in time: the upstream may still be at work | `on` has `504`; safe | yes |
//! | an answer with 502, 503 or 504 | `on` has the status; idempotent | yes |
//! | the answer is no HTTP, the client's body is at fault, the protocol cannot carry it | never | |
//!
//! Besides, always: another target is left, `within` is not over, the body can be sent from its beginning, nothing of an answer went to
//! the client, and a request that changes protocols is sent once. *Safe* and *idempotent* are those of RFC 9110 section 9.2.
//! Every target is tried once; the same one is tried twice only as [`crate::upstream::Resend`] says, which costs no try.

use std::time::Duration;

use http::{Method, Response, StatusCode};

use crate::config::backends::Retry;
use crate::upstream::{Resend, UpstreamError};

/// The attempts of one request so far, and what they may become.
#[derive(Debug)]
pub(super) struct Course<'a> {
    retry: &'a Retry,
    nature: Nature,
    started: Duration,
    /// Attempts at which something was sent.
    begun: u32,
}

/// What may be done with a request that perhaps was done already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nature {
    /// Asks for nothing to be changed.
    Safe,
    /// Doing it twice is like doing it once.
    Idempotent,
    Once,
    /// It changes protocols.
    Switch,
}

/// What became of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Nothing of the request was written.
    Unsent,
    Refused,
    /// The connection ended before the head of an answer did.
    Ended,
    TimedOut,
    Answered(StatusCode),
    /// No other target would do better.
    Hopeless,
}

/// Whether a request's body can be sent from its beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    Whole,
    Lost,
}

/// What follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// To another target, if one is left.
    Elsewhere,
    /// What came of this attempt is what the client gets.
    Stop,
}

impl<'a> Course<'a> {
    /// Before the first attempt.
    pub(super) fn begin(retry: &'a Retry, nature: Nature, now: Duration) -> Self {
        Self {
            retry,
            nature,
            started: now,
            begun: 0,
        }
    }

    /// After an attempt.
    pub(super) fn after(&mut self, outcome: Outcome, body: Body, now: Duration) -> Verdict {
        if outcome != Outcome::Unsent {
            self.begun += 1;
        }
        let has_time = now.saturating_sub(self.started) < self.retry.within;
        let has_try = outcome == Outcome::Unsent || self.begun < self.retry.tries.get();
        if has_time && has_try && body == Body::Whole && self.may_repeat(outcome) {
            Verdict::Elsewhere
        } else {
            Verdict::Stop
        }
    }

    fn may_repeat(&self, outcome: Outcome) -> bool {
        let on = &self.retry.on;
        let is_idempotent = matches!(self.nature, Nature::Safe | Nature::Idempotent);
        match outcome {
            Outcome::Unsent => on.connect,
            Outcome::Refused => (on.connect || on.reset) && self.nature != Nature::Switch,
            Outcome::Ended => on.reset && is_idempotent,
            Outcome::TimedOut => {
                let is_named = on.statuses.contains(&StatusCode::GATEWAY_TIMEOUT);
                is_named && self.nature == Nature::Safe
            }
            Outcome::Answered(status) => on.statuses.contains(&status) && is_idempotent,
            Outcome::Hopeless => false,
        }
    }
}

impl Nature {
    /// Of a method, and of whether it is to change protocols.
    pub(super) fn of(method: &Method, is_switch: bool) -> Self {
        if is_switch {
            Self::Switch
        } else if method.is_safe() {
            Self::Safe
        } else if method.is_idempotent() {
            Self::Idempotent
        } else {
            Self::Once
        }
    }

    /// What the same target may see twice.
    pub(super) fn resend(self) -> Resend {
        match self {
            Self::Safe | Self::Idempotent => Resend::Allowed,
            Self::Once => Resend::IfRefused,
            Self::Switch => Resend::Forbidden,
        }
    }
}

impl Outcome {
    /// What came back from an upstream.
    pub(super) fn of<B>(answered: &Result<Response<B>, UpstreamError>) -> Self {
        match answered {
            Ok(answer) => Self::Answered(answer.status()),
            Err(error) => Self::of_failure(error),
        }
    }

    fn of_failure(error: &UpstreamError) -> Self {
        match error {
            UpstreamError::Unreachable(_)
            | UpstreamError::Unresolved(_)
            | UpstreamError::ConnectTimedOut
            | UpstreamError::Tls(_)
            | UpstreamError::Handshake(_)
            | UpstreamError::Busy
            | UpstreamError::Unsent(_) => Self::Unsent,
            UpstreamError::Refused(_) => Self::Refused,
            UpstreamError::Closed(_) | UpstreamError::Cut(_) => Self::Ended,
            UpstreamError::ResponseTimedOut => Self::TimedOut,
            UpstreamError::Malformed(_)
            | UpstreamError::ClientBody(_)
            | UpstreamError::Unfit(_) => Self::Hopeless,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::config::backends::RetryOn;

    const NATURES: [Nature; 4] = [
        Nature::Safe,
        Nature::Idempotent,
        Nature::Once,
        Nature::Switch,
    ];
    const NOW: Duration = Duration::from_secs(7);

    fn retry(tries: u32) -> Retry {
        Retry {
            tries: NonZeroU32::new(tries).unwrap(),
            on: RetryOn {
                connect: true,
                reset: true,
                statuses: [502, 503, 504]
                    .map(|code| StatusCode::from_u16(code).unwrap())
                    .into(),
            },
            within: Duration::from_secs(10),
        }
    }

    fn goes_on(retry: &Retry, outcome: Outcome) -> [bool; 4] {
        NATURES.map(|nature| {
            let mut course = Course::begin(retry, nature, NOW);
            course.after(outcome, Body::Whole, NOW) == Verdict::Elsewhere
        })
    }

    #[test]
    fn the_table_holds() {
        let all = retry(2);
        let mut none = retry(2);
        none.on = RetryOn {
            connect: false,
            reset: false,
            statuses: Box::default(),
        };
        for (outcome, expected) in [
            (Outcome::Unsent, [true, true, true, true]),
            (Outcome::Refused, [true, true, true, false]),
            (Outcome::Ended, [true, true, false, false]),
            (Outcome::TimedOut, [true, false, false, false]),
            (
                Outcome::Answered(StatusCode::BAD_GATEWAY),
                [true, true, false, false],
            ),
            (
                Outcome::Answered(StatusCode::SERVICE_UNAVAILABLE),
                [true, true, false, false],
            ),
            (
                Outcome::Answered(StatusCode::INTERNAL_SERVER_ERROR),
                [false; 4],
            ),
            (Outcome::Answered(StatusCode::OK), [false; 4]),
            (Outcome::Hopeless, [false; 4]),
        ] {
            assert_eq!(goes_on(&all, outcome), expected, "{outcome:?}");
            assert_eq!(goes_on(&none, outcome), [false; 4], "{outcome:?}");
        }
    }

    #[test]
    fn by_default_no_answer_and_no_silence_is_repeated() {
        let retry = Retry::default();
        let busy = Outcome::Answered(StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(goes_on(&retry, busy), [false; 4]);
        assert_eq!(goes_on(&retry, Outcome::TimedOut), [false; 4]);
        assert_eq!(goes_on(&retry, Outcome::Unsent), [true; 4]);
    }

    #[test]
    fn only_what_was_sent_costs_a_try() {
        let retry = retry(3);
        let mut course = Course::begin(&retry, Nature::Safe, NOW);
        let mut after = |outcome| course.after(outcome, Body::Whole, NOW);
        for _ in 0..20 {
            assert_eq!(after(Outcome::Unsent), Verdict::Elsewhere);
        }
        assert_eq!(after(Outcome::Ended), Verdict::Elsewhere);
        assert_eq!(after(Outcome::Ended), Verdict::Elsewhere);
        assert_eq!(after(Outcome::Unsent), Verdict::Elsewhere);
        assert_eq!(after(Outcome::Ended), Verdict::Stop);
    }

    #[test]
    fn nothing_is_tried_again_after_its_time_or_without_its_body() {
        let retry = retry(2);
        for (body, later, verdict) in [
            (
                Body::Whole,
                Duration::from_millis(9_900),
                Verdict::Elsewhere,
            ),
            (Body::Whole, Duration::from_secs(10), Verdict::Stop),
            (Body::Lost, Duration::ZERO, Verdict::Stop),
        ] {
            let mut course = Course::begin(&retry, Nature::Safe, NOW);
            assert_eq!(course.after(Outcome::Unsent, body, NOW + later), verdict);
        }
    }

    #[test]
    fn what_may_be_repeated_is_as_http_says() {
        for (method, nature) in [
            (Method::GET, Nature::Safe),
            (Method::OPTIONS, Nature::Safe),
            (Method::PUT, Nature::Idempotent),
            (Method::DELETE, Nature::Idempotent),
            (Method::POST, Nature::Once),
            (Method::PATCH, Nature::Once),
            (Method::from_bytes(b"BREW").unwrap(), Nature::Once),
        ] {
            assert_eq!(Nature::of(&method, false), nature, "{method}");
            assert_eq!(Nature::of(&method, true), Nature::Switch);
        }
    }
}

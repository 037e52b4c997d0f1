//! The way down: an upstream's answer is judged as strictly as a request, loses what ended at our hop, and gets the few fields we add.

use std::borrow::Cow;
use std::fmt;

use http::header::{CONNECTION, DATE, STRICT_TRANSPORT_SECURITY, UPGRADE};
use http::response::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version};

use super::connection;
use super::edit::{Fate, insert_missing, rebuild};
use super::facts::{Facts, Scheme};
use super::field::{Kind, Kinds, classify};
use super::framing::{Framing, framing};
use super::received::{FIELDS_MAX, Received, is_padded};
use super::rules;
use crate::config::site::Rule;
use crate::proxy::reply::{self, Reply};

/// Why an upstream's answer cannot be passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BrokenAnswer {
    /// Lengths that are no numbers, differ, or stand beside `Transfer-Encoding`; codings that are not exactly `chunked`.
    Framing,
    /// `Connection` names a field that is not the connection's own.
    Connection,
    /// Space around a value.
    PaddedValue,
    TooManyFields,
    /// A 101 that nobody asked for, or to another protocol.
    Switch,
}

/// Judges and edits an answer for the client of `received`. `date` is used if the upstream sent none.
/// A 101 keeps `Connection` and `Upgrade`: whoever gets one back may join the two connections.
///
/// # Errors
/// Nothing of a broken answer may reach the client.
pub fn inbound(
    parts: &mut Parts,
    received: &Received,
    rule: &Rule,
    facts: &Facts<'_>,
    date: &HeaderValue,
) -> Result<(), BrokenAnswer> {
    let kinds = survey(&parts.headers)?;
    let switch = switch(parts, received)?;
    judge_framing(parts)?;
    strip(parts, received, kinds)?;
    parts.version = Version::HTTP_11;
    let headers = &mut parts.headers;
    if let Some(protocol) = switch {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, protocol);
    } else if parts.status.is_informational() {
        return Ok(());
    }
    insert_missing(headers, DATE, date);
    if let (Some(hsts), Scheme::Https) = (&rule.hsts, facts.scheme) {
        headers.insert(STRICT_TRANSPORT_SECURITY, hsts.clone());
    }
    rules::apply(headers, &rule.response_headers, facts);
    Ok(())
}

fn survey(headers: &HeaderMap) -> Result<Kinds, BrokenAnswer> {
    if headers.len() > FIELDS_MAX {
        return Err(BrokenAnswer::TooManyFields);
    }
    let mut kinds = Kinds::default();
    for (name, value) in headers {
        if is_padded(value) {
            return Err(BrokenAnswer::PaddedValue);
        }
        kinds.insert(classify(name));
    }
    Ok(kinds)
}

/// The protocol of a 101 that was asked for; none for every other status.
fn switch(parts: &Parts, received: &Received) -> Result<Option<HeaderValue>, BrokenAnswer> {
    if parts.status != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(None);
    }
    received
        .upgrade
        .as_ref()
        .and_then(|upgrade| upgrade.agreed(&parts.headers))
        .map(Some)
        .ok_or(BrokenAnswer::Switch)
}

fn judge_framing(parts: &Parts) -> Result<(), BrokenAnswer> {
    let framing = framing(&parts.headers).map_err(|_fault| BrokenAnswer::Framing)?;
    let knows_chunks = parts.version == Version::HTTP_11;
    if framing == Framing::Open && !knows_chunks {
        return Err(BrokenAnswer::Framing);
    }
    Ok(())
}

const REMOVED: Kinds = Kinds::of(&[
    Kind::Te,
    Kind::Upgrade,
    Kind::Connection,
    Kind::TransferEncoding,
    Kind::HopByHop,
]);

fn strip(parts: &mut Parts, received: &Received, kinds: Kinds) -> Result<(), BrokenAnswer> {
    let options =
        connection::options(&parts.headers, kinds).map_err(|_refusal| BrokenAnswer::Connection)?;
    let repeats = parts.headers.len() != parts.headers.keys_len();
    let lengths_allowed = match may_have_length(parts.status, &received.method) {
        true => 1,
        false => 0,
    };
    let length_is_odd = kinds.contains(Kind::ContentLength) && (repeats || lengths_allowed == 0);
    if !kinds.intersects(REMOVED) && !length_is_odd {
        return Ok(());
    }
    let mut lengths = 0;
    rebuild(&mut parts.headers, |name, _| match classify(name) {
        Kind::Te | Kind::Upgrade | Kind::Connection | Kind::TransferEncoding | Kind::HopByHop => {
            Fate::Go
        }
        Kind::ContentLength => {
            lengths += 1;
            if lengths > lengths_allowed {
                Fate::Go
            } else {
                Fate::Stay
            }
        }
        Kind::Plain
        | Kind::Host
        | Kind::Via
        | Kind::Cookie
        | Kind::Expect
        | Kind::MaxForwards
        | Kind::Forwarding
        | Kind::Lookalike => {
            if options.listed.contains(name) {
                Fate::Go
            } else {
                Fate::Stay
            }
        }
    });
    Ok(())
}

/// R9110 8.6.
fn may_have_length(status: StatusCode, method: &Method) -> bool {
    let is_tunnel = *method == Method::CONNECT && status.is_success();
    !status.is_informational() && status != StatusCode::NO_CONTENT && !is_tunnel
}

impl BrokenAnswer {
    /// The stable name of the fault, for replies, logs and counters.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.meaning().0
    }

    fn meaning(self) -> (&'static str, &'static str) {
        match self {
            Self::Framing => (
                "upstream-bad-framing",
                "the upstream's answer has no certain length",
            ),
            Self::Connection => (
                "upstream-bad-connection",
                "the upstream's `Connection` names a field that is not the connection's own",
            ),
            Self::PaddedValue => (
                "upstream-padded-value",
                "a field value of the upstream starts or ends with a space",
            ),
            Self::TooManyFields => (
                "upstream-too-many-fields",
                "the upstream's answer has too many header fields",
            ),
            Self::Switch => (
                "upstream-bad-switch",
                "the upstream switched to a protocol that nobody asked for",
            ),
        }
    }
}

impl From<BrokenAnswer> for Reply {
    fn from(broken: BrokenAnswer) -> Self {
        let (code, words) = broken.meaning();
        Self {
            status: StatusCode::BAD_GATEWAY,
            code,
            words: Cow::Borrowed(words),
            connection: reply::Connection::Keep,
        }
    }
}

impl fmt::Display for BrokenAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.meaning().1)
    }
}

impl std::error::Error for BrokenAnswer {}

//! The way down: an upstream's answer is judged as strictly as a request, loses what ended at our hop, and gets the few fields we add.

use std::fmt;

use http::header::{CONNECTION, CONTENT_LENGTH, DATE, STRICT_TRANSPORT_SECURITY, UPGRADE};
use http::response::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version};

use super::connection;
use super::edit::{Fate, fold, insert_missing, rebuild};
use super::facts::{Facts, Scheme};
use super::field::{Kind, Kinds, classify};
use super::received::{FIELDS_MAX, Received, is_padded};
use super::rules;
use crate::config::site::Rule;
use crate::framing::Framing;
use crate::proxy::reply::Reply;

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
    judge_framing(parts, kinds)?;
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

fn judge_framing(parts: &Parts, kinds: Kinds) -> Result<(), BrokenAnswer> {
    let framing = kinds
        .framing(&parts.headers)
        .map_err(|_fault| BrokenAnswer::Framing)?;
    let knows_chunks = parts.version == Version::HTTP_11;
    if framing == Framing::Open && !knows_chunks {
        return Err(BrokenAnswer::Framing);
    }
    Ok(())
}

/// Fields added to an answer before the user's own.
const ADDED_MAX: usize = 3;

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
    let headers = &mut parts.headers;
    let has_length = kinds.contains(Kind::ContentLength);
    let keeps_length = may_have_length(parts.status, &received.method);
    if has_length {
        fold(headers, &CONTENT_LENGTH);
    }
    if !kinds.intersects(REMOVED) && (keeps_length || !has_length) {
        return Ok(());
    }
    rebuild(headers, ADDED_MAX, |name| match classify(name) {
        Kind::Te | Kind::Upgrade | Kind::Connection | Kind::TransferEncoding | Kind::HopByHop => {
            Fate::Go
        }
        Kind::ContentLength if !keeps_length => Fate::Go,
        Kind::ContentLength => Fate::Stay,
        _ if options.listed.contains(name) => Fate::Go,
        Kind::Plain
        | Kind::Host
        | Kind::Via
        | Kind::Cookie
        | Kind::Expect
        | Kind::MaxForwards
        | Kind::Forwarding
        | Kind::Lookalike => Fate::Stay,
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
        Self::new(StatusCode::BAD_GATEWAY, code, words)
    }
}

impl fmt::Display for BrokenAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.meaning().1)
    }
}

impl std::error::Error for BrokenAnswer {}

#[cfg(test)]
mod tests {
    use http::Response;

    use super::*;
    use crate::config::site::{HeaderEdit, HeaderRule};
    use crate::proxy::testing::{facts, fields_of, judge, lines_of, request, rule, template};

    const DATE_NOW: HeaderValue = HeaderValue::from_static("now");

    fn answer(
        asked: (&str, &[&str]),
        status: u16,
        fields: &[&str],
        rule: &Rule,
    ) -> Result<Vec<String>, BrokenAnswer> {
        let received = judge(&request(asked.0, asked.1)).unwrap();
        let (mut parts, ()) = Response::new(()).into_parts();
        parts.status = StatusCode::from_u16(status).unwrap();
        parts.headers = fields_of(fields);
        inbound(&mut parts, &received, rule, &facts(), &DATE_NOW)?;
        Ok(lines_of(&parts.headers))
    }

    #[track_caller]
    fn check(method: &str, status: u16, fields: &[&str], expected: Result<&[&str], BrokenAnswer>) {
        let line = format!("{method} / 1.1");
        let seen = answer((&line, &["host: a.test"]), status, fields, &rule());
        let expected = expected.map(|lines| lines.iter().map(ToString::to_string).collect());
        assert_eq!(seen, expected, "{method} {status} {fields:?}");
    }

    #[test]
    fn what_ended_at_our_hop_goes_and_the_rest_stays() {
        let fields = [
            "server: up",
            "connection: keep-alive, x-gone",
            "set-cookie: a=1",
            "keep-alive: timeout=5",
            "set-cookie: b=2",
            "x-gone: 1",
            "proxy-authenticate: basic",
            "upgrade: h2",
            "trailer: x-sum",
            "transfer-encoding: chunked",
            "x-forwarded-thing: stays",
            "date: then",
        ];
        let left = [
            "server: up",
            "set-cookie: a=1",
            "set-cookie: b=2",
            "trailer: x-sum",
            "x-forwarded-thing: stays",
            "date: then",
        ];
        check("GET", 200, &fields, Ok(&left));
        check("GET", 200, &["x: y"], Ok(&["x: y", "date: now"]));
    }

    #[test]
    fn lengths_stay_where_they_are_allowed() {
        let length = "content-length: 5";
        check("GET", 200, &[length, length], Ok(&[length, "date: now"]));
        check("HEAD", 200, &[length], Ok(&[length, "date: now"]));
        check("GET", 304, &[length], Ok(&[length, "date: now"]));
        check("GET", 204, &[length], Ok(&["date: now"]));
        check("GET", 103, &[length, "link: x"], Ok(&["link: x"]));
    }

    #[test]
    fn broken_answers_are_not_passed() {
        for fields in [
            &["content-length: 1", "content-length: 2"][..],
            &["content-length: x"],
            &["content-length: 1", "transfer-encoding: chunked"],
            &["transfer-encoding: gzip, chunked"],
            &["transfer-encoding: chunked, chunked"],
        ] {
            check("GET", 200, fields, Err(BrokenAnswer::Framing));
        }
        check(
            "GET",
            200,
            &["connection: content-length"],
            Err(BrokenAnswer::Connection),
        );
        check("GET", 200, &["x:  y"], Err(BrokenAnswer::PaddedValue));
        assert_eq!(
            Reply::from(BrokenAnswer::Framing).status,
            StatusCode::BAD_GATEWAY
        );
    }

    #[test]
    fn a_101_answers_only_what_was_asked() {
        let asked = ["host: a.test", "connection: upgrade", "upgrade: websocket"];
        let switch = |fields| answer(("GET / 1.1", &asked), 101, fields, &rule());
        let agreed = [
            "upgrade: WebSocket",
            "connection: Upgrade",
            "sec-websocket-accept: x",
        ];
        let expected = [
            "sec-websocket-accept: x",
            "connection: upgrade",
            "upgrade: WebSocket",
            "date: now",
        ];
        assert_eq!(
            switch(&agreed),
            Ok(expected.map(ToOwned::to_owned).to_vec())
        );
        assert_eq!(switch(&["upgrade: tcp"]), Err(BrokenAnswer::Switch));
        assert_eq!(switch(&[]), Err(BrokenAnswer::Switch));
        check("GET", 101, &agreed, Err(BrokenAnswer::Switch));
    }

    #[test]
    fn the_users_rules_and_hsts_come_last() {
        let mut rule = rule();
        rule.hsts = Some(HeaderValue::from_static("max-age=1"));
        rule.response_headers = [
            HeaderRule {
                name: http::header::SERVER,
                edit: HeaderEdit::Remove,
            },
            HeaderRule {
                name: CONTENT_LENGTH,
                edit: HeaderEdit::Set([template("7")].into()),
            },
        ]
        .into();
        let fields = ["server: up", "strict-transport-security: x", "date: then"];
        let seen = answer(("GET / 1.1", &["host: a.test"]), 200, &fields, &rule).unwrap();
        assert_eq!(seen, ["strict-transport-security: max-age=1", "date: then"]);
    }
}

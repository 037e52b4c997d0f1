//! The way up: what a judged head loses, and what is added to it.

use http::header::{CONNECTION, CONTENT_LENGTH, COOKIE, HOST, TE, TRANSFER_ENCODING, UPGRADE, VIA};
use http::request::Parts;
use http::uri::{PathAndQuery, Uri};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::edit::{Fate, fold, join, rebuild};
use super::facts::Facts;
use super::field::{Kind, Kinds, classify};
use super::forwarded::{
    Forwarded, X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PORT, X_FORWARDED_PREFIX,
    X_FORWARDED_PROTO, X_REQUEST_ID,
};
use super::received::{Protocol, Received};
use super::refusal::Refusal;
use super::{hops, rules};
use crate::config::site::Rule;
use crate::proxy::path;

/// Edits a judged head for the upstream: hop-by-hop fields go, ours come, the user's rules follow, the target becomes origin-form.
/// What remains is the same for every attempt; [`super::to_http1`] or [`super::to_http2`] finishes a copy for one.
///
/// # Errors
/// When the path cannot be stripped or rewritten safely.
pub fn outbound(
    parts: &mut Parts,
    received: &Received,
    rule: &Rule,
    facts: &Facts<'_>,
) -> Result<(), Refusal> {
    let target_names_host = parts.uri.authority().is_some();
    let prefix = retarget(parts, rule)?;
    let headers = &mut parts.headers;
    strip(headers, received, facts.forwarded);
    if let (Some(authority), true) = (&received.authority, target_names_host) {
        headers.insert(HOST, authority.field().clone());
    }
    match facts.forwarded {
        Some(forwarded) => forwarded.tell(headers, prefix),
        None => tell(headers, received, facts, prefix),
    }
    if let Some(certificate) = facts.certificate {
        certificate.tell(headers);
    }
    headers.append(X_REQUEST_ID, facts.request_id.clone());
    headers.append(VIA, hops::via(received.protocol));
    strip_named(headers, received.kinds);
    if received.kinds.contains(Kind::MaxForwards) {
        hops::count_hop(&parts.method, headers);
    }
    rules::apply(headers, &rule.request_headers, facts);
    Ok(())
}

/// Says who asked for what, where nobody else's word counts.
fn tell(
    headers: &mut HeaderMap,
    received: &Received,
    facts: &Facts<'_>,
    prefix: Option<HeaderValue>,
) {
    headers.append(X_FORWARDED_FOR, facts.client_ip.clone());
    headers.append(X_FORWARDED_PROTO, facts.scheme.field());
    if let Some(authority) = &received.authority {
        headers.append(X_FORWARDED_HOST, authority.field().clone());
    }
    headers.append(X_FORWARDED_PORT, facts.port.clone());
    if let Some(prefix) = prefix {
        headers.append(X_FORWARDED_PREFIX, prefix);
    }
}

/// Strips, rewrites, and drops scheme and authority from the target. Returns the prefix that was stripped.
fn retarget(parts: &mut Parts, rule: &Rule) -> Result<Option<HeaderValue>, Refusal> {
    let is_origin_form = parts.uri.authority().is_none();
    if is_origin_form && rule.strip_prefix.is_none() && rule.rewrites.is_empty() {
        return Ok(None);
    }
    let slash = PathAndQuery::from_static("/");
    let sent = parts.uri.path_and_query().unwrap_or(&slash);
    let (path, prefix) = path::retarget(sent, rule.strip_prefix.as_deref(), &rule.rewrites)?;
    parts.uri = Uri::from(path);
    let value = prefix.and_then(|prefix| HeaderValue::from_bytes(prefix.as_bytes()).ok());
    Ok(value)
}

/// Fields added to a head, those of its form included.
const ADDED_MAX: usize = 12;

/// Fields of one name each. There are no more of them than of fields that are always added anew.
const NAMED: [(Kind, HeaderName); 4] = [
    (Kind::Connection, CONNECTION),
    (Kind::Te, TE),
    (Kind::Upgrade, UPGRADE),
    (Kind::TransferEncoding, TRANSFER_ENCODING),
];

/// Fields of many names, for which the map is rebuilt.
const NAMELESS: Kinds = Kinds::of(&[Kind::HopByHop, Kind::Forwarding, Kind::Lookalike]);

/// Removes what ends here but for the [`NAMED`] ones, and makes cookies and lengths one line each.
fn strip(headers: &mut HeaderMap, received: &Received, forwarded: Option<&Forwarded>) {
    let kinds = received.kinds;
    if received.protocol == Protocol::Http2 && kinds.contains(Kind::Cookie) {
        join(headers, &COOKIE, b"; ");
    }
    if kinds.contains(Kind::ContentLength) {
        fold(headers, &CONTENT_LENGTH);
    }
    let expects = received.protocol == Protocol::Http10 && kinds.contains(Kind::Expect);
    if kinds.intersects(NAMELESS) || !received.listed.is_empty() || expects {
        rebuild(headers, ADDED_MAX, |name| match classify(name) {
            Kind::Plain | Kind::Via | Kind::Cookie | Kind::Expect | Kind::MaxForwards
                if received.listed.contains(name) =>
            {
                Fate::Go
            }
            Kind::Expect if expects => Fate::Go,
            Kind::Forwarding if forwarded.is_some() && Forwarded::keeps(name) => Fate::Stay,
            Kind::Plain
            | Kind::Host
            | Kind::Via
            | Kind::Cookie
            | Kind::Expect
            | Kind::MaxForwards
            | Kind::ContentLength => Fate::Stay,
            Kind::Te
            | Kind::Upgrade
            | Kind::Connection
            | Kind::TransferEncoding
            | Kind::HopByHop
            | Kind::Forwarding
            | Kind::Lookalike => Fate::Go,
        });
    } else {
        headers.reserve(ADDED_MAX);
    }
}

/// Removes the fields of one name each. Called once ours are added: `HeaderMap::remove` moves the last field into the hole,
/// so that the client's keep their order and one of ours stands between them, at a tenth of a rebuild's price.
fn strip_named(headers: &mut HeaderMap, kinds: Kinds) {
    for (kind, name) in &NAMED {
        if kinds.contains(*kind) {
            headers.remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::site::{HeaderEdit, HeaderRule};
    use crate::proxy::headers::ClientCertificate;
    use crate::proxy::testing::{facts, judge, lines_of, request, rule, template};

    const OURS: [&str; 6] = [
        "x-forwarded-for: 192.0.2.7",
        "x-forwarded-proto: https",
        "x-forwarded-host: a.test",
        "x-forwarded-port: 443",
        "x-request-id: 0198",
        "via: 1.1 onedoor",
    ];

    fn edited(line: &str, fields: &[&str], rule: &Rule) -> Parts {
        let mut parts = request(line, fields);
        let received = judge(&parts).unwrap();
        outbound(&mut parts, &received, rule, &facts()).unwrap();
        parts
    }

    #[track_caller]
    fn check(line: &str, fields: &[&str], expected: &[&str]) {
        let parts = edited(line, fields, &rule());
        assert_eq!(lines_of(&parts.headers), expected, "{line}");
    }

    fn with_ours(fields: &[&'static str]) -> Vec<&'static str> {
        [fields, &OURS].concat()
    }

    #[test]
    fn fields_keep_their_order_and_repeats() {
        let fields = ["x-b: 1", "host: a.test", "accept: */*", "x-a: 2", "x-a: é"];
        check("GET / 1.1", &fields, &with_ours(&fields));
        let removable = ["connection: close, x-gone", "x-gone: 1"];
        check(
            "GET / 1.1",
            &[&fields[..], &removable].concat(),
            &with_ours(&fields),
        );
        check(
            "GET / 1.1",
            &[&removable, &fields[..]].concat(),
            &with_ours(&fields),
        );
    }

    #[test]
    fn the_clients_fields_keep_their_order_around_a_hole() {
        let fields = [
            "host: a.test",
            "connection: keep-alive",
            "a: 1",
            "te: gzip",
            "b: 2",
            "upgrade: websocket",
            "transfer-encoding: chunked",
            "c: 3",
        ];
        let parts = edited("GET / 1.1", &fields, &rule());
        let mut lines = lines_of(&parts.headers);
        assert_eq!(lines.len(), 4 + OURS.len());
        lines.retain(|line| !OURS.contains(&line.as_str()));
        assert_eq!(lines, ["host: a.test", "a: 1", "b: 2", "c: 3"]);
    }

    #[test]
    fn what_ends_at_our_hop_goes() {
        let fields = [
            "host: a.test",
            "connection: keep-alive, x-listed, cookie",
            "keep-alive: timeout=5",
            "proxy-connection: keep-alive",
            "proxy-authenticate: x",
            "proxy-authorization: x",
            "te: trailers",
            "upgrade: h2c",
            "http2-settings: x",
            "x-listed: 1",
            "cookie: gone=1",
            "trailer: x-sum",
            "expect: 100-continue",
            "content_length: 7",
        ];
        let left = ["host: a.test", "trailer: x-sum", "expect: 100-continue"];
        check("GET / 1.1", &fields, &with_ours(&left));
    }

    #[test]
    fn repeated_lengths_are_folded() {
        let fields = ["host: a.test", "content-length: 3", "content-length: 3"];
        check("PUT / 1.1", &fields, &with_ours(&fields[..2]));
    }

    #[test]
    fn nobody_else_says_who_the_client_is() {
        let fields = [
            "host: a.test",
            "X-FORWARDED-FOR: 1.2.3.4",
            "x_forwarded_for: 1.2.3.4",
            "x-forwarded-proto: http",
            "x-forwarded-prefix: /x",
            "forwarded: for=1.2.3.4",
            "x-real-ip: 1.2.3.4",
            "x-client-cert-subject: CN=root",
            "x_client-cert_fingerprint: 00",
            "x-request-id: mine",
        ];
        check("GET / 1.1", &fields, &with_ours(&["host: a.test"]));
    }

    #[test]
    fn only_what_the_door_saw_of_a_certificate_is_told() {
        let certificate = ClientCertificate {
            subject: HeaderValue::from_static("CN=ada"),
            fingerprint: HeaderValue::from_static("00ff"),
        };
        let mut facts = facts();
        facts.certificate = Some(&certificate);
        let spoofed = [
            "host: a.test",
            "x-client-cert-subject: CN=root",
            "x_client_cert_fingerprint: 00",
        ];
        let mut parts = request("GET / 1.1", &spoofed);
        let received = judge(&parts).unwrap();
        outbound(&mut parts, &received, &rule(), &facts).unwrap();
        let mut expected = with_ours(&["host: a.test"]);
        let told = [
            "x-client-cert-subject: CN=ada",
            "x-client-cert-fingerprint: 00ff",
        ];
        expected.splice(5..5, told);
        assert_eq!(lines_of(&parts.headers), expected);
    }

    #[test]
    fn via_follows_those_before() {
        let mut expected = with_ours(&["host: a.test", "via: 1.0 other"]);
        let own = expected.pop().unwrap();
        expected.insert(2, own);
        check("GET / 1.1", &["host: a.test", "via: 1.0 other"], &expected);
    }

    #[test]
    fn an_absolute_target_becomes_origin_form_and_host() {
        let parts = edited("GET http://b.test?q 1.1", &["host: a.test"], &rule());
        assert_eq!(parts.uri, "/?q");
        assert_eq!(parts.headers[HOST], "b.test");
        assert_eq!(parts.headers[X_FORWARDED_HOST], "b.test");
    }

    #[test]
    fn the_users_rules_have_the_last_word_but_not_on_framing() {
        let edit = |name, edit| HeaderRule {
            name: HeaderName::from_static(name),
            edit,
        };
        let set = |value| HeaderEdit::Set([template(value)].into());
        let mut rule = rule();
        rule.strip_prefix = Some("/app".into());
        rule.request_headers = [
            edit("x-request-id", HeaderEdit::Remove),
            edit("x-forwarded-for", set("unknown")),
            edit("x-a", HeaderEdit::Append([template("2")].into())),
            edit(
                "x-b",
                HeaderEdit::Set([template("3"), template("4")].into()),
            ),
            edit("connection", set("close")),
            edit("content-length", set("9")),
        ]
        .into();
        let fields = ["host: a.test", "x-b: 0", "x-a: 1"];
        let parts = edited("GET /app/x?q 1.1", &fields, &rule);
        let expected = [
            "host: a.test",
            "x-b: 3",
            "x-b: 4",
            "x-a: 1",
            "x-a: 2",
            "x-forwarded-for: unknown",
            "x-forwarded-proto: https",
            "x-forwarded-host: a.test",
            "x-forwarded-port: 443",
            "x-forwarded-prefix: /app",
            "via: 1.1 onedoor",
        ];
        assert_eq!(lines_of(&parts.headers), expected);
        assert_eq!(parts.uri, "/x?q");
    }
}

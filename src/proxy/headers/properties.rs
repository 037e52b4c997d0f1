//! What holds for every head that a library could give us.

use http::{HeaderMap, Response, StatusCode};
use proptest::prelude::*;

use super::field::{Kind, classify};
use super::{Body, Received, Scheme, inbound, outbound, to_http1, to_http2};
use crate::config::Limits;
use crate::config::site::{HostField, Rule};
use crate::framing::Framing;
use crate::proxy::testing::{facts, fields_of, judge, request, rule};

fn name() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "host",
        "connection",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "content-length",
        "upgrade",
        "cookie",
        "via",
        "forwarded",
        "x-forwarded-for",
        "X_Forwarded_For",
        "x-real-ip",
        "x-client-cert-subject",
        "proxy-authorization",
        "proxy_connection",
        "max-forwards",
        "expect",
        "x-request-id",
    ]);
    prop_oneof![
        known.prop_map(ToOwned::to_owned),
        "[a-z]{1,3}",
        "[A-Za-z0-9!#$%&'*+.^_`|~-]{1,20}"
    ]
}

fn value() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "a.test",
        "b.test:1",
        "chunked",
        "gzip, chunked",
        "5",
        "6",
        "close",
        "keep-alive, a, b",
        "upgrade",
        "websocket",
        "trailers",
        "h2c",
        "1.1 onedoor",
        "0",
        "cookie, te",
        ":path",
    ]);
    prop_oneof![4 => known.prop_map(ToOwned::to_owned), 1 => "[ -~é]{0,12}"]
}

fn fields() -> impl Strategy<Value = Vec<String>> {
    let field = (name(), value()).prop_map(|(name, value)| format!("{name}: {value}"));
    prop::collection::vec(field, 0..14)
}

fn line() -> impl Strategy<Value = String> {
    let method = prop::sample::select(vec!["GET", "POST", "OPTIONS", "TRACE", "CONNECT", "BREW"]);
    let target = prop::sample::select(vec![
        "/",
        "/p/x?q",
        "/p/..%2fx",
        "*",
        "http://a.test/x",
        "https://a.test",
        "//x",
        "a.test:1",
    ]);
    let version = prop::sample::select(vec!["1.0", "1.1", "2"]);
    (method, target, version)
        .prop_map(|(method, target, version)| format!("{method} {target} {version}"))
}

/// The fields that may pass, as lists of values by name in the order of their first lines.
fn passing(headers: &HeaderMap, received: &Received) -> Vec<(String, Vec<Vec<u8>>)> {
    headers
        .keys()
        .filter(|name| classify(name) == Kind::Plain && !received.listed.contains(name))
        .map(|name| {
            let values = headers.get_all(name).iter();
            let values = values.map(|value| value.as_bytes().to_vec()).collect();
            (name.to_string(), values)
        })
        .collect()
}

fn ends_here(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| match classify(name) {
        Kind::Te
        | Kind::Upgrade
        | Kind::Connection
        | Kind::TransferEncoding
        | Kind::HopByHop
        | Kind::Lookalike => true,
        Kind::Plain
        | Kind::Host
        | Kind::Via
        | Kind::Cookie
        | Kind::Expect
        | Kind::MaxForwards
        | Kind::ContentLength
        | Kind::Forwarding => false,
    })
}

fn stripping() -> Rule {
    Rule {
        strip_prefix: Some("/p".into()),
        ..rule()
    }
}

proptest! {
    #[test]
    fn a_head_that_goes_on_is_clean_and_otherwise_as_it_was(
        line in line(),
        lines in fields(),
        host in prop::bool::weighted(0.9),
    ) {
        let mut lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        if host {
            lines.retain(|line| !line.starts_with("host:"));
            lines.push("host: a.test");
        }
        let mut parts = request(&line, &lines);
        let Ok(received) = judge(&parts) else {
            return Ok(());
        };
        let before = passing(&parts.headers, &received);
        if outbound(&mut parts, &received, &stripping(), &facts()).is_err() {
            return Ok(());
        }
        prop_assert!(!ends_here(&parts.headers));
        prop_assert_eq!(passing(&parts.headers, &received), before);
        prop_assert_eq!(parts.headers.get_all("x-forwarded-for").iter().count(), 1);
        prop_assert_eq!(&parts.headers["x-forwarded-for"], "192.0.2.7");
        prop_assert!(parts.headers.get_all("content-length").iter().count() <= 1);
        prop_assert!(parts.uri.authority().is_none());

        let target = http::HeaderValue::from_static("up.test");
        let mut upper = parts.clone();
        if to_http1(&mut parts, &received, &HostField::Preserve, &target).is_ok() {
            prop_assert_eq!(parts.headers.get_all("host").iter().count(), 1);
            let chunked = parts.headers.contains_key("transfer-encoding");
            prop_assert_eq!(chunked, received.framing == Framing::Open);
            prop_assert!(!(chunked && parts.headers.contains_key("content-length")));
        }
        if to_http2(&mut upper, &received, &HostField::Upstream, &target, Scheme::Http).is_ok() {
            upper.headers.remove("te");
            prop_assert!(!ends_here(&upper.headers));
            prop_assert!(!upper.headers.contains_key("host"));
        }
    }

    #[test]
    fn an_answer_that_goes_on_is_clean_and_otherwise_as_it_was(
        lines in fields(),
        status in 101_u16..600,
    ) {
        let asked = ["host: a.test", "connection: upgrade", "upgrade: websocket"];
        let received = judge(&request("GET / 1.1", &asked)).unwrap();
        let (mut parts, ()) = Response::new(()).into_parts();
        parts.status = StatusCode::from_u16(status).unwrap();
        parts.headers = fields_of(&lines.iter().map(String::as_str).collect::<Vec<_>>());
        let upgrading = status == 101;
        let date = http::HeaderValue::from_static("now");
        if inbound(&mut parts, &received, &rule(), &facts(), &date).is_ok() {
            if upgrading {
                prop_assert_eq!(&parts.headers["connection"], "upgrade");
                parts.headers.remove("connection");
                parts.headers.remove("upgrade");
            }
            let lookalike = |name: &http::HeaderName| classify(name) == Kind::Lookalike;
            super::edit::drop_where(&mut parts.headers, lookalike);
            prop_assert!(!ends_here(&parts.headers));
        }
    }

    #[test]
    fn no_head_makes_the_judge_fall(line in line(), lines in fields(), uri_bytes in 0_u64..20) {
        let parts = request(&line, &lines.iter().map(String::as_str).collect::<Vec<_>>());
        let limits = Limits { uri_bytes, ..Limits::default() };
        let _judged = Received::judge(&parts, Body::Follows, Scheme::Http, &limits);
    }
}

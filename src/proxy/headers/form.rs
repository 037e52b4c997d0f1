//! The form of an edited head for the protocol that an upstream speaks.

use http::header::{self, CONNECTION, HOST, TE, TRANSFER_ENCODING, UPGRADE};
use http::request::Parts;
use http::uri::{self, Uri};
use http::{HeaderMap, HeaderValue, Version};

use super::connection::Trailers;
use super::edit::drop_where;
use super::facts::Scheme;
use super::received::Received;
use super::refusal::Refusal;
use super::upgrade::Upgrade;
use crate::config::site::HostField;
use crate::framing::Framing;

/// Gives an edited head the form of HTTP/1.1. `target` is the upstream's own authority.
///
/// # Errors
/// When the client asked for an extended `CONNECT`.
pub fn to_http1(
    parts: &mut Parts,
    received: &Received,
    host: &HostField,
    target: &HeaderValue,
) -> Result<(), Refusal> {
    parts.version = Version::HTTP_11;
    let headers = &mut parts.headers;
    match host {
        HostField::Preserve if received.authority.is_some() => {}
        HostField::Preserve | HostField::Upstream => drop(headers.insert(HOST, target.clone())),
        HostField::Literal(literal) => drop(headers.insert(HOST, literal.clone())),
    }
    // The client library frames some methods as empty unless it is told.
    if received.framing == Framing::Open {
        headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    match &received.upgrade {
        None => Ok(()),
        Some(Upgrade::Field(protocols)) => {
            headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
            headers.insert(UPGRADE, protocols.clone());
            Ok(())
        }
        Some(Upgrade::Connect(_)) => Err(Refusal::UpgradeNotCarried),
    }
}

/// Gives an edited head the form of HTTP/2: the authority moves into the target, `TE: trailers` stays.
///
/// # Errors
/// When the client asked for a switch of protocols by `Upgrade`, or the host is no authority.
pub fn to_http2(
    parts: &mut Parts,
    received: &Received,
    host: &HostField,
    target: &HeaderValue,
    scheme: Scheme,
) -> Result<(), Refusal> {
    if matches!(received.upgrade, Some(Upgrade::Field(_))) {
        return Err(Refusal::UpgradeNotCarried);
    }
    parts.version = Version::HTTP_2;
    let authority = match (host, &received.authority) {
        (HostField::Preserve, Some(authority)) => authority.field(),
        (HostField::Preserve, None) | (HostField::Upstream, _) => target,
        (HostField::Literal(literal), _) => literal,
    };
    let mut target = uri::Parts::default();
    target.scheme = Some(scheme.uri());
    target.authority =
        Some(uri::Authority::try_from(authority.as_bytes()).map_err(|_invalid| Refusal::BadHost)?);
    target.path_and_query = parts.uri.path_and_query().cloned();
    parts.uri = Uri::from_parts(target).map_err(|_invalid| Refusal::BadTarget)?;
    drop_where(&mut parts.headers, |name| *name == HOST);
    if received.trailers == Trailers::Welcome || is_grpc(&parts.headers) {
        parts
            .headers
            .insert(TE, HeaderValue::from_static("trailers"));
    }
    Ok(())
}

fn is_grpc(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

#[cfg(test)]
mod tests {
    use http::header::VIA;

    use super::super::outbound::outbound;
    use super::*;
    use crate::proxy::testing::{facts, judge, lines_of, request, rule};

    const TARGET: HeaderValue = HeaderValue::from_static("up.internal:3000");

    fn edited(line: &str, fields: &[&str]) -> (Parts, Received) {
        let mut parts = request(line, fields);
        let received = judge(&parts).unwrap();
        outbound(&mut parts, &received, &rule(), &facts()).unwrap();
        (parts, received)
    }

    fn in_http1(line: &str, fields: &[&str], host: &HostField) -> Parts {
        let (mut parts, received) = edited(line, fields);
        to_http1(&mut parts, &received, host, &TARGET).unwrap();
        assert_eq!(parts.version, Version::HTTP_11);
        parts
    }

    fn in_http2(line: &str, fields: &[&str], host: &HostField) -> Result<Parts, Refusal> {
        let (mut parts, received) = edited(line, fields);
        to_http2(&mut parts, &received, host, &TARGET, Scheme::Https)?;
        assert_eq!(parts.version, Version::HTTP_2);
        Ok(parts)
    }

    #[test]
    fn a_switch_is_passed_on_and_only_it() {
        let host = &HostField::Preserve;
        let asked = [
            "host: a.test",
            "connection: upgrade, close",
            "upgrade: websocket",
        ];
        let parts = in_http1("GET / 1.1", &asked, host);
        assert_eq!(parts.headers[CONNECTION], "upgrade");
        assert_eq!(parts.headers[UPGRADE], "websocket");
        let carried = in_http2("GET / 1.1", &asked, host);
        assert_eq!(carried.err(), Some(Refusal::UpgradeNotCarried));
    }

    #[test]
    fn http2_upstreams_get_the_authority_in_the_target() {
        let fields = ["x-a: 1", "host: a.test", "x-b: 2"];
        let parts = in_http2("POST /p?q 1.1", &fields, &HostField::Preserve).unwrap();
        assert_eq!(parts.uri, "https://a.test/p?q");
        assert_eq!(lines_of(&parts.headers)[..2], [fields[0], fields[2]]);
        let parts = in_http2("POST /p?q 1.1", &fields, &HostField::Upstream).unwrap();
        assert_eq!(parts.uri, "https://up.internal:3000/p?q");
        let parts = in_http2("OPTIONS * 1.1", &fields, &HostField::Preserve).unwrap();
        assert_eq!(parts.uri.path(), "*");
    }

    #[test]
    fn trailers_are_welcome_where_http2_needs_them() {
        let te = |field| {
            let fields = ["host: a.test", field];
            let parts = in_http2("POST / 1.1", &fields, &HostField::Preserve).unwrap();
            parts.headers.contains_key(TE)
        };
        assert!(te("te: gzip, trailers"));
        assert!(te("content-type: application/grpc+proto"));
        assert!(!te("te: gzip"));
        assert!(!te("content-type: text/plain"));
    }

    #[test]
    fn the_host_field_is_the_rules_choice() {
        let host = |choice| {
            let parts = in_http1("GET / 1.1", &["host: A.test:443"], &choice);
            parts.headers[HOST].clone()
        };
        assert_eq!(host(HostField::Preserve), "A.test:443");
        assert_eq!(host(HostField::Upstream), TARGET);
        let literal = HeaderValue::from_static("x.test");
        assert_eq!(host(HostField::Literal(literal)), "x.test");
    }

    #[test]
    fn open_bodies_are_framed_anew() {
        let host = &HostField::Preserve;
        let chunked = ["host: a.test", "transfer-encoding: Chunked"];
        let parts = in_http1("GET / 1.1", &chunked, host);
        assert_eq!(parts.headers[TRANSFER_ENCODING], "chunked");
        let parts = in_http2("GET / 1.1", &chunked, host).unwrap();
        assert!(!parts.headers.contains_key(TRANSFER_ENCODING));
    }

    #[test]
    fn http10_heads_become_http11_heads() {
        let parts = in_http1("GET / 1.0", &["expect: 100-continue"], &HostField::Preserve);
        assert_eq!(parts.headers[HOST], TARGET);
        assert_eq!(parts.headers[VIA], "1.0 onedoor");
        assert!(!parts.headers.contains_key(header::EXPECT));
    }

    #[test]
    fn http2_heads_become_http11_heads() {
        let fields = ["cookie: a=1", "x: y", "cookie: b=2", "te: trailers"];
        let parts = in_http1("GET https://a.test/p?q 2", &fields, &HostField::Preserve);
        let lines = lines_of(&parts.headers);
        assert_eq!(lines[..2], ["cookie: a=1; b=2", "x: y"]);
        assert_eq!(parts.headers[HOST], "a.test");
        assert_eq!(parts.headers[VIA], "2 onedoor");
        assert!(!parts.headers.contains_key(TE));
        assert_eq!(parts.uri, "/p?q");
    }
}

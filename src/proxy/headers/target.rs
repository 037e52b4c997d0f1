//! Where a request is aimed: the form of its target, and the one authority that target and `Host` agree on.

use http::header::HOST;
use http::request::Parts;
use http::{HeaderValue, Method, uri};
use hyper::ext;

use super::authority::Authority;
use super::facts::Scheme;
use super::received::Protocol;
use super::refusal::Refusal;
use super::upgrade::Upgrade;

/// The switch that an extended `CONNECT` asks for, once the target's form is seen to go with the method (R9112 3.2).
pub(super) fn switch(parts: &Parts) -> Result<Option<Upgrade>, Refusal> {
    let mut upgrade = None;
    if parts.method == Method::CONNECT {
        let protocol = parts.extensions.get::<ext::Protocol>();
        upgrade = Some(Upgrade::Connect(protocol.ok_or(Refusal::Connect)?.clone()));
    }
    if let Some(scheme) = parts.uri.scheme()
        && *scheme != uri::Scheme::HTTP
        && *scheme != uri::Scheme::HTTPS
    {
        return Err(Refusal::BadTarget);
    }
    let is_absolute = parts.uri.scheme().is_some();
    match parts.uri.path_and_query().map(uri::PathAndQuery::as_str) {
        Some("*") if parts.method == Method::OPTIONS => Ok(upgrade),
        Some(path) if path.starts_with('/') => Ok(upgrade),
        Some(path) if is_absolute && path.starts_with('?') => Ok(upgrade),
        _ => Err(Refusal::BadTarget),
    }
}

/// The one authority of the request. A target that has one wins over `Host` in HTTP/1.1 (R9112 3.2.2) and must not differ in HTTP/2.
pub(super) fn authority(
    parts: &Parts,
    protocol: Protocol,
    scheme: Scheme,
) -> Result<Option<Authority>, Refusal> {
    let mut hosts = parts.headers.get_all(HOST).iter();
    let host = hosts.next().map(Authority::parse).transpose()?;
    if hosts.next().is_some() {
        return Err(Refusal::RepeatedHost);
    }
    let target = parts.uri.authority().map(of_target).transpose()?;
    match (protocol, target, host) {
        (Protocol::Http10, None, None) => Ok(None),
        (Protocol::Http11, _, None) | (Protocol::Http2, None, None) => Err(Refusal::MissingHost),
        (Protocol::Http2, Some(target), Some(host)) if !target.is_same_place(&host, scheme) => {
            Err(Refusal::AuthorityMismatch)
        }
        (_, Some(target), _) => Ok(Some(target)),
        (_, None, host) => Ok(host),
    }
}

fn of_target(authority: &uri::Authority) -> Result<Authority, Refusal> {
    let field = HeaderValue::from_str(authority.as_str()).map_err(|_not_ascii| Refusal::BadHost)?;
    Authority::parse(&field)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::testing::{judge, request};

    #[track_caller]
    fn check(line: &str, fields: &[&str], expected: Result<&str, Refusal>) {
        let received = judge(&request(line, fields));
        let seen = received.as_ref().map(|received| {
            let host = received.authority.as_ref();
            host.map_or("", |authority| authority.host())
        });
        assert_eq!(
            seen.map_err(|refusal| *refusal),
            expected,
            "{line} {fields:?}"
        );
    }

    #[test]
    fn http11_has_exactly_one_valid_host() {
        check("GET / 1.1", &["host: A.test:443"], Ok("a.test"));
        check("GET / 1.1", &[], Err(Refusal::MissingHost));
        check("GET / 1.1", &["host: "], Err(Refusal::MissingHost));
        check(
            "GET / 1.1",
            &["host: a.test", "host: a.test"],
            Err(Refusal::RepeatedHost),
        );
        check("GET / 1.1", &["host: a.test/x"], Err(Refusal::BadHost));
        check("GET / 1.1", &["host: u@a.test"], Err(Refusal::UserInfo));
    }

    #[test]
    fn http10_may_have_none() {
        check("GET / 1.0", &[], Ok(""));
        check("GET / 1.0", &["host: a.test"], Ok("a.test"));
        check(
            "GET / 1.0",
            &["host: a", "host: b"],
            Err(Refusal::RepeatedHost),
        );
    }

    #[test]
    fn an_absolute_target_overrides_host() {
        check("GET http://b.test/x 1.1", &["host: a.test"], Ok("b.test"));
        check("GET HTTPS://b.test:1 1.1", &["host: a.test"], Ok("b.test"));
        check("GET http://b.test/x 1.1", &[], Err(Refusal::MissingHost));
        check("GET http://b.test/x 1.0", &[], Ok("b.test"));
        check(
            "GET http://u:p@b.test/x 1.1",
            &["host: a.test"],
            Err(Refusal::UserInfo),
        );
        check(
            "GET ftp://b.test/x 1.1",
            &["host: a.test"],
            Err(Refusal::BadTarget),
        );
    }

    #[test]
    fn target_forms_go_with_their_methods() {
        let host = &["host: a.test"];
        check("OPTIONS * 1.1", host, Ok("a.test"));
        check("GET * 1.1", host, Err(Refusal::BadTarget));
        check("GET a.test:443 1.1", host, Err(Refusal::BadTarget));
        check("CONNECT a.test:443 1.1", host, Err(Refusal::Connect));
        check("CONNECT / 1.1", host, Err(Refusal::Connect));
        check("BREW /pot 1.1", host, Ok("a.test"));
        check("GET / 0.9", host, Err(Refusal::UnknownVersion));
    }

    #[test]
    fn extended_connect_is_a_switch_of_its_own() {
        let mut parts = request("CONNECT https://a.test/chat 2", &[]);
        assert_eq!(judge(&parts).err(), Some(Refusal::Connect));
        parts
            .extensions
            .insert(ext::Protocol::from_static("websocket"));
        let upgrade = judge(&parts).unwrap().upgrade;
        assert!(matches!(upgrade, Some(Upgrade::Connect(_))));
    }

    #[test]
    fn http2_authority_and_host_agree() {
        let line = "GET https://a.test/ 2";
        check(line, &[], Ok("a.test"));
        check(line, &["host: A.test:443"], Ok("a.test"));
        check(line, &["host: b.test"], Err(Refusal::AuthorityMismatch));
        check(line, &["host: a.test:80"], Err(Refusal::AuthorityMismatch));
        check(
            line,
            &["host: a.test", "host: a.test"],
            Err(Refusal::RepeatedHost),
        );
        check("GET / 2", &["host: a.test"], Ok("a.test"));
        check("GET / 2", &[], Err(Refusal::MissingHost));
        check("GET https://u@a.test/ 2", &[], Err(Refusal::UserInfo));
    }
}

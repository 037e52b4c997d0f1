//! Sending clients elsewhere: a site's `redirect`, and the plain port's way to https.

use bytes::Bytes;
use http::header::LOCATION;
use http::uri::PathAndQuery;
use http::{HeaderValue, Response, StatusCode};

use super::headers::Scheme;
use crate::config::site::{Keep, Redirect};

/// The answer of a rule that redirects; none if its target makes no field value.
#[must_use]
pub fn redirect(rule: &Redirect, asked: Option<&PathAndQuery>) -> Option<Response<Bytes>> {
    let location = match rule.keep {
        Keep::Nothing => rule.to.to_string(),
        Keep::PathAndQuery => format!("{}{}", rule.to.trim_end_matches('/'), kept(asked)),
    };
    answer(rule.status, &location)
}

/// The permanent answer of the plain port: the same place over TLS. `host` is as [`super::headers::Authority::host`] gives it.
#[must_use]
pub fn to_https(host: &str, port: u16, asked: Option<&PathAndQuery>) -> Option<Response<Bytes>> {
    let path = kept(asked);
    let (open, close) = if host.contains(':') {
        ("[", "]")
    } else {
        ("", "")
    };
    let location = if port == Scheme::Https.default_port() {
        format!("https://{open}{host}{close}{path}")
    } else {
        format!("https://{open}{host}{close}:{port}{path}")
    };
    answer(StatusCode::PERMANENT_REDIRECT, &location)
}

fn answer(status: StatusCode, location: &str) -> Option<Response<Bytes>> {
    let location = HeaderValue::from_str(&ascii(location)).ok()?;
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status;
    response.headers_mut().insert(LOCATION, location);
    Some(response)
}

/// Path and query as they came; a target without a path of its own is the root.
fn kept(asked: Option<&PathAndQuery>) -> String {
    match asked.map(PathAndQuery::as_str) {
        None | Some("*") => "/".to_owned(),
        Some(text) if text.starts_with('/') => text.to_owned(),
        Some(text) => format!("/{text}"),
    }
}

/// A URL has no octets beyond ASCII (R3986 2); those that came bare are encoded.
fn ascii(url: &str) -> String {
    let mut text = String::with_capacity(url.len());
    for character in url.chars() {
        if character.is_ascii() {
            text.push(character);
            continue;
        }
        let mut octets = [0; 4];
        for octet in character.encode_utf8(&mut octets).bytes() {
            text.push_str(&format!("%{octet:02X}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn location(response: &Response<Bytes>) -> &str {
        response.headers()[LOCATION].to_str().unwrap()
    }

    #[track_caller]
    fn check(to: &str, keep: Keep, asked: &str, expected: &str) {
        let rule = Redirect {
            to: to.into(),
            keep,
            status: StatusCode::FOUND,
        };
        let asked = PathAndQuery::try_from(asked).unwrap();
        let response = redirect(&rule, Some(&asked)).unwrap();
        assert_eq!(response.status(), StatusCode::FOUND);
        assert_eq!(location(&response), expected);
    }

    #[test]
    fn a_bare_origin_keeps_path_and_query() {
        let keep = Keep::PathAndQuery;
        check(
            "https://b.test",
            keep,
            "/x//%41?q=1&&",
            "https://b.test/x//%41?q=1&&",
        );
        check("https://b.test/", keep, "/", "https://b.test/");
        check(
            "https://b.test",
            keep,
            "//evil.test",
            "https://b.test//evil.test",
        );
        check("https://b.test", keep, "*", "https://b.test/");
        check("https://b.test", keep, "?q", "https://b.test/?q");
        check("https://b.test", keep, "/é", "https://b.test/%C3%A9");
    }

    #[test]
    fn a_target_with_a_path_replaces_them() {
        check(
            "https://b.test/new",
            Keep::Nothing,
            "/x?q",
            "https://b.test/new",
        );
        check("/new", Keep::Nothing, "/x?q", "/new");
    }

    #[test]
    fn the_plain_port_leads_to_https() {
        let asked = PathAndQuery::from_static("/x?q=1");
        let target = |host, port| {
            let response = to_https(host, port, Some(&asked)).unwrap();
            assert_eq!(response.status(), StatusCode::PERMANENT_REDIRECT);
            location(&response).to_owned()
        };
        assert_eq!(target("a.test", 443), "https://a.test/x?q=1");
        assert_eq!(target("a.test", 8443), "https://a.test:8443/x?q=1");
        assert_eq!(target("::1", 443), "https://[::1]/x?q=1");
        assert_eq!(
            location(&to_https("a.test", 443, None).unwrap()),
            "https://a.test/"
        );
    }
}

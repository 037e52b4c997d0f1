//! What the tests of this module share.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Version, request};

use super::context::{Answers, Common, Table};
use super::headers::{Body, Facts, Received, Refusal, Scheme};
use crate::config::site::{
    AccessLogging, Action, HostField, Respond, Rule, Template, Timeouts, TlsVersion,
};
use crate::config::{Limits, Trust, read};
use crate::routing::{Loopback, Routes};
use crate::upstream::tls::TlsClients;

/// A rule that changes nothing.
pub(super) fn rule() -> Rule {
    Rule {
        action: Action::Respond(Arc::new(Respond {
            status: StatusCode::OK,
            body: Bytes::new(),
            content_type: HeaderValue::from_static("text/plain"),
        })),
        strip_prefix: None,
        rewrites: [].into(),
        request_headers: [].into(),
        response_headers: [].into(),
        host: HostField::Preserve,
        timeouts: Timeouts::default(),
        max_body: None,
        hsts: None,
        guard: None,
        compress: [].into(),
        errors: [].into(),
        log: AccessLogging::Kept,
    }
}

/// A table with one site, `a.test`.
pub(super) fn table() -> Arc<Table> {
    let loaded = read(Path::new("proxy.toml"), "[sites]\n\"a.test\" = \"1\"\n").unwrap();
    Arc::new(Table {
        routes: Routes::compile(&loaded.config, 7, Loopback::Direct, &|port| port),
        clients: TlsClients::default(),
        limits: Limits::default(),
        trust: Trust::default(),
        answers: Answers::new(|_path| None),
        drain: Duration::ZERO,
        identities: [].into(),
        common: Common::default(),
    })
}

static CLIENT_IP: HeaderValue = HeaderValue::from_static("192.0.2.7");
static PORT: HeaderValue = HeaderValue::from_static("443");
static REQUEST_ID: HeaderValue = HeaderValue::from_static("0198");

pub(super) fn facts() -> Facts<'static> {
    Facts {
        client_ip: &CLIENT_IP,
        scheme: Scheme::Https,
        port: &PORT,
        host: "a.test",
        request_id: &REQUEST_ID,
        tls_version: Some(TlsVersion::V1_3),
        certificate: None,
        forwarded: None,
    }
}

/// A head as hyper's server would give it: `"GET /x 1.1"` and its fields as lines.
pub(super) fn request(line: &str, fields: &[&str]) -> request::Parts {
    let mut words = line.split(' ');
    let method = Method::from_bytes(words.next().unwrap().as_bytes()).unwrap();
    let target = words.next().unwrap();
    let (mut parts, ()) = Request::new(()).into_parts();
    parts.method = method;
    parts.uri = target.parse().unwrap();
    parts.version = match words.next().unwrap() {
        "0.9" => Version::HTTP_09,
        "1.0" => Version::HTTP_10,
        "1.1" => Version::HTTP_11,
        "2" => Version::HTTP_2,
        other => panic!("{other}"),
    };
    parts.headers = fields_of(fields);
    parts
}

pub(super) fn fields_of(lines: &[&str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(':').unwrap();
        let value = value.strip_prefix(' ').unwrap_or(value);
        headers.append(
            HeaderName::from_bytes(name.as_bytes()).unwrap(),
            HeaderValue::from_bytes(value.as_bytes()).unwrap(),
        );
    }
    headers
}

pub(super) fn lines_of(headers: &HeaderMap) -> Vec<String> {
    headers
        .iter()
        .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())))
        .collect()
}

pub(super) fn judge(parts: &request::Parts) -> Result<Received, Refusal> {
    Received::judge(parts, Body::Absent, Scheme::Https, &Limits::default())
}

pub(super) fn template(value: &'static str) -> Template {
    Template::Fixed(HeaderValue::from_static(value))
}

//! What judging and editing a browser's head costs, there and back.

use std::hint::black_box;
use std::sync::Arc;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, request, response};
use onedoor::config::Limits;
use onedoor::config::site::{
    AccessLogging, Action, HostField, Respond, Rule, Timeouts, TlsVersion,
};
use onedoor::proxy::headers::{Body, Facts, Received, Scheme, inbound, outbound, to_http1};

const BROWSER: [(&str, &str); 12] = [
    ("host", "secure.example.com"),
    ("connection", "keep-alive"),
    (
        "sec-ch-ua",
        "\"Chromium\";v=\"140\", \"Not=A?Brand\";v=\"24\"",
    ),
    ("sec-ch-ua-mobile", "?0"),
    (
        "user-agent",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
    ),
    (
        "accept",
        "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    ),
    ("sec-fetch-site", "same-origin"),
    ("sec-fetch-mode", "navigate"),
    ("referer", "https://secure.example.com/account/orders"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("accept-language", "en-US,en;q=0.9"),
    (
        "cookie",
        "session=3f2b8c1d9e4a47f0b6d5c8a1e7f90213; theme=dark",
    ),
];

const ANSWER: [(&str, &str); 7] = [
    ("server", "nginx"),
    ("date", "Mon, 01 Jan 2024 00:00:00 GMT"),
    ("content-type", "text/html; charset=utf-8"),
    ("content-length", "5120"),
    ("connection", "keep-alive"),
    ("etag", "\"5f3c-1400\""),
    ("cache-control", "no-cache"),
];

/// A map whose values share one buffer, as a parser leaves them.
fn shared(fields: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(fields.len());
    for (name, value) in fields {
        let value = Bytes::copy_from_slice(value.as_bytes());
        if let Ok(value) = HeaderValue::from_maybe_shared(value) {
            headers.append(HeaderName::from_static(name), value);
        }
    }
    headers
}

fn request(fields: &[(&'static str, &str)]) -> request::Parts {
    let (mut parts, ()) = Request::new(()).into_parts();
    parts.uri = http::Uri::from_static("/account/orders?page=2");
    parts.headers = shared(fields);
    parts
}

fn answer() -> response::Parts {
    let (mut parts, ()) = Response::new(()).into_parts();
    parts.headers = shared(&ANSWER);
    parts
}

fn rule() -> Rule {
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

fn heads(criterion: &mut Criterion) {
    let limits = Limits::default();
    let rule = rule();
    let client_ip = HeaderValue::from_static("192.0.2.7");
    let port = HeaderValue::from_static("443");
    let request_id = HeaderValue::from_static("01980000-0000-7000-8000-000000000000");
    let target = HeaderValue::from_static("localhost:3001");
    let date = HeaderValue::from_static("Mon, 01 Jan 2024 00:00:00 GMT");
    let facts = Facts {
        client_ip: &client_ip,
        scheme: Scheme::Https,
        port: &port,
        host: "secure.example.com",
        request_id: &request_id,
        certificate: None,
        tls_version: Some(TlsVersion::V1_3),
        forwarded: None,
    };
    let judge = |parts: &request::Parts| {
        Received::judge(parts, Body::Absent, Scheme::Https, &limits).expect("a good head")
    };
    let up = |mut parts: request::Parts| {
        let received = judge(&parts);
        outbound(&mut parts, &received, &rule, &facts).expect("a good path");
        to_http1(&mut parts, &received, &rule.host, &target).expect("no switch");
        (parts, received)
    };
    let browser = request(&BROWSER);
    let without_connection: Vec<_> = BROWSER
        .into_iter()
        .filter(|(name, _)| *name != "connection")
        .collect();
    let untouched = request(&without_connection);

    criterion.bench_function("judge", |bencher| {
        bencher.iter(|| judge(black_box(&browser)));
    });
    criterion.bench_function("outbound, a browser's 12 fields", |bencher| {
        bencher.iter_batched(|| browser.clone(), up, BatchSize::SmallInput);
    });
    criterion.bench_function("outbound, nothing to remove", |bencher| {
        bencher.iter_batched(|| untouched.clone(), up, BatchSize::SmallInput);
    });
    let received = judge(&browser);
    let answer = answer();
    criterion.bench_function("inbound, 7 fields", |bencher| {
        bencher.iter_batched(
            || answer.clone(),
            |mut parts| {
                inbound(&mut parts, &received, &rule, &facts, &date).expect("a good answer");
                parts
            },
            BatchSize::SmallInput,
        );
    });
}

criterion_group!(benches, heads);
criterion_main!(benches);

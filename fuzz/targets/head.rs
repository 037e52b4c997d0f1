//! Any head that httparse lets through is judged, and the judgement never panics.
#![no_main]

use http::request::Parts;
use http::{Method, Request, Version};
use onedoor::config::Limits;
use onedoor::proxy::headers::{Body, Received, Scheme};

const FIELDS_MAX: usize = 200;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Some(parts) = parts(bytes) {
        for body in [Body::Absent, Body::Follows] {
            drop(Received::judge(
                &parts,
                body,
                Scheme::Https,
                &Limits::default(),
            ));
        }
    }
});

/// As hyper reads a head.
fn parts(bytes: &[u8]) -> Option<Parts> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut head = httparse::Request::new(&mut fields);
    head.parse(bytes).ok()?;
    let version = match head.version? {
        0 => Version::HTTP_10,
        _ => Version::HTTP_11,
    };
    let mut request = Request::builder()
        .method(Method::from_bytes(head.method?.as_bytes()).ok()?)
        .uri(head.path?)
        .version(version);
    for field in head.headers.iter() {
        request = request.header(field.name, field.value);
    }
    Some(request.body(()).ok()?.into_parts().0)
}

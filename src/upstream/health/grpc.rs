//! `grpc.health.v1.Health/Check`: <https://github.com/grpc/grpc/blob/master/doc/health-checking.md>.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, TE, USER_AGENT};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode};
use http_body_util::Full;

use super::Finding;
use super::http::{AGENT, Answer, absolute};
use super::message::{self, Serving};
use crate::config::target::Target;
use crate::upstream::dial::Protocol;

const METHOD: &str = "/grpc.health.v1.Health/Check";
const GRPC: &str = "application/grpc";
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
/// Octets of a refusal's message that are told.
const MESSAGE_BYTES_MAX: usize = 200;

/// The question about a service; an empty name asks about the server.
pub(super) fn question(
    protocol: Protocol,
    target: &Target,
    service: &str,
) -> Result<Request<Full<Bytes>>, Finding> {
    match protocol {
        Protocol::Http1 => return Err(Finding::NoHttp2),
        Protocol::Http2 => {}
    }
    let host =
        HeaderValue::try_from(target.authority()).map_err(|error| Finding::Unfit(error.into()))?;
    Request::post(absolute(target, &host, &PathAndQuery::from_static(METHOD))?)
        .header(USER_AGENT, AGENT)
        .header(TE, HeaderValue::from_static("trailers"))
        .header(CONTENT_TYPE, HeaderValue::from_static(GRPC))
        .body(Full::new(message::request(service)))
        .map_err(Finding::Unfit)
}

/// Whether the answer says that the service is serving.
pub(super) fn judged(answer: &Answer, service: &str) -> Result<(), Finding> {
    let (status, fields) = (answer.head.status, &answer.head.headers);
    let is_grpc = fields
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(GRPC.as_bytes()));
    if status != StatusCode::OK || !is_grpc {
        return Err(Finding::NoGrpc(status));
    }
    // A refusal may be nothing but a head.
    let end = if answer.trailers.contains_key(GRPC_STATUS) {
        &answer.trailers
    } else {
        fields
    };
    let code = text(end, &GRPC_STATUS);
    if code.is_empty() {
        return Err(Finding::NoGrpc(status));
    }
    if code != "0" {
        return Err(Finding::Refused {
            code: code.into(),
            message: text(end, &GRPC_MESSAGE).into(),
        });
    }
    match message::answer(&answer.body) {
        Some(Serving::Serving) => Ok(()),
        Some(serving) => Err(Finding::Serving {
            service: service.into(),
            serving,
        }),
        None => Err(Finding::NoGrpc(status)),
    }
}

fn text(fields: &HeaderMap, name: &HeaderName) -> String {
    let value = fields.get(name).map(HeaderValue::as_bytes);
    let value = value.unwrap_or_default();
    let cut = &value[..value.len().min(MESSAGE_BYTES_MAX)];
    String::from_utf8_lossy(cut).into_owned()
}

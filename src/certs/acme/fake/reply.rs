//! What the CA answers.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use instant_acme::BytesResponse;
use serde_json::{Value, json};

use super::state::BASE;

#[derive(Debug, Clone)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(header::HeaderName, String)>,
    pub(super) body: Vec<u8>,
}

impl Reply {
    pub(super) fn json(status: u16, value: &Value) -> Self {
        Self {
            status,
            headers: vec![(header::CONTENT_TYPE, "application/json".to_owned())],
            body: value.to_string().into_bytes(),
        }
    }

    pub(super) fn text(status: u16, text: &str) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: text.as_bytes().to_vec(),
        }
    }

    pub(super) fn problem(status: u16, kind: &str, detail: &str) -> Self {
        let kind = format!("urn:ietf:params:acme:error:{kind}");
        Self::json(
            status,
            &json!({ "type": kind, "detail": detail, "status": status }),
        )
    }

    pub(super) fn with(mut self, name: header::HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn at(self, path: &str) -> Self {
        self.with(header::LOCATION, format!("{BASE}{path}"))
    }

    pub(super) fn retry_after(self, wait: Duration) -> Self {
        self.with(header::RETRY_AFTER, wait.as_secs().to_string())
    }

    pub(super) fn into_response(self) -> BytesResponse {
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap();
        for (name, value) in self.headers {
            let value = HeaderValue::from_str(&value).unwrap();
            response.headers_mut().append(name, value);
        }
        let (parts, ()) = response.into_parts();
        let body = Box::new(Bytes::from(self.body));
        BytesResponse { parts, body }
    }
}

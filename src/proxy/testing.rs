//! What the tests of this module share.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, StatusCode};

use crate::config::site::{AccessLogging, Action, HostField, Respond, Rule, Timeouts};

/// A rule that changes nothing.
pub(crate) fn rule() -> Rule {
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
        log: AccessLogging::Kept,
    }
}

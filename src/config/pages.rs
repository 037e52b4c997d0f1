//! `errors`: a site's own pages for replies of our own.

use bytes::Bytes;
use http::StatusCode;

/// One entry of `errors`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorPage {
    pub of: Statuses,
    /// HTML.
    pub body: Bytes,
}

/// Which statuses a page is for; an exact one beats its class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Statuses {
    Exactly(StatusCode),
    /// `"5xx"`: the first digit.
    Class(u8),
}

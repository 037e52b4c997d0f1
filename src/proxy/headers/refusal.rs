//! Why a request head is not sent on, and what the client is told instead.

use std::borrow::Cow;
use std::fmt;

use http::StatusCode;

use crate::proxy::reply::{Connection, Reply};

/// Why a request ends here. Sorted by fault: the client's, the path between, the operator's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// HTTP/1.1 without a `Host`, or HTTP/2 without any authority.
    MissingHost,
    /// More than one `Host`.
    RepeatedHost,
    /// An authority that is no host with an optional port.
    BadHost,
    /// `user@` before a host.
    UserInfo,
    /// `:authority` and `Host` name different places (R9113 8.3.1).
    AuthorityMismatch,
    /// A target form that does not go with the method, or a foreign scheme.
    BadTarget,
    /// `CONNECT` without a protocol.
    Connect,
    /// `Transfer-Encoding` that is not exactly one `chunked`.
    BadTransferEncoding,
    /// A transfer coding that nobody knows here.
    UnknownTransferCoding,
    /// A length beside `Transfer-Encoding`.
    TwoFramings,
    /// `Content-Length` that is no number, or lengths that differ.
    BadContentLength,
    /// `Connection` names a field that is no hop's own, or too many.
    BadConnection,
    /// A connection-specific field in HTTP/2 (R9113 8.2.2).
    ConnectionField,
    /// Space around a value.
    PaddedValue,
    /// Neither HTTP/1.0, 1.1 nor 2.
    UnknownVersion,
    TargetTooLong,
    TooManyFields,
    HeadTooLarge,
    /// The two ways to read the path's dots and slashes lead to different rules, or above the root.
    EscapingPath,
    /// `TRACE` with `Max-Forwards: 0`.
    LastHopOfTrace,
    /// `OPTIONS` with `Max-Forwards: 0`.
    LastHopOfOptions,
    /// The request came through here too often.
    Loop,
    /// A protocol switch that the chosen upstream connection cannot carry.
    UpgradeNotCarried,
    /// A `rewrite` whose result is no path.
    BadRewrite,
}

impl Refusal {
    /// The status of the reply.
    #[must_use]
    pub fn status(self) -> StatusCode {
        self.meaning().0
    }

    /// The stable name of the fault, for replies, logs and counters.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.meaning().1
    }

    fn meaning(self) -> (StatusCode, &'static str, &'static str) {
        let bad = StatusCode::BAD_REQUEST;
        match self {
            Self::MissingHost => (bad, "missing-host", "the request names no host"),
            Self::RepeatedHost => (
                bad,
                "repeated-host",
                "the request has several `Host` fields",
            ),
            Self::BadHost => (bad, "bad-host", "the request's host is not valid"),
            Self::UserInfo => (
                bad,
                "user-info",
                "the request's authority has a user before the host",
            ),
            Self::AuthorityMismatch => {
                (bad, "authority-mismatch", "`:authority` and `Host` differ")
            }
            Self::BadTarget => (
                bad,
                "bad-target",
                "the request target has a form that does not go with its method",
            ),
            Self::Connect => (
                StatusCode::METHOD_NOT_ALLOWED,
                "connect",
                "this is no forward proxy",
            ),
            Self::BadTransferEncoding => (
                bad,
                "bad-transfer-encoding",
                "`Transfer-Encoding` is not exactly `chunked`",
            ),
            Self::UnknownTransferCoding => (
                StatusCode::NOT_IMPLEMENTED,
                "unknown-transfer-coding",
                "`Transfer-Encoding` names an unknown coding",
            ),
            Self::TwoFramings => (
                bad,
                "two-framings",
                "the request has both `Transfer-Encoding` and `Content-Length`",
            ),
            Self::BadContentLength => (
                bad,
                "bad-content-length",
                "`Content-Length` is no number, or its repeats differ",
            ),
            Self::BadConnection => (
                bad,
                "bad-connection",
                "`Connection` names a field that is not the connection's own",
            ),
            Self::ConnectionField => (
                bad,
                "connection-field",
                "HTTP/2 has no connection-specific fields",
            ),
            Self::PaddedValue => (
                bad,
                "padded-value",
                "a field value starts or ends with a space",
            ),
            Self::UnknownVersion => (
                StatusCode::HTTP_VERSION_NOT_SUPPORTED,
                "unknown-version",
                "HTTP/1.0, 1.1 and 2 are spoken here",
            ),
            Self::TargetTooLong => (
                StatusCode::URI_TOO_LONG,
                "target-too-long",
                "the request target is too long",
            ),
            Self::TooManyFields => (
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "too-many-fields",
                "the request has too many header fields",
            ),
            Self::HeadTooLarge => (
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "head-too-large",
                "the request head is too large",
            ),
            Self::EscapingPath => (
                bad,
                "escaping-path",
                "the path can be read as leaving its place",
            ),
            Self::LastHopOfTrace => (
                StatusCode::METHOD_NOT_ALLOWED,
                "last-hop",
                "`Max-Forwards` ended here, and requests are not reflected",
            ),
            Self::LastHopOfOptions => (StatusCode::OK, "last-hop", "`Max-Forwards` ended here"),
            Self::Loop => (
                StatusCode::LOOP_DETECTED,
                "loop",
                "the request came through here several times: does a target point back at onedoor?",
            ),
            Self::UpgradeNotCarried => (
                StatusCode::NOT_IMPLEMENTED,
                "upgrade-not-carried",
                "the upstream connection cannot switch to the protocol asked for",
            ),
            Self::BadRewrite => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "bad-rewrite",
                "a `rewrite` of this path gives no valid path",
            ),
        }
    }

    /// Whether the connection can be trusted to frame the next request.
    fn connection(self) -> Connection {
        match self {
            Self::LastHopOfTrace | Self::LastHopOfOptions | Self::Loop => Connection::Keep,
            Self::MissingHost
            | Self::RepeatedHost
            | Self::BadHost
            | Self::UserInfo
            | Self::AuthorityMismatch
            | Self::BadTarget
            | Self::Connect
            | Self::BadTransferEncoding
            | Self::UnknownTransferCoding
            | Self::TwoFramings
            | Self::BadContentLength
            | Self::BadConnection
            | Self::ConnectionField
            | Self::PaddedValue
            | Self::UnknownVersion
            | Self::TargetTooLong
            | Self::TooManyFields
            | Self::HeadTooLarge
            | Self::EscapingPath
            | Self::UpgradeNotCarried
            | Self::BadRewrite => Connection::Close,
        }
    }
}

impl From<Refusal> for Reply {
    fn from(refusal: Refusal) -> Self {
        let (status, code, words) = refusal.meaning();
        Self {
            status,
            code,
            words: Cow::Borrowed(words),
            connection: refusal.connection(),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.meaning().2)
    }
}

impl std::error::Error for Refusal {}

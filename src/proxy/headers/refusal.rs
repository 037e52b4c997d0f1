//! Why a request head is not sent on, and what the client is told instead.

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
        match self {
            Self::MissingHost
            | Self::RepeatedHost
            | Self::BadHost
            | Self::UserInfo
            | Self::AuthorityMismatch
            | Self::BadTarget
            | Self::BadTransferEncoding
            | Self::TwoFramings
            | Self::BadContentLength
            | Self::BadConnection
            | Self::ConnectionField
            | Self::PaddedValue
            | Self::EscapingPath => StatusCode::BAD_REQUEST,
            Self::Connect | Self::LastHopOfTrace => StatusCode::METHOD_NOT_ALLOWED,
            Self::UnknownTransferCoding | Self::UpgradeNotCarried => StatusCode::NOT_IMPLEMENTED,
            Self::UnknownVersion => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            Self::TargetTooLong => StatusCode::URI_TOO_LONG,
            Self::TooManyFields | Self::HeadTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::LastHopOfOptions => StatusCode::OK,
            Self::Loop => StatusCode::LOOP_DETECTED,
            Self::BadRewrite => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The stable name of the fault, for replies, logs and counters.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::MissingHost => "missing-host",
            Self::RepeatedHost => "repeated-host",
            Self::BadHost => "bad-host",
            Self::UserInfo => "user-info",
            Self::AuthorityMismatch => "authority-mismatch",
            Self::BadTarget => "bad-target",
            Self::Connect => "connect",
            Self::BadTransferEncoding => "bad-transfer-encoding",
            Self::UnknownTransferCoding => "unknown-transfer-coding",
            Self::TwoFramings => "two-framings",
            Self::BadContentLength => "bad-content-length",
            Self::BadConnection => "bad-connection",
            Self::ConnectionField => "connection-field",
            Self::PaddedValue => "padded-value",
            Self::UnknownVersion => "unknown-version",
            Self::TargetTooLong => "target-too-long",
            Self::TooManyFields => "too-many-fields",
            Self::HeadTooLarge => "head-too-large",
            Self::EscapingPath => "escaping-path",
            Self::LastHopOfTrace | Self::LastHopOfOptions => "last-hop",
            Self::Loop => "loop",
            Self::UpgradeNotCarried => "upgrade-not-carried",
            Self::BadRewrite => "bad-rewrite",
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::MissingHost => "the request names no host",
            Self::RepeatedHost => "the request names several hosts",
            Self::BadHost => "the request's host is not valid",
            Self::UserInfo => "the request's host comes with a user",
            Self::AuthorityMismatch => "`:authority` and `Host` differ",
            Self::BadTarget => "the request target does not go with its method",
            Self::Connect => "this is no forward proxy",
            Self::BadTransferEncoding => "`Transfer-Encoding` is not exactly `chunked`",
            Self::UnknownTransferCoding => "`Transfer-Encoding` names an unknown coding",
            Self::TwoFramings => "the request says its length twice",
            Self::BadContentLength => "`Content-Length` is no number, or repeats differ",
            Self::BadConnection => "`Connection` names a field that is not its own",
            Self::ConnectionField => "HTTP/2 has no connection-specific fields",
            Self::PaddedValue => "a field value starts or ends with a space",
            Self::UnknownVersion => "HTTP/1.0, 1.1 and 2 are spoken here",
            Self::TargetTooLong => "the request target is too long",
            Self::TooManyFields => "the request has too many header fields",
            Self::HeadTooLarge => "the request head is too large",
            Self::EscapingPath => "the path can be read as leaving its place",
            Self::LastHopOfTrace => "`Max-Forwards` ended here; nothing is reflected",
            Self::LastHopOfOptions => "`Max-Forwards` ended here",
            Self::Loop => "a loop: does a target lead back to onedoor?",
            Self::UpgradeNotCarried => "the upstream cannot switch to that protocol",
            Self::BadRewrite => "a `rewrite` makes no valid path of this one",
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
        Self {
            connection: refusal.connection(),
            ..Self::new(refusal.status(), refusal.code(), refusal.words())
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

impl std::error::Error for Refusal {}

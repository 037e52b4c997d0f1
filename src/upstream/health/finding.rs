//! Why a check did not pass, or could not be made.

use std::fmt;
use std::time::Duration;

use http::StatusCode;
use rustix::io::Errno;

use super::message::Serving;
use crate::upstream::UpstreamError;

/// Why a check did not pass.
#[derive(Debug)]
pub enum Finding {
    /// There is no connection.
    Unreached(UpstreamError),
    /// The check was not over in time.
    Late(Duration),
    /// There is a connection, and no whole answer on it.
    NoAnswer(hyper::Error),
    /// The answer has another status than is wanted.
    Status {
        status: StatusCode,
        path: Box<str>,
        /// Where a redirect leads, which is not followed.
        to: Option<Box<str>>,
    },
    /// gRPC needs HTTP/2, and the target chose HTTP/1.1.
    NoHttp2,
    /// What came is no answer of gRPC; with its HTTP status.
    NoGrpc(StatusCode),
    /// gRPC answered with a status of its own.
    Refused { code: Box<str>, message: Box<str> },
    /// The service says this of itself.
    Serving { service: Box<str>, serving: Serving },
    /// The question has no form in HTTP: the operator's fault.
    Unfit(http::Error),
}

/// `NOT_FOUND` and `UNIMPLEMENTED`: the service, or the whole protocol, is not known there.
const NOT_FOUND: &str = "5";
const UNIMPLEMENTED: &str = "12";

impl Finding {
    /// Whether it is this process that lacks something, so that nothing is known of the target.
    pub(super) fn is_ours(&self) -> bool {
        let Self::Unreached(UpstreamError::Unreachable(error) | UpstreamError::Unresolved(error)) =
            self
        else {
            return false;
        };
        let ours = [
            Errno::MFILE,
            Errno::NFILE,
            Errno::NOBUFS,
            Errno::NOMEM,
            Errno::ADDRNOTAVAIL,
        ];
        Errno::from_io_error(error).is_some_and(|errno| ours.contains(&errno))
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreached(error) => error.fmt(f),
            Self::Late(limit) => write!(f, "no answer within {limit:?}"),
            Self::NoAnswer(_) => f.write_str("no whole answer"),
            Self::Status {
                status,
                path,
                to: None,
            } => write!(f, "answers {status} under {path}"),
            Self::Status {
                status,
                path,
                to: Some(to),
            } => write!(
                f,
                "answers {status} under {path} and leads to {to}: redirects are not followed"
            ),
            Self::NoHttp2 => f.write_str("chose HTTP/1.1 in TLS, and gRPC needs HTTP/2"),
            Self::NoGrpc(status) => write!(f, "answers {status} and no gRPC"),
            Self::Refused { code, .. } if **code == *UNIMPLEMENTED => {
                f.write_str("has no service `grpc.health.v1.Health`")
            }
            Self::Refused { code, .. } if **code == *NOT_FOUND => {
                f.write_str("its health service does not know the service that is asked about")
            }
            Self::Refused { code, message } => {
                write!(
                    f,
                    "its health service answers gRPC status {code} {message:?}"
                )
            }
            Self::Serving { service, serving } => {
                let serving = match serving {
                    Serving::Unknown => "UNKNOWN",
                    Serving::Serving => "SERVING",
                    Serving::NotServing => "NOT_SERVING",
                    Serving::ServiceUnknown => "SERVICE_UNKNOWN",
                };
                match &**service {
                    "" => write!(f, "says that it is {serving}"),
                    service => write!(f, "says that `{service}` is {serving}"),
                }
            }
            Self::Unfit(_) => f.write_str("the check cannot be put into a request"),
        }
    }
}

impl std::error::Error for Finding {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unreached(error) => error.source(),
            Self::NoAnswer(error) => Some(error),
            Self::Unfit(error) => Some(error),
            Self::Late(_)
            | Self::Status { .. }
            | Self::NoHttp2
            | Self::NoGrpc(_)
            | Self::Refused { .. }
            | Self::Serving { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn what_this_process_lacks_is_not_held_against_the_target() {
        let of = |errno: Errno| Finding::Unreached(UpstreamError::Unreachable(errno.into()));
        assert!(of(Errno::MFILE).is_ours());
        assert!(!of(Errno::CONNREFUSED).is_ours());
        let nowhere = io::ErrorKind::AddrNotAvailable.into();
        assert!(!Finding::Unreached(UpstreamError::Unresolved(nowhere)).is_ours());
    }

    #[test]
    fn a_redirect_says_where_it_leads() {
        let finding = Finding::Status {
            status: StatusCode::FOUND,
            path: "/up".into(),
            to: Some("/login".into()),
        };
        assert_eq!(
            finding.to_string(),
            "answers 302 Found under /up and leads to /login: redirects are not followed"
        );
    }
}

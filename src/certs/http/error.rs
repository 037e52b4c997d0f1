//! Why there is no answer, or no client to ask with.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use hyper_util::client::legacy;

use super::ANSWER_BYTES_MAX;

/// Why there is no answer. A `peer` is a host with its port if one was written.
#[derive(Debug)]
pub enum HttpError {
    /// The address or a header cannot be written: the operator's fault.
    Unwritable(http::Error),
    /// No connection, or it broke before the answer.
    Unreachable { peer: String, error: legacy::Error },
    /// The answer broke off.
    Broken {
        peer: String,
        error: Box<dyn Error + Send + Sync>,
    },
    /// It took longer than the client's patience.
    TimedOut { peer: String, patience: Duration },
    /// Longer than [`ANSWER_BYTES_MAX`].
    TooLong { peer: String },
}

/// Which of the extra roots cannot be used: the operator's fault.
#[derive(Debug)]
pub enum BadRoots {
    NoPem(rustls_pki_types::pem::Error),
    Unusable(rustls::Error),
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unwritable(_) => f.write_str("the address or a header cannot be written"),
            Self::Unreachable { peer, .. } => write!(f, "`{peer}` cannot be reached"),
            Self::Broken { peer, .. } => write!(f, "the answer of `{peer}` broke off"),
            Self::TimedOut { peer, patience } => {
                write!(f, "`{peer}` did not answer within {patience:?}")
            }
            Self::TooLong { peer } => {
                write!(f, "`{peer}` answered more than {ANSWER_BYTES_MAX} octets")
            }
        }
    }
}

impl Error for HttpError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Unwritable(error) => Some(error),
            // The library's own words only say that it is a client.
            Self::Unreachable { error, .. } => error.source().or(Some(error)),
            Self::Broken { error, .. } => Some(error.as_ref()),
            Self::TimedOut { .. } | Self::TooLong { .. } => None,
        }
    }
}

impl fmt::Display for BadRoots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPem(_) => f.write_str("`roots` are not PEM certificates"),
            Self::Unusable(_) => f.write_str("one of the `roots` cannot be used"),
        }
    }
}

impl Error for BadRoots {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::NoPem(error) => Some(error),
            Self::Unusable(error) => Some(error),
        }
    }
}

//! Why a store did not do what was asked.

use std::fmt;
use std::path::PathBuf;

use super::Key;
use super::redis::RedisError;
use super::s3::S3Error;
use crate::storage::files;

/// Whatever it is, a write that failed may still have taken effect: read again before trying again.
#[derive(Debug)]
pub enum StoreError {
    /// The object is not as the condition of the write demands: somebody else was faster. Read it again, decide again.
    Conflict,
    /// The lease is no longer ours. Stop: somebody else may be at the same work.
    Fenced,
    /// There is something under this key that cannot be read back. Others are not concerned.
    Damaged { key: Key, source: files::Error },
    /// Larger than what is read back; nothing was written.
    TooLarge(Key),
    /// Another process held the lock at this path for too long.
    Busy(PathBuf),
    /// More objects in this folder than a store lists.
    TooMany(PathBuf),
    /// The store as a whole, for the operator to mend: read-only, full, denied, out of reach.
    Unusable(files::Error),
    /// The same of a store on the network.
    Redis(RedisError),
    /// The same of a bucket.
    S3(S3Error),
}

impl StoreError {
    /// Whether it is about the store as a whole: whatever is asked next is likely to fail too.
    #[must_use]
    pub fn concerns_all(&self) -> bool {
        match self {
            Self::Busy(_) | Self::TooMany(_) | Self::Unusable(_) | Self::Redis(_) => true,
            Self::S3(error) => !error.is_lie(),
            Self::Conflict | Self::Fenced | Self::Damaged { .. } | Self::TooLarge(_) => false,
        }
    }

    /// Whether it is for now out of reach, or silent, and not for what the configuration says of it.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Redis(error) => error.is_outage(),
            Self::S3(error) => error.is_outage(),
            Self::Conflict
            | Self::Fenced
            | Self::Damaged { .. }
            | Self::TooLarge(_)
            | Self::Busy(_)
            | Self::TooMany(_)
            | Self::Unusable(_) => false,
        }
    }

    /// Whether leases cannot rest on the store: what was seen of it, as [`Store::try_out`] finds it too.
    ///
    /// [`Store::try_out`]: super::Store::try_out
    #[must_use]
    pub fn is_unfit(&self) -> bool {
        match self {
            Self::S3(error) => error.is_lie(),
            Self::Conflict
            | Self::Fenced
            | Self::Damaged { .. }
            | Self::TooLarge(_)
            | Self::Busy(_)
            | Self::TooMany(_)
            | Self::Unusable(_)
            | Self::Redis(_) => false,
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conflict => f.write_str("somebody else has changed it in the meantime"),
            Self::Fenced => f.write_str("the lease was lost to somebody else"),
            Self::Damaged { key, .. } => write!(f, "the stored `{key}` cannot be read"),
            Self::TooLarge(key) => write!(
                f,
                "`{key}` would have more than {} octets",
                files::FILE_BYTES_MAX
            ),
            Self::Busy(path) => write!(
                f,
                "another process keeps {} locked: find it with `lslocks`, it may be stopped",
                path.display()
            ),
            Self::TooMany(path) => write!(
                f,
                "{} holds too many files: name another folder with `storage`",
                path.display()
            ),
            Self::Unusable(error) => error.fmt(f),
            Self::Redis(error) => error.fmt(f),
            Self::S3(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Damaged { source, .. } => Some(source),
            // Its own text is shown in place of ours.
            Self::Unusable(error) => error.source(),
            Self::Redis(error) => error.source(),
            Self::S3(error) => error.source(),
            Self::Conflict
            | Self::Fenced
            | Self::TooLarge(_)
            | Self::Busy(_)
            | Self::TooMany(_) => None,
        }
    }
}

impl From<RedisError> for StoreError {
    fn from(error: RedisError) -> Self {
        Self::Redis(error)
    }
}

impl From<S3Error> for StoreError {
    fn from(error: S3Error) -> Self {
        Self::S3(error)
    }
}

impl From<files::Error> for StoreError {
    fn from(error: files::Error) -> Self {
        Self::Unusable(error)
    }
}

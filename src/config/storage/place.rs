//! Where a storage is: a folder, or a store that replicas share.

use std::fmt;
use std::path::PathBuf;

use crate::config::roots::Roots;
use crate::config::secret::Secret;

/// Where a storage is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Of this machine, or mounted there.
    Folder(PathBuf),
    Redis(Redis),
    S3(S3),
}

/// A database of Redis, or of what speaks like it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redis {
    pub reached: Reached,
    pub database: u32,
    /// What our keys begin with.
    pub prefix: Box<str>,
    pub user: Option<Box<str>>,
    pub password: Option<Secret>,
    /// Trusted besides the system's.
    pub roots: Option<Roots>,
}

/// The way to a Redis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reached {
    Plain { host: Box<str>, port: u16 },
    Tls { host: Box<str>, port: u16 },
    Socket(PathBuf),
}

/// A bucket of S3, or of what speaks like it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3 {
    pub bucket: Box<str>,
    /// Without `/` at its ends; may be empty.
    pub prefix: Box<str>,
    /// None: that of the environment, else Amazon's.
    pub endpoint: Option<Box<str>>,
    /// None: that of the environment.
    pub region: Option<Box<str>>,
    /// None: those of the environment.
    pub keys: Option<S3Keys>,
    /// Trusted besides the system's.
    pub roots: Option<Roots>,
}

/// Who we are to S3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Keys {
    pub access_key: Secret,
    pub secret_key: Secret,
    pub session_token: Option<Secret>,
}

/// What keys in Redis begin with, where nothing else is said.
pub(super) const REDIS_PREFIX: &str = "onedoor";

impl Place {
    /// Whether several machines may use it at once.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        match self {
            Self::Folder(_) => false,
            Self::Redis(_) | Self::S3(_) => true,
        }
    }
}

/// As people know it, without secrets.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => path.display().fmt(f),
            Self::Redis(redis) => redis.fmt(f),
            Self::S3(s3) => s3.fmt(f),
        }
    }
}

impl fmt::Display for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (database, prefix) = (self.database, &self.prefix);
        match &self.reached {
            Reached::Plain { host, port } => {
                write!(f, "redis://{}:{port}/{database}", bracketed(host))?;
            }
            Reached::Tls { host, port } => {
                write!(f, "rediss://{}:{port}/{database}", bracketed(host))?;
            }
            Reached::Socket(path) => {
                write!(f, "redis+unix://{}", path.display())?;
                if database != 0 {
                    write!(f, "?database={database}")?;
                }
            }
        }
        if **prefix != *REDIS_PREFIX {
            let is_first = !matches!(self.reached, Reached::Socket(_)) || database == 0;
            let mark = if is_first { '?' } else { '&' };
            write!(f, "{mark}prefix={prefix}")?;
        }
        Ok(())
    }
}

impl fmt::Display for S3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}", self.bucket)?;
        if !self.prefix.is_empty() {
            write!(f, "/{}", self.prefix)?;
        }
        match &self.endpoint {
            Some(endpoint) => write!(f, " at {endpoint}"),
            None => Ok(()),
        }
    }
}

fn bracketed(host: &str) -> String {
    if host.contains(':') {
        return format!("[{host}]");
    }
    host.to_owned()
}

//! `redis://[user:password@]host[:port][/database][?prefix=onedoor]`; `rediss://` is the same over TLS.

use std::fmt;

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _};

/// What keys begin with, where nothing else is said.
const PREFIX: &str = "onedoor";
/// Octets of a prefix.
const PREFIX_MAX: usize = 100;

/// Where a store in Redis is. Shown without its password.
#[derive(Clone)]
pub struct Place {
    pub(super) address: ConnectionInfo,
    pub(super) prefix: Box<str>,
}

/// Why a text names no store in Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadPlace {
    /// No URL that Redis is reached by.
    Url,
    /// The prefix is empty, too long, or has other characters than letters, digits, `-`, `_`, `.` and `:`.
    Prefix,
    /// Another parameter than `prefix`.
    Parameter,
}

impl Place {
    /// # Errors
    /// [`BadPlace`]
    pub fn parse(text: &str) -> Result<Self, BadPlace> {
        let (url, query) = text.split_once('?').unwrap_or((text, ""));
        let mut prefix = PREFIX;
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("prefix", value)) => prefix = value,
                Some(_) | None => return Err(BadPlace::Parameter),
            }
        }
        let allowed = |octet: u8| octet.is_ascii_alphanumeric() || b"-_.:".contains(&octet);
        if prefix.is_empty() || prefix.len() > PREFIX_MAX || !prefix.bytes().all(allowed) {
            return Err(BadPlace::Prefix);
        }
        let address = url.into_connection_info().map_err(|_error| BadPlace::Url)?;
        Ok(Self {
            address,
            prefix: prefix.into(),
        })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let database = self.address.redis_settings().db();
        match self.address.addr() {
            ConnectionAddr::TcpTls { host, port, .. } => {
                write!(f, "rediss://{host}:{port}/{database}")
            }
            other => write!(f, "redis://{other}/{database}"),
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Place({self} {})", self.prefix)
    }
}

impl fmt::Display for BadPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Url => "no URL of Redis",
            Self::Prefix => "a prefix has letters, digits, `-`, `_`, `.` and `:`, at most 100",
            Self::Parameter => "the only parameter is `prefix`",
        })
    }
}

impl std::error::Error for BadPlace {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_shown_without_its_password() {
        let place = Place::parse("redis://me:secret@cache.test:6380/2?prefix=door").unwrap();
        assert_eq!(place.to_string(), "redis://cache.test:6380/2");
        assert_eq!(&*place.prefix, "door");
        assert!(!format!("{place:?}").contains("secret"));
        let place = Place::parse("rediss://cache.test").unwrap();
        assert_eq!(place.to_string(), "rediss://cache.test:6379/0");
        assert_eq!(&*place.prefix, PREFIX);
    }

    #[test]
    fn what_is_no_place_is_refused() {
        let why = |text| Place::parse(text).unwrap_err();
        assert_eq!(why("http://cache.test"), BadPlace::Url);
        assert_eq!(why("redis://cache.test?prefix="), BadPlace::Prefix);
        assert_eq!(why("redis://cache.test?prefix=a{b}"), BadPlace::Prefix);
        assert_eq!(why("redis://cache.test?ttl=3"), BadPlace::Parameter);
    }
}

//! A place of storage as one text: a path, or the URL of a store that replicas share.

use std::fmt;
use std::path::Path;

use http::uri::Authority;

use super::place::REDIS_PREFIX;
use super::{Place, Reached, Redis, S3};
use crate::config::secret::Secret;

/// Why a text names no storage. It is not repeated: there may be a password in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BadUrl {
    /// No path either.
    Empty,
    /// Nothing is stored by this scheme.
    Scheme(Box<str>),
    /// No host, or none that can be one.
    Host,
    /// Behind the host of Redis stands no number.
    Database,
    /// Letters, digits, `-`, `_`, `.` and `:`, and not too many of them.
    Prefix,
    /// A parameter that means nothing here.
    Parameter,
    /// `%` without two digits, or no UTF-8.
    Percent,
    Bucket,
    /// A part of the prefix in S3 that is empty, `.`, `..` or has odd characters.
    Folder,
    /// A user or password in a URL that has none.
    User,
}

const REDIS_PORT: u16 = 6379;
const REDIS_PREFIX_BYTES_MAX: usize = 100;
const BUCKET_BYTES: std::ops::RangeInclusive<usize> = 3..=63;
/// Leaves the longest key room within the limit of S3.
const S3_PREFIX_BYTES_MAX: usize = 150;

impl Place {
    /// Reads a URL; what has no scheme is a path, from `folder`.
    ///
    /// # Errors
    /// [`BadUrl`]
    pub fn parse(text: &str, folder: &Path) -> Result<Self, BadUrl> {
        if text.is_empty() || text.contains('\0') {
            return Err(BadUrl::Empty);
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return Ok(Self::Folder(folder.join(text)));
        };
        match scheme {
            "redis" => Redis::parse(rest, |host, port| Reached::Plain { host, port }),
            "rediss" => Redis::parse(rest, |host, port| Reached::Tls { host, port }),
            "redis+unix" => Redis::on_socket(rest),
            "s3" => return S3::parse(rest).map(Self::S3),
            other => return Err(BadUrl::Scheme(other.into())),
        }
        .map(Self::Redis)
    }
}

impl Redis {
    fn parse(rest: &str, reached: impl FnOnce(Box<str>, u16) -> Reached) -> Result<Self, BadUrl> {
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, host) = match authority.rsplit_once('@') {
            Some((login, host)) => (Some(login), host),
            None => (None, authority),
        };
        // What is written unescaped into a password ends the authority too early.
        let host: Authority = host.parse().map_err(|_error| BadUrl::Host)?;
        let name = host.host();
        let name = name
            .strip_prefix('[')
            .map_or(name, |name| name.trim_end_matches(']'));
        if name.is_empty() {
            return Err(BadUrl::Host);
        }
        let port = match host.as_str().strip_prefix(host.host()) {
            Some("") | None => REDIS_PORT,
            Some(port) => {
                let digits = port.strip_prefix(':').ok_or(BadUrl::Host)?;
                digits.parse().map_err(|_error| BadUrl::Host)?
            }
        };
        let (user, password) = match login {
            Some(login) => login.split_once(':').unwrap_or((login, "")),
            None => ("", ""),
        };
        let mut found = Self::at(reached(name.into(), port));
        found.user = some(decoded(user)?).map(Into::into);
        found.password = some(decoded(password)?).map(|text| Secret::new(&text));
        if !database.is_empty() {
            found.database = database.parse().map_err(|_error| BadUrl::Database)?;
        }
        found.adopt(query, false)?;
        Ok(found)
    }

    fn on_socket(rest: &str) -> Result<Self, BadUrl> {
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let path = decoded(path)?;
        if !path.starts_with('/') || path.len() == 1 {
            return Err(BadUrl::Host);
        }
        let mut found = Self::at(Reached::Socket(path.into()));
        found.adopt(query, true)?;
        Ok(found)
    }

    fn at(reached: Reached) -> Self {
        Self {
            reached,
            database: 0,
            prefix: REDIS_PREFIX.into(),
            user: None,
            password: None,
            roots: None,
        }
    }

    fn adopt(&mut self, query: &str, with_database: bool) -> Result<(), BadUrl> {
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match name {
                "prefix" => self.prefix = prefix(value)?,
                "database" if with_database => {
                    self.database = value.parse().map_err(|_error| BadUrl::Database)?;
                }
                _ => return Err(BadUrl::Parameter),
            }
        }
        Ok(())
    }
}

impl S3 {
    fn parse(rest: &str) -> Result<Self, BadUrl> {
        if rest.contains('?') {
            return Err(BadUrl::Parameter);
        }
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.contains('@') {
            return Err(BadUrl::User);
        }
        if !is_bucket(bucket) {
            return Err(BadUrl::Bucket);
        }
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
        let allowed = |octet: u8| octet.is_ascii_alphanumeric() || b"-_.".contains(&octet);
        let is_part =
            |part: &str| !part.is_empty() && !part.starts_with('.') && part.bytes().all(allowed);
        let is_good = prefix.is_empty() || prefix.split('/').all(is_part);
        if !is_good || prefix.len() > S3_PREFIX_BYTES_MAX {
            return Err(BadUrl::Folder);
        }
        Ok(Self {
            bucket: bucket.into(),
            prefix: prefix.into(),
            endpoint: None,
            region: None,
            keys: None,
            roots: None,
        })
    }
}

fn is_bucket(text: &str) -> bool {
    let small = |octet: u8| octet.is_ascii_lowercase() || octet.is_ascii_digit();
    BUCKET_BYTES.contains(&text.len())
        && text
            .bytes()
            .all(|octet| small(octet) || b"-.".contains(&octet))
        && [text.bytes().next(), text.bytes().last()]
            .into_iter()
            .flatten()
            .all(small)
}

fn prefix(text: &str) -> Result<Box<str>, BadUrl> {
    let allowed = |octet: u8| octet.is_ascii_alphanumeric() || b"-_.:".contains(&octet);
    let is_good = !text.is_empty() && text.len() <= REDIS_PREFIX_BYTES_MAX;
    if !is_good || !text.bytes().all(allowed) {
        return Err(BadUrl::Prefix);
    }
    Ok(text.into())
}

fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

/// Without `%`.
fn decoded(text: &str) -> Result<String, BadUrl> {
    let mut parts = text.split('%');
    let mut octets = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2).ok_or(BadUrl::Percent)?;
        let is_hex = digits.bytes().all(|octet| octet.is_ascii_hexdigit());
        let octet = u8::from_str_radix(digits, 16).ok().filter(|_octet| is_hex);
        octets.push(octet.ok_or(BadUrl::Percent)?);
        octets.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(octets).map_err(|_octets| BadUrl::Percent)
}

impl fmt::Display for BadUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("this is neither a path nor a URL"),
            Self::Scheme(scheme) => write!(f, "nothing is stored by `{scheme}`"),
            Self::Host => f.write_str(
                "there is no host in it, or a `/` or `?` of the password is not written as `%2F` or `%3F`",
            ),
            Self::Database => f.write_str("a database of Redis is a number"),
            Self::Prefix => write!(
                f,
                "a prefix has letters, digits, `-`, `_`, `.` and `:`, at most {REDIS_PREFIX_BYTES_MAX}"
            ),
            Self::Parameter => f.write_str(
                "behind `?` stands a parameter that means nothing here: Redis has `prefix`, and `database` where the URL is that of a socket",
            ),
            Self::Percent => f.write_str("`%` stands before two hexadecimal digits, and is itself `%25`"),
            Self::Bucket => write!(
                f,
                "a bucket has {} to {} small letters, digits, `-` and `.`",
                BUCKET_BYTES.start(),
                BUCKET_BYTES.end()
            ),
            Self::Folder => f.write_str(
                "what follows the bucket has letters, digits, `-`, `_` and `.` between single `/`, no part begins with a dot, and all of it is short",
            ),
            Self::User => f.write_str("keys are not part of this URL: they have `access_key` and `secret_key`"),
        }
    }
}

impl std::error::Error for BadUrl {}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn redis(text: &str) -> Redis {
        match Place::parse(text, Path::new("/etc/onedoor")) {
            Ok(Place::Redis(redis)) => redis,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_redis_is_found_by_its_url() {
        let plain = redis("redis://cache.test");
        assert_eq!(plain.to_string(), "redis://cache.test:6379/0");
        assert_eq!((plain.user, plain.password), (None, None));
        let all = redis("rediss://me:p%40ss%2f@[::1]:6380/2?prefix=door");
        assert_eq!(all.to_string(), "rediss://[::1]:6380/2?prefix=door");
        assert_eq!(all.user.as_deref(), Some("me"));
        assert_eq!(all.password.as_ref().map(Secret::reveal), Some("p@ss/"));
        assert!(!format!("{all:?}").contains("p@ss"));
        let host: Box<str> = "::1".into();
        assert_eq!(all.reached, Reached::Tls { host, port: 6380 });
        let nameless = redis("redis://:secret@cache.test/");
        assert_eq!(nameless.user, None);
        assert_eq!(
            nameless.password.as_ref().map(Secret::reveal),
            Some("secret")
        );
    }

    #[test]
    fn a_socket_is_a_way_to_redis() {
        let socket = redis("redis+unix:///run/redis%20one.sock?database=3&prefix=a:b");
        assert_eq!(
            socket.reached,
            Reached::Socket("/run/redis one.sock".into())
        );
        assert_eq!((socket.database, &*socket.prefix), (3, "a:b"));
        assert_eq!(
            socket.to_string(),
            "redis+unix:///run/redis one.sock?database=3&prefix=a:b"
        );
    }

    #[test]
    fn a_bucket_and_a_path_are_found() {
        let parse = |text| Place::parse(text, Path::new("/etc/onedoor")).unwrap();
        let shown = |text| parse(text).to_string();
        assert_eq!(shown("s3://bucket"), "s3://bucket");
        assert_eq!(shown("s3://bucket/"), "s3://bucket");
        assert_eq!(shown("s3://bucket/a/b/"), "s3://bucket/a/b");
        assert_eq!(parse("state"), Place::Folder("/etc/onedoor/state".into()));
        assert_eq!(parse("/srv"), Place::Folder("/srv".into()));
        assert!(parse("s3://bucket").is_shared() && !parse("/srv").is_shared());
    }

    #[test]
    fn what_is_no_storage_is_refused_without_being_repeated() {
        #[track_caller]
        fn check(text: &str, expected: &BadUrl) {
            let error = Place::parse(text, Path::new("")).unwrap_err();
            assert!(!error.to_string().contains("sn00p"), "{error}");
            assert_eq!(error, *expected, "{text}");
        }
        check("", &BadUrl::Empty);
        check("ftp://host/x", &BadUrl::Scheme("ftp".into()));
        for text in [
            "redis://",
            "redis://:sn00p/ed@host",
            "redis://:sn00p?ed@host",
            "redis://host:0x",
            "redis://host:99999",
            "redis://host:",
            "redis+unix://socket",
            "redis+unix:///",
        ] {
            check(text, &BadUrl::Host);
        }
        check("redis://host/x", &BadUrl::Database);
        check("redis://host/-1", &BadUrl::Database);
        check("redis://host?prefix=", &BadUrl::Prefix);
        check("redis://host?prefix=a{b}", &BadUrl::Prefix);
        check("redis://host?ttl=3", &BadUrl::Parameter);
        check("redis://host?database=3", &BadUrl::Parameter);
        check("redis://:sn00p%4@host", &BadUrl::Percent);
        check("redis://:sn00p%+1@host", &BadUrl::Percent);
        check("redis://:sn00p%ff@host", &BadUrl::Percent);
        for text in ["s3://", "s3://ab", "s3://Bucket", "s3:///a", "s3://-ab"] {
            check(text, &BadUrl::Bucket);
        }
        for text in ["s3://bucket/a//b", "s3://bucket/../a"] {
            check(text, &BadUrl::Folder);
        }
        check("s3://bucket?region=x", &BadUrl::Parameter);
        check("s3://key:sn00p@bucket", &BadUrl::User);
    }
}

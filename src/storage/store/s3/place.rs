//! `s3://bucket[/prefix]`, and where and as whom it is asked for.

use std::fmt;

use http::Uri;
use http::uri::Scheme;

/// Lengths of a bucket's name, by the rules of S3.
const BUCKET_BYTES_MIN: usize = 3;
const BUCKET_BYTES_MAX: usize = 63;
/// Octets of a prefix: leaves the longest key room within the limit of S3.
const PREFIX_BYTES_MAX: usize = 150;
/// Asked for where nothing is said, and good enough for stores that know no regions.
const REGION: &str = "us-east-1";

/// Where a store in a bucket is, and who asks. Shown without secrets.
#[derive(Clone)]
pub struct Place {
    pub(super) bucket: Box<str>,
    /// Without slashes at its ends; may be empty.
    pub(super) prefix: Box<str>,
    /// Of a store that is not that of AWS.
    pub(super) endpoint: Option<Box<str>>,
    pub(super) region: Box<str>,
    pub(super) keys: Option<Keys>,
    /// PEM certificates that are trusted besides the system's.
    pub(super) roots: Option<Box<[u8]>>,
}

/// What requests are signed with.
#[derive(Clone)]
pub(super) struct Keys {
    pub(super) access: Box<str>,
    pub(super) secret: Box<str>,
    pub(super) session: Option<Box<str>>,
}

/// Why something names no store in a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadPlace {
    /// It does not begin with `s3://`.
    Url,
    /// No name that a bucket can have.
    Bucket,
    /// Other characters than letters, digits, `-`, `_` and `.` between slashes, or too long.
    Prefix,
    /// No `http://` or `https://` with a host and nothing behind it.
    Endpoint,
}

impl Place {
    /// Of AWS, and as whom the machine is known there, unless more is said.
    ///
    /// # Errors
    /// [`BadPlace`]
    pub fn parse(url: &str) -> Result<Self, BadPlace> {
        let rest = url.strip_prefix("s3://").ok_or(BadPlace::Url)?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
        if !is_bucket(bucket) {
            return Err(BadPlace::Bucket);
        }
        let well = prefix.is_empty() || prefix.split('/').all(is_segment);
        if !well || prefix.len() > PREFIX_BYTES_MAX {
            return Err(BadPlace::Prefix);
        }
        Ok(Self {
            bucket: bucket.into(),
            prefix: prefix.into(),
            endpoint: None,
            region: REGION.into(),
            keys: None,
            roots: None,
        })
    }

    /// At a store that speaks as S3 does, such as `https://minio.example:9000`.
    ///
    /// # Errors
    /// [`BadPlace::Endpoint`]
    pub fn at_endpoint(mut self, url: &str) -> Result<Self, BadPlace> {
        let parsed: Uri = url.parse().map_err(|_error| BadPlace::Endpoint)?;
        let known = [Some(&Scheme::HTTP), Some(&Scheme::HTTPS)].contains(&parsed.scheme());
        let authority = parsed
            .authority()
            .map_or("", |authority| authority.as_str());
        let bare = parsed.path() == "/" && parsed.query().is_none() && !authority.contains('@');
        if !known || authority.is_empty() || !bare {
            return Err(BadPlace::Endpoint);
        }
        self.endpoint = Some(url.trim_end_matches('/').into());
        Ok(self)
    }

    #[must_use]
    pub fn in_region(mut self, region: &str) -> Self {
        self.region = region.into();
        self
    }

    /// Signs with these keys; `session` belongs to keys that were lent for a while.
    #[must_use]
    pub fn with_keys(mut self, access: &str, secret: &str, session: Option<&str>) -> Self {
        self.keys = Some(Keys {
            access: access.into(),
            secret: secret.into(),
            session: session.map(Into::into),
        });
        self
    }

    /// Trusts these PEM certificates besides the system's.
    #[must_use]
    pub fn trusting(mut self, roots: &[u8]) -> Self {
        self.roots = Some(roots.into());
        self
    }
}

fn is_bucket(text: &str) -> bool {
    let allowed =
        |octet: u8| octet.is_ascii_lowercase() || octet.is_ascii_digit() || b".-".contains(&octet);
    let ends = [text.bytes().next(), text.bytes().last()];
    (BUCKET_BYTES_MIN..=BUCKET_BYTES_MAX).contains(&text.len())
        && text.bytes().all(allowed)
        && ends.iter().flatten().all(u8::is_ascii_alphanumeric)
}

fn is_segment(text: &str) -> bool {
    let allowed = |octet: u8| octet.is_ascii_alphanumeric() || b"-_.".contains(&octet);
    !text.is_empty() && !text.starts_with('.') && text.bytes().all(allowed)
}

impl fmt::Display for Place {
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

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Place({self} in {})", self.region)
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").finish_non_exhaustive()
    }
}

impl fmt::Display for BadPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url => f.write_str("a bucket is written `s3://bucket/prefix`"),
            Self::Bucket => write!(
                f,
                "a bucket's name has {BUCKET_BYTES_MIN} to {BUCKET_BYTES_MAX} small letters, digits, `-` and `.`"
            ),
            Self::Prefix => write!(
                f,
                "a prefix has letters, digits, `-`, `_` and `.` between slashes, at most {PREFIX_BYTES_MAX} in all"
            ),
            Self::Endpoint => f.write_str(
                "an endpoint is `https://host` or `http://host`, with or without a port",
            ),
        }
    }
}

impl std::error::Error for BadPlace {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_shown_without_its_secrets() {
        let place = Place::parse("s3://our-bucket/edge/one/").unwrap();
        let place = place.at_endpoint("http://127.0.0.1:9000/").unwrap();
        let place = place.with_keys("AKIA", "secret", Some("token"));
        assert_eq!(
            place.to_string(),
            "s3://our-bucket/edge/one at http://127.0.0.1:9000"
        );
        let debugged = format!("{place:?} {:?}", place.keys);
        for secret in ["AKIA", "secret", "token"] {
            assert!(!debugged.contains(secret), "{debugged}");
        }
        assert_eq!(
            Place::parse("s3://bucket").unwrap().to_string(),
            "s3://bucket"
        );
    }

    #[test]
    fn what_is_no_place_is_refused() {
        let why = |url| Place::parse(url).unwrap_err();
        assert_eq!(why("https://bucket"), BadPlace::Url);
        for url in ["s3://", "s3://ab", "s3://Bucket", "s3://-ab", "s3:///a"] {
            assert_eq!(why(url), BadPlace::Bucket, "{url}");
        }
        for url in ["s3://bucket/a//b", "s3://bucket/../a", "s3://bucket/a?b=c"] {
            assert_eq!(why(url), BadPlace::Prefix, "{url}");
        }
        let bucket = Place::parse("s3://bucket").unwrap();
        for url in [
            "minio:9000",
            "ftp://minio",
            "http://minio/path",
            "https://me:secret@minio",
        ] {
            let answer = bucket.clone().at_endpoint(url).unwrap_err();
            assert_eq!(answer, BadPlace::Endpoint, "{url}");
        }
    }
}

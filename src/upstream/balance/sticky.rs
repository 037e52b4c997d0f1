//! Sticky cookies: what a target is called towards strangers, and who of a request's cookies names one.

use std::collections::HashSet;

use aws_lc_rs::digest::{SHA256, digest};
use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};

/// Cookies of one request that are looked at.
pub const COOKIES_MAX: usize = 256;

/// Characters of an id.
const LENGTH: usize = 4;
/// Those of base 32 (RFC 4648 section 6), which stand for themselves in a cookie.
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// What a target is called in a cookie: the same on every replica and after every restart. It is a short digest, so that too many
/// addresses share it for anybody to learn one from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Id([u8; LENGTH]);

/// Whether cookies may travel over connections in the clear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    Secure,
    Clear,
}

impl Id {
    /// The id of a target with this text; the `attempt`th, if others before it have the same.
    fn of(text: &str, attempt: u32) -> Self {
        let salted = [&attempt.to_be_bytes(), text.as_bytes()].concat();
        let digest = digest(&SHA256, &salted);
        let mut id = [0; LENGTH];
        for (character, octet) in id.iter_mut().zip(digest.as_ref()) {
            *character = ALPHABET[usize::from(octet % 32)];
        }
        Self(id)
    }

    /// The id as it stands in a cookie.
    #[must_use]
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// An id for each text, no two alike. What others stand in the list changes an id only when two would have been alike.
#[must_use]
pub fn ids<'a>(texts: impl IntoIterator<Item = &'a str>) -> Box<[Id]> {
    let mut taken = HashSet::new();
    let ids = texts.into_iter().map(|text| {
        let mut attempt = 0;
        let mut id = Id::of(text, attempt);
        // There are far more ids than a configuration may have targets; if not, the last ones are never found.
        while !taken.insert(id) && attempt < u32::from(u16::MAX) {
            attempt += 1;
            id = Id::of(text, attempt);
        }
        id
    });
    ids.collect()
}

/// Which of `ids` the first cookie called `name` has that has any.
#[must_use]
pub fn named(
    headers: &HeaderMap,
    name: &str,
    ids: &(impl Iterator<Item = Id> + Clone),
) -> Option<usize> {
    let lines = headers.get_all(COOKIE).into_iter();
    let cookies = lines.flat_map(|line| line.as_bytes().split(|octet| *octet == b';'));
    cookies.take(COOKIES_MAX).find_map(|cookie| {
        let value = value_of(cookie, name)?;
        ids.clone().position(|id| id.0 == value)
    })
}

/// The value of a cookie-pair (RFC 6265 section 4.1.1) with this very name.
fn value_of<'a>(cookie: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let cookie = cookie.strip_prefix(b" ").unwrap_or(cookie);
    cookie.strip_prefix(name.as_bytes())?.strip_prefix(b"=")
}

/// The `Set-Cookie` that gives a client an id. None if `name` makes no field value.
#[must_use]
pub fn given(name: &str, id: Id, transport: Transport) -> Option<HeaderValue> {
    let id = id.as_str();
    let secure = match transport {
        Transport::Secure => "; Secure",
        Transport::Clear => "",
    };
    HeaderValue::try_from(format!(
        "{name}={id}; Path=/{secure}; HttpOnly; SameSite=Lax"
    ))
    .ok()
}

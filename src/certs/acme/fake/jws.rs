//! The signed form of requests, verified as a CA does it.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::Value;

use super::reply::Reply;

pub(super) struct Signed {
    pub(super) nonce: String,
    pub(super) url: String,
    pub(super) kid: Option<String>,
    pub(super) key: Option<PublicKey>,
    /// Null for a POST-as-GET.
    pub(super) payload: Value,
    covered: String,
    signature: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PublicKey {
    point: Vec<u8>,
    /// RFC 7638
    pub(super) thumbprint: String,
}

impl Signed {
    /// Checks the form; the signature needs the key.
    pub(super) fn parse(body: &[u8]) -> Result<Self, Reply> {
        Self::read(body).ok_or_else(|| Reply::problem(400, "malformed", "not a JWS"))
    }

    fn read(body: &[u8]) -> Option<Self> {
        let body: Value = serde_json::from_slice(body).ok()?;
        let part = |name: &str| body.get(name)?.as_str();
        let (protected, payload) = (part("protected")?, part("payload")?);
        let header: Value = serde_json::from_slice(&decode(protected)?).ok()?;
        let text = |name: &str| Some(header.get(name)?.as_str()?.to_owned());
        if text("alg")? != "ES256" {
            return None;
        }
        let payload_json = match payload {
            "" => Value::Null,
            _ => serde_json::from_slice(&decode(payload)?).ok()?,
        };
        Some(Self {
            nonce: text("nonce")?,
            url: text("url")?,
            kid: text("kid"),
            key: header.get("jwk").and_then(PublicKey::parse),
            payload: payload_json,
            covered: format!("{protected}.{payload}"),
            signature: decode(part("signature")?)?,
        })
    }

    pub(super) fn verify(&self, key: &PublicKey) -> Result<(), Reply> {
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &key.point);
        key.verify(self.covered.as_bytes(), &self.signature)
            .map_err(|_unspecified| Reply::problem(403, "unauthorized", "the signature is wrong"))
    }
}

impl PublicKey {
    fn parse(jwk: &Value) -> Option<Self> {
        let (x, y) = (jwk.get("x")?.as_str()?, jwk.get("y")?.as_str()?);
        let mut point = vec![4];
        point.extend(decode(x)?);
        point.extend(decode(y)?);
        let canonical = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        let thumbprint = BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, canonical.as_bytes()));
        Some(Self { point, thumbprint })
    }
}

/// Whether an external account binding was made with this secret for this key.
pub(super) fn is_bound(binding: &Value, kid: &str, secret: &[u8], key: &PublicKey) -> bool {
    let read = || {
        let part = |name: &str| binding.get(name)?.as_str();
        let (protected, payload) = (part("protected")?, part("payload")?);
        let header: Value = serde_json::from_slice(&decode(protected)?).ok()?;
        let inner: Value = serde_json::from_slice(&decode(payload)?).ok()?;
        let covered = format!("{protected}.{payload}");
        let secret = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let is_signed =
            hmac::verify(&secret, covered.as_bytes(), &decode(part("signature")?)?).is_ok();
        let is_named = header.get("kid")?.as_str()? == kid;
        Some(is_signed && is_named && PublicKey::parse(&inner)?.point == key.point)
    };
    read().unwrap_or(false)
}

pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    BASE64_URL_SAFE_NO_PAD.decode(text).ok()
}

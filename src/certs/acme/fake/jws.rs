//! The signed form of requests, verified as a CA does it.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, RSA_PKCS1_2048_8192_SHA256,
    RsaPublicKeyComponents, UnparsedPublicKey,
};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::Value;

use super::reply::Reply;

pub(super) struct Signed {
    /// Empty inside another signed request.
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
    kind: Kind,
    /// RFC 7638
    pub(super) thumbprint: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    P256(Vec<u8>),
    P384(Vec<u8>),
    Rsa { n: Vec<u8>, e: Vec<u8> },
}

impl Signed {
    /// Checks the form; the signature needs the key.
    pub(super) fn parse(body: &[u8]) -> Result<Self, Reply> {
        Self::read(body).ok_or_else(|| Reply::problem(400, "malformed", "not a JWS"))
    }

    fn read(body: &[u8]) -> Option<Self> {
        Self::of(&serde_json::from_slice(body).ok()?)
    }

    /// The signed request inside another one's payload.
    pub(super) fn within(&self) -> Result<Self, Reply> {
        Self::of(&self.payload).ok_or_else(|| Reply::problem(400, "malformed", "not a JWS inside"))
    }

    fn of(body: &Value) -> Option<Self> {
        let part = |name: &str| body.get(name)?.as_str();
        let (protected, payload) = (part("protected")?, part("payload")?);
        let header: Value = serde_json::from_slice(&decode(protected)?).ok()?;
        let text = |name: &str| Some(header.get(name)?.as_str()?.to_owned());
        let key = header.get("jwk").and_then(PublicKey::parse);
        let known = ["ES256", "ES384", "RS256"];
        if !known.contains(&text("alg")?.as_str())
            || key
                .as_ref()
                .is_some_and(|key| text("alg").as_deref() != Some(key.algorithm()))
        {
            return None;
        }
        let payload_json = match payload {
            "" => Value::Null,
            _ => serde_json::from_slice(&decode(payload)?).ok()?,
        };
        Some(Self {
            nonce: text("nonce").unwrap_or_default(),
            url: text("url")?,
            kid: text("kid"),
            key,
            payload: payload_json,
            covered: format!("{protected}.{payload}"),
            signature: decode(part("signature")?)?,
        })
    }

    pub(super) fn verify(&self, key: &PublicKey) -> Result<(), Reply> {
        let (covered, signature) = (self.covered.as_bytes(), &self.signature);
        let verified =
            match &key.kind {
                Kind::P256(point) => UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
                    .verify(covered, signature),
                Kind::P384(point) => UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point)
                    .verify(covered, signature),
                Kind::Rsa { n, e } => RsaPublicKeyComponents { n, e }.verify(
                    &RSA_PKCS1_2048_8192_SHA256,
                    covered,
                    signature,
                ),
            };
        verified
            .map_err(|_unspecified| Reply::problem(403, "unauthorized", "the signature is wrong"))
    }
}

impl PublicKey {
    pub(super) fn parse(jwk: &Value) -> Option<Self> {
        let text = |name: &str| jwk.get(name)?.as_str();
        let (kind, canonical) = if text("kty")? == "RSA" {
            let (n, e) = (text("n")?, text("e")?);
            let kind = Kind::Rsa {
                n: decode(n)?,
                e: decode(e)?,
            };
            (kind, format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#))
        } else {
            let (curve, x, y) = (text("crv")?, text("x")?, text("y")?);
            let mut point = vec![4];
            point.extend(decode(x)?);
            point.extend(decode(y)?);
            let kind = match curve {
                "P-256" => Kind::P256(point),
                _ => Kind::P384(point),
            };
            let canonical = format!(r#"{{"crv":"{curve}","kty":"EC","x":"{x}","y":"{y}"}}"#);
            (kind, canonical)
        };
        let thumbprint = BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, canonical.as_bytes()));
        Some(Self { kind, thumbprint })
    }

    fn algorithm(&self) -> &'static str {
        match self.kind {
            Kind::P256(_) => "ES256",
            Kind::P384(_) => "ES384",
            Kind::Rsa { .. } => "RS256",
        }
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
        Some(is_signed && is_named && PublicKey::parse(&inner)? == *key)
    };
    read().unwrap_or(false)
}

pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    BASE64_URL_SAFE_NO_PAD.decode(text).ok()
}

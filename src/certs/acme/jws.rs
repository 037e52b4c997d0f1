//! The one request that the ACME library cannot sign as we need it: a new account under a key that is stored already (RFC 8555 section 7.3).

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::certs::acme::options::Eab;

/// A P-256 key of an account.
pub(super) struct AccountKey(EcdsaKeyPair);

/// The key cannot sign.
#[derive(Debug)]
pub(super) struct Unusable;

impl AccountKey {
    /// A new one as PKCS#8.
    pub(super) fn generate() -> Result<Vec<u8>, Unusable> {
        let pkcs8 =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
                .map_err(|_unspecified| Unusable)?;
        Ok(pkcs8.as_ref().to_vec())
    }

    pub(super) fn from_pkcs8(der: &[u8]) -> Result<Self, Unusable> {
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der)
            .map(Self)
            .map_err(|_rejected| Unusable)
    }

    /// The body of a request for an account with these contacts, bound to an external one if `eab` is given.
    pub(super) fn new_account(
        &self,
        nonce: &str,
        url: &str,
        contacts: &[String],
        eab: Option<&Eab>,
    ) -> Result<Vec<u8>, Unusable> {
        let jwk = self.jwk();
        let mut payload = json!({ "termsOfServiceAgreed": true });
        if !contacts.is_empty() {
            payload["contact"] = json!(contacts);
        }
        if let Some(eab) = eab {
            payload["externalAccountBinding"] = bind(eab, url, &jwk);
        }
        let header = json!({ "alg": "ES256", "jwk": jwk, "nonce": nonce, "url": url });
        let (protected, payload) = (encode(&header), encode(&payload));
        let signed = format!("{protected}.{payload}");
        let signature = self
            .0
            .sign(&SystemRandom::new(), signed.as_bytes())
            .map_err(|_unspecified| Unusable)?;
        Ok(jose(&protected, &payload, signature.as_ref())
            .to_string()
            .into_bytes())
    }

    fn jwk(&self) -> Value {
        // An uncompressed point: a tag, then the coordinates.
        let point = self.0.public_key().as_ref().get(1..).unwrap_or_default();
        let (x, y) = point.split_at(point.len() / 2);
        json!({
            "crv": "P-256",
            "kty": "EC",
            "x": BASE64_URL_SAFE_NO_PAD.encode(x),
            "y": BASE64_URL_SAFE_NO_PAD.encode(y),
        })
    }
}

fn bind(eab: &Eab, url: &str, jwk: &Value) -> Value {
    let header = json!({ "alg": "HS256", "kid": eab.kid, "url": url });
    let (protected, payload) = (encode(&header), encode(jwk));
    let key = hmac::Key::new(hmac::HMAC_SHA256, &eab.hmac);
    let tag = hmac::sign(&key, format!("{protected}.{payload}").as_bytes());
    jose(&protected, &payload, tag.as_ref())
}

fn jose(protected: &str, payload: &str, signature: &[u8]) -> Value {
    let signature = BASE64_URL_SAFE_NO_PAD.encode(signature);
    json!({ "protected": protected, "payload": payload, "signature": signature })
}

fn encode(value: &Value) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(value.to_string())
}

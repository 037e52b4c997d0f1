//! The keys of accounts: ours are P-256; those that other tools made may be any that CAs take.

use std::fmt;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _,
    RSA_PKCS1_SHA256,
};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use x509_parser::prelude::FromDer as _;
use x509_parser::public_key::RSAPublicKey;

/// A key that signs for an account.
pub struct AccountKey(Pair);

enum Pair {
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Rsa(rsa::KeyPair),
}

/// Which kind of key it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyType {
    P256,
    P384,
    Rsa { bits: usize },
}

/// The key cannot sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unusable;

impl AccountKey {
    /// A new one, P-256.
    pub(super) fn generate() -> Result<Self, Unusable> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING);
        pair.map(|pair| Self(Pair::P256(pair)))
            .map_err(|_unspecified| Unusable)
    }

    /// Reads PKCS#8, SEC1 or PKCS#1.
    ///
    /// # Errors
    /// It is none of these, or of a kind that signs for no account here.
    pub fn from_der(der: &[u8]) -> Result<Self, Unusable> {
        let curve = |algorithm| EcdsaKeyPair::from_private_key_der(algorithm, der);
        if let Ok(pair) = curve(&ECDSA_P256_SHA256_FIXED_SIGNING) {
            return Ok(Self(Pair::P256(pair)));
        }
        if let Ok(pair) = curve(&ECDSA_P384_SHA384_FIXED_SIGNING) {
            return Ok(Self(Pair::P384(pair)));
        }
        let pair = rsa::KeyPair::from_pkcs8(der).or_else(|_other| rsa::KeyPair::from_der(der));
        pair.map(|pair| Self(Pair::Rsa(pair)))
            .map_err(|_rejected| Unusable)
    }

    #[must_use]
    pub fn kind(&self) -> KeyType {
        match &self.0 {
            Pair::P256(_) => KeyType::P256,
            Pair::P384(_) => KeyType::P384,
            Pair::Rsa(pair) => KeyType::Rsa {
                bits: pair.public_modulus_len() * 8,
            },
        }
    }

    pub(super) fn pkcs8(&self) -> Result<Vec<u8>, Unusable> {
        let der: Pkcs8V1Der<'_> = match &self.0 {
            Pair::P256(pair) | Pair::P384(pair) => {
                let der = pair.to_pkcs8v1().map_err(|_unspecified| Unusable)?;
                return Ok(der.as_ref().to_vec());
            }
            Pair::Rsa(pair) => pair.as_der().map_err(|_unspecified| Unusable)?,
        };
        Ok(der.as_ref().to_vec())
    }

    /// The name of what it signs with (RFC 7518 section 3.1).
    pub(super) fn algorithm(&self) -> &'static str {
        match self.0 {
            Pair::P256(_) => "ES256",
            Pair::P384(_) => "ES384",
            Pair::Rsa(_) => "RS256",
        }
    }

    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Unusable> {
        let random = SystemRandom::new();
        match &self.0 {
            Pair::P256(pair) | Pair::P384(pair) => {
                let signature = pair.sign(&random, message);
                let signature = signature.map_err(|_unspecified| Unusable)?;
                Ok(signature.as_ref().to_vec())
            }
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                    .map_err(|_unspecified| Unusable)?;
                Ok(signature)
            }
        }
    }

    /// The public half (RFC 7517).
    pub(super) fn jwk(&self) -> Result<Value, Unusable> {
        match &self.0 {
            Pair::P256(pair) => Ok(point("P-256", pair)),
            Pair::P384(pair) => Ok(point("P-384", pair)),
            Pair::Rsa(pair) => {
                let (_rest, public) = RSAPublicKey::from_der(pair.public_key().as_ref())
                    .map_err(|_unparsable| Unusable)?;
                Ok(json!({
                    "kty": "RSA",
                    "n": number(public.modulus),
                    "e": number(public.exponent),
                }))
            }
        }
    }
}

fn point(curve: &str, pair: &EcdsaKeyPair) -> Value {
    // An uncompressed point: a tag, then the coordinates.
    let point = pair.public_key().as_ref().get(1..).unwrap_or_default();
    let (x, y) = point.split_at(point.len() / 2);
    json!({
        "crv": curve,
        "kty": "EC",
        "x": BASE64_URL_SAFE_NO_PAD.encode(x),
        "y": BASE64_URL_SAFE_NO_PAD.encode(y),
    })
}

/// Without the zeros in front that DER wants of numbers (RFC 7518 section 2).
fn number(octets: &[u8]) -> String {
    let first = octets.iter().position(|octet| *octet != 0);
    BASE64_URL_SAFE_NO_PAD.encode(octets.get(first.unwrap_or_default()..).unwrap_or_default())
}

impl fmt::Debug for AccountKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AccountKey").field(&self.kind()).finish()
    }
}

impl fmt::Display for KeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::P256 => f.write_str("P-256"),
            Self::P384 => f.write_str("P-384"),
            Self::Rsa { bits } => write!(f, "RSA-{bits}"),
        }
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the key is none that can sign for an account")
    }
}

impl std::error::Error for Unusable {}

#[cfg(test)]
mod tests {
    use rcgen::{
        KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PKCS_RSA_SHA256,
    };

    use super::*;

    #[test]
    fn the_usual_keys_are_read_in_the_usual_forms_and_written_as_pkcs8() {
        for (algorithm, kind, name) in [
            (&PKCS_ECDSA_P256_SHA256, KeyType::P256, "ES256"),
            (&PKCS_ECDSA_P384_SHA384, KeyType::P384, "ES384"),
            (&PKCS_RSA_SHA256, KeyType::Rsa { bits: 2048 }, "RS256"),
        ] {
            let made = KeyPair::generate_for(algorithm).unwrap();
            let key = AccountKey::from_der(made.serialized_der()).unwrap();
            assert_eq!((key.kind(), key.algorithm()), (kind, name));
            let again = AccountKey::from_der(&key.pkcs8().unwrap()).unwrap();
            assert_eq!(again.jwk().unwrap(), key.jwk().unwrap());
        }
        let rsa = rsa::KeyPair::generate(rsa::KeySize::Rsa2048).unwrap();
        let key = AccountKey(Pair::Rsa(rsa));
        let jwk = key.jwk().unwrap();
        assert_eq!(jwk["e"], "AQAB");
        let modulus = BASE64_URL_SAFE_NO_PAD.decode(jwk["n"].as_str().unwrap());
        assert_eq!(modulus.unwrap().len(), 256);
        assert!(!format!("{key:?}").contains(jwk["n"].as_str().unwrap()));
    }

    #[test]
    fn what_signs_for_no_account_is_refused() {
        let made = KeyPair::generate_for(&PKCS_ED25519).unwrap();
        assert!(AccountKey::from_der(made.serialized_der()).is_err());
        for broken in [&b""[..], b"no key", &[0x30, 0x82]] {
            assert!(AccountKey::from_der(broken).is_err());
        }
    }
}

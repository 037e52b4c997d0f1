//! The key of an account in the forms that other tools keep it in.

use aws_lc_rs::encoding::AsBigEndian as _;
use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use md5::{Digest as _, Md5};
use serde_json::{Value, json};

/// A P-256 key.
pub(super) struct AccountForm(EcdsaKeyPair);

impl AccountForm {
    /// None if it is no P-256 key.
    pub(super) fn of(pkcs8: &[u8]) -> Option<Self> {
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8)
            .ok()
            .map(Self)
    }

    /// PEM that openssl calls `EC PRIVATE KEY`.
    pub(super) fn sec1(&self) -> Option<String> {
        let der = self.0.private_key().as_der().ok()?;
        Some(pem("EC PRIVATE KEY", der.as_ref()))
    }

    /// A private JSON web key (RFC 7518 section 6.2.2).
    pub(super) fn jwk(&self) -> Option<Value> {
        // An uncompressed point: a tag, then the coordinates.
        let point = self.0.public_key().as_ref().get(1..)?;
        let (x, y) = point.split_at(point.len() / 2);
        let private = self.0.private_key().as_be_bytes().ok()?;
        let encode = |octets: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(octets);
        Some(json!({
            "crv": "P-256",
            "d": encode(private.as_ref()),
            "kty": "EC",
            "x": encode(x),
            "y": encode(y),
        }))
    }

    /// What certbot calls the account: the MD5 of its public key's PEM.
    pub(super) fn certbot_id(&self) -> Option<String> {
        let der = self.0.public_key().as_der().ok()?;
        let digest = Md5::digest(pem("PUBLIC KEY", der.as_ref()));
        Some(digest.iter().map(|octet| format!("{octet:02x}")).collect())
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    const LINE: usize = 64;
    let text = BASE64_STANDARD.encode(der);
    let mut pem = format!("-----BEGIN {label}-----\n");
    for (at, letter) in text.chars().enumerate() {
        if at > 0 && at % LINE == 0 {
            pem.push('\n');
        }
        pem.push(letter);
    }
    pem + &format!("\n-----END {label}-----\n")
}

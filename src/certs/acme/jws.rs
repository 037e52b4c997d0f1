//! The requests that the ACME library cannot sign as we need them (RFC 8555 sections 6.2, 7.3): under keys that are stored already,
//! and under those that other tools made.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::certs::acme::account_key::{AccountKey, Unusable};
use crate::certs::acme::options::Eab;

/// How the CA knows who signs.
#[derive(Debug, Clone, Copy)]
pub(super) enum Signer<'a> {
    /// By the key itself.
    Key,
    /// By the account's URL.
    Account(&'a str),
}

impl AccountKey {
    /// A signed request to `url`.
    pub(super) fn request(
        &self,
        signer: Signer<'_>,
        nonce: &str,
        url: &str,
        payload: &Value,
    ) -> Result<Vec<u8>, Unusable> {
        let mut header = json!({ "alg": self.algorithm(), "nonce": nonce, "url": url });
        match signer {
            Signer::Key => header["jwk"] = self.jwk()?,
            Signer::Account(kid) => header["kid"] = json!(kid),
        }
        let signed = self.jose(&header, payload)?;
        Ok(signed.to_string().into_bytes())
    }

    /// What is asked for with a new account: these contacts, bound to an external one if `eab` is given.
    pub(super) fn new_account(
        &self,
        url: &str,
        contacts: &[String],
        eab: Option<&Eab>,
    ) -> Result<Value, Unusable> {
        let mut payload = json!({ "termsOfServiceAgreed": true });
        if !contacts.is_empty() {
            payload["contact"] = json!(contacts);
        }
        if let Some(eab) = eab {
            payload["externalAccountBinding"] = bind(eab, url, &self.jwk()?);
        }
        Ok(payload)
    }

    /// What the account's old key must sign, so that this one signs for the account from then on (RFC 8555 section 7.3.5).
    pub(super) fn key_change(
        &self,
        url: &str,
        account: &str,
        old: &Self,
    ) -> Result<Value, Unusable> {
        let header = json!({ "alg": self.algorithm(), "jwk": self.jwk()?, "url": url });
        let payload = json!({ "account": account, "oldKey": old.jwk()? });
        self.jose(&header, &payload)
    }

    fn jose(&self, header: &Value, payload: &Value) -> Result<Value, Unusable> {
        let (protected, payload) = (encode(header), encode(payload));
        let signature = self.sign(format!("{protected}.{payload}").as_bytes())?;
        Ok(jose(&protected, &payload, &signature))
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

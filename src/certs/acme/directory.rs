//! The directory of a CA (RFC 8555 section 7.1.1): what it can do, and where.

use std::collections::BTreeMap;
use std::time::SystemTime;

use bytes::Bytes;
use serde::Deserialize;

use crate::causes::one_line;
use crate::certs::acme::fault::{OrderError, Side};
use crate::certs::acme::seams::Class;
use crate::certs::acme::transport::Transport;
use crate::certs::acme::wire;

/// As it was fetched; unknown keys are stepped over.
#[derive(Debug, Clone)]
pub struct Directory {
    pub url: String,
    pub json: Bytes,
    pub new_nonce: String,
    pub new_account: String,
    pub new_order: String,
    /// Where an account gets another key; none if the CA does not do that.
    pub key_change: Option<String>,
    /// Where renewal windows are told; none if the CA knows none (RFC 9773).
    pub renewal_info: Option<String>,
    /// The profiles on offer, with their descriptions.
    pub profiles: BTreeMap<String, String>,
    pub external_account_required: bool,
    pub terms_of_service: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Json {
    new_nonce: String,
    new_account: String,
    new_order: String,
    #[serde(default)]
    key_change: Option<String>,
    #[serde(default)]
    renewal_info: Option<String>,
    #[serde(default)]
    meta: Meta,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Meta {
    #[serde(default)]
    profiles: BTreeMap<String, String>,
    #[serde(default)]
    external_account_required: bool,
    #[serde(default)]
    terms_of_service: Option<String>,
}

impl Directory {
    /// # Errors
    /// The CA cannot be reached, or what is there is no directory.
    pub(super) async fn fetch(
        transport: &dyn Transport,
        url: &str,
        now: SystemTime,
    ) -> Result<Self, OrderError> {
        let fault = |problem: String| OrderError::new(Class::Transient, Side::Network, problem);
        let answer = wire::fetch(transport, url).await;
        let answer = answer.map_err(|error| fault(one_line(&error)))?;
        if !answer.status.is_success() {
            let retry_after = answer.retry_after(now);
            let problem = format!("the directory {url} answers {}", answer.status);
            return Err(OrderError {
                retry_after,
                ..fault(problem)
            });
        }
        Self::parse(url, answer.body)
            .ok_or_else(|| fault(format!("what is at {url} is no ACME directory")))
    }

    fn parse(url: &str, json: Bytes) -> Option<Self> {
        let parsed: Json = serde_json::from_slice(&json).ok()?;
        Some(Self {
            url: url.to_owned(),
            json,
            new_nonce: parsed.new_nonce,
            new_account: parsed.new_account,
            new_order: parsed.new_order,
            key_change: parsed.key_change,
            renewal_info: parsed.renewal_info,
            profiles: parsed.meta.profiles,
            external_account_required: parsed.meta.external_account_required,
            terms_of_service: parsed.meta.terms_of_service,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_keys_are_stepped_over_and_pages_are_no_directory() {
        let json = r#"{"newNonce":"n","newAccount":"a","newOrder":"o","Fq3x":"https://random",
            "meta":{"profiles":{"classic":"c"},"caaIdentities":["ca.test"]}}"#;
        let directory = Directory::parse("u", Bytes::from_static(json.as_bytes())).unwrap();
        assert_eq!(directory.new_order, "o");
        assert!(directory.profiles.contains_key("classic"));
        assert!(!directory.external_account_required);
        assert!(Directory::parse("u", Bytes::from_static(b"<html>")).is_none());
        assert!(Directory::parse("u", Bytes::from_static(b"{}")).is_none());
    }
}

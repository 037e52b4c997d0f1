//! acme-dns: a small DNS server that holds nothing but challenges, each account one name, which the real name leads to by CNAME.

use hickory_proto::rr::Name;
use http::{Method, Request, StatusCode};
use serde_json::json;

use super::error::{DelegationFault, DnsError};
use super::provider::Provider;
use super::secret::Secret;

#[derive(Debug, Clone)]
pub struct AcmeDnsOptions {
    /// Of the server, without `/update`.
    pub url: String,
    pub user: String,
    pub key: Secret,
    pub subdomain: String,
}

/// An account at an acme-dns server. It holds the last two values, which is enough for a wildcard and its base.
#[derive(Debug)]
pub struct AcmeDns {
    options: AcmeDnsOptions,
    provider: Provider,
}

impl AcmeDns {
    /// Reads the system's roots.
    #[must_use]
    pub fn new(options: AcmeDnsOptions) -> Self {
        Self {
            options,
            provider: Provider::new(),
        }
    }

    pub(super) async fn update(
        &self,
        name: &Name,
        record: &Name,
        value: &str,
    ) -> Result<(), DnsError> {
        let AcmeDnsOptions {
            url,
            user,
            key,
            subdomain,
        } = &self.options;
        let first = record.iter().next().unwrap_or_default();
        if name == record || !first.eq_ignore_ascii_case(subdomain.as_bytes()) {
            return Err(DnsError::Delegation {
                name: name.to_ascii(),
                fault: DelegationFault::Elsewhere {
                    to: record.to_ascii(),
                    subdomain: subdomain.clone(),
                },
            });
        }
        let url = format!("{}/update", url.trim_end_matches('/'));
        let request = Request::builder()
            .method(Method::POST)
            .header("X-Api-User", user)
            .header("X-Api-Key", key.reveal());
        let body = json!({ "subdomain": subdomain, "txt": value });
        let answer = self
            .provider
            .ask(&url, record, request, Some(&body))
            .await?;
        if answer.status == StatusCode::OK {
            return Ok(());
        }
        Err(DnsError::Provider {
            url,
            record: record.to_ascii(),
            remedy: remedy(answer.status),
            status: answer.status,
            answer: answer.to_string(),
        })
    }
}

fn remedy(status: StatusCode) -> &'static str {
    if status == StatusCode::UNAUTHORIZED || status == StatusCode::FORBIDDEN {
        "`user`, `key` and `subdomain` must be those of one account, and its `allowfrom` must have this machine's address"
    } else if status.is_server_error() {
        "the log of the acme-dns server says more"
    } else {
        "check that `url` is that of an acme-dns server, and that `subdomain` is the account's"
    }
}

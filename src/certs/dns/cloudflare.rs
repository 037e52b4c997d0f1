//! Cloudflare's interface for zones: finds the zone of a record, creates the TXT, deletes it by its id.

use hickory_proto::rr::Name;
use http::request::Builder;
use http::{Method, Request, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::RECORD_TTL;
use super::error::DnsError;
use super::provider::Provider;
use super::secret::Secret;
use super::zone::candidates;

/// Where the interface is.
pub const BASE: &str = "https://api.cloudflare.com/client/v4";
/// More records than one name can sensibly have.
const RECORDS_MAX: usize = 100;
/// The answer to a record that is there already.
const IDENTICAL: [u64; 2] = [81057, 81058];

#[derive(Debug, Clone)]
pub struct CloudflareOptions {
    /// An API token with `Zone.Zone: Read` and `Zone.DNS: Edit`.
    pub token: Secret,
    /// The name of the zone, or its id; none: the account's zones are asked.
    pub zone: Option<String>,
    /// [`BASE`], but for tests.
    pub base: String,
}

/// An account, as far as its token goes.
#[derive(Debug)]
pub struct Cloudflare {
    options: CloudflareOptions,
    provider: Provider,
}

/// What every answer is wrapped in.
#[derive(Debug, Deserialize)]
struct Envelope {
    #[serde(default)]
    success: bool,
    #[serde(default)]
    errors: Vec<Fault>,
    #[serde(default)]
    result: Value,
}

#[derive(Debug, Deserialize)]
struct Fault {
    #[serde(default)]
    code: u64,
}

impl Cloudflare {
    /// Reads the system's roots.
    #[must_use]
    pub fn new(options: CloudflareOptions) -> Self {
        Self {
            options,
            provider: Provider::new(),
        }
    }

    /// Gives the id by which to delete the record. One with the same value, left by an earlier process, is taken over.
    pub(super) async fn create(&self, record: &Name, value: &str) -> Result<String, DnsError> {
        let zone = self.zone_of(record).await?;
        let path = format!("/zones/{zone}/dns_records");
        let content = format!("\"{value}\"");
        let body = json!({
            "type": "TXT",
            "name": relative(record),
            "content": content,
            "ttl": RECORD_TTL,
        });
        let call = Call::new(Method::POST, &path, record);
        let created = self.call(&call, Some(&body)).await?;
        let id = match created {
            Reply::Done(created) => text(&created, "id"),
            Reply::Identical => {
                let name = relative(record);
                let path = format!("{path}?type=TXT&name={name}&per_page={RECORDS_MAX}");
                let listed = self
                    .call(&Call::new(Method::GET, &path, record), None)
                    .await?;
                let Reply::Done(listed) = listed else {
                    return Err(self.unexpected(&call, "no list"));
                };
                let fits = |entry: &&Value| {
                    entry["content"] == content.as_str() || entry["content"] == value
                };
                listed
                    .as_array()
                    .and_then(|list| list.iter().find(fits))
                    .and_then(|entry| text(entry, "id"))
            }
        };
        let place = id.map(|id| format!("{zone}/{id}"));
        place.ok_or_else(|| self.unexpected(&call, "no `id` of a record"))
    }

    pub(super) async fn delete(&self, record: &Name, id: &str) -> Result<(), DnsError> {
        let path = match id.split_once('/') {
            Some((zone, id)) => format!("/zones/{zone}/dns_records/{id}"),
            None => return Ok(()),
        };
        let call = Call::new(Method::DELETE, &path, record);
        self.call(&call, None).await.map(drop)
    }

    /// The zone with the longest name among those of the account that hold the record.
    async fn zone_of(&self, record: &Name) -> Result<String, DnsError> {
        let names: Vec<String> = match self.options.zone.as_deref() {
            // Names of zones have dots, ids have none.
            Some(id) if !id.contains('.') => return Ok(id.to_owned()),
            Some(name) => vec![name.trim_end_matches('.').to_owned()],
            None => candidates(record)
                .filter(|name| name.num_labels() > 1)
                .map(|name| relative(&name))
                .collect(),
        };
        for name in names {
            let path = format!("/zones?name={name}");
            let call = Call::new(Method::GET, &path, record);
            if let Reply::Done(found) = self.call(&call, None).await?
                && let Some(id) = text(&found[0], "id")
            {
                return Ok(id);
            }
        }
        Err(DnsError::Provider {
            url: self.options.base.clone(),
            record: record.to_ascii(),
            status: StatusCode::OK,
            answer: "that the token sees no zone for it".into(),
            remedy: "give the token `Zone: Read` and `DNS: Edit` for the zone, or delegate the name by CNAME to one that it has",
        })
    }

    async fn call(&self, call: &Call<'_>, body: Option<&Value>) -> Result<Reply, DnsError> {
        let url = format!("{}{}", self.options.base.trim_end_matches('/'), call.path);
        let request = self.authorized(&call.method);
        let answer = self.provider.ask(&url, call.record, request, body).await?;
        let envelope = serde_json::from_slice::<Envelope>(&answer.body).ok();
        match envelope {
            Some(envelope) if envelope.success && answer.status.is_success() => {
                Ok(Reply::Done(envelope.result))
            }
            Some(envelope) if envelope.errors.iter().any(|f| IDENTICAL.contains(&f.code)) => {
                Ok(Reply::Identical)
            }
            _ if call.method == Method::DELETE && answer.status == StatusCode::NOT_FOUND => {
                Ok(Reply::Done(Value::Null))
            }
            _ => Err(DnsError::Provider {
                url,
                record: call.record.to_ascii(),
                remedy: remedy(answer.status),
                status: answer.status,
                answer: answer.to_string(),
            }),
        }
    }

    fn authorized(&self, method: &Method) -> Builder {
        let bearer = format!("Bearer {}", self.options.token.reveal());
        Request::builder()
            .method(method)
            .header("Authorization", bearer)
    }

    fn unexpected(&self, call: &Call<'_>, answer: &str) -> DnsError {
        DnsError::Provider {
            url: format!("{}{}", self.options.base, call.path),
            record: call.record.to_ascii(),
            status: StatusCode::OK,
            answer: answer.into(),
            remedy: "that is not how this interface is known: report it",
        }
    }
}

struct Call<'a> {
    method: Method,
    path: &'a str,
    record: &'a Name,
}

impl<'a> Call<'a> {
    fn new(method: Method, path: &'a str, record: &'a Name) -> Self {
        Self {
            method,
            path,
            record,
        }
    }
}

enum Reply {
    Done(Value),
    /// There is such a record already.
    Identical,
}

fn text(value: &Value, key: &str) -> Option<String> {
    value[key].as_str().map(str::to_owned)
}

/// The provider writes names without the last dot.
fn relative(name: &Name) -> String {
    let text = name.to_ascii();
    text.trim_end_matches('.').to_owned()
}

fn remedy(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::BAD_REQUEST => {
            "check `token`: it needs `Zone: Read` and `DNS: Edit` for the zone"
        }
        StatusCode::TOO_MANY_REQUESTS => "too many requests of this account: try again later",
        _ => "try again, and look at the provider's status page",
    }
}

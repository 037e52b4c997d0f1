//! DNS-01: puts the value of a challenge into a TXT record, waits until it is seen, takes it away again. It knows the interfaces of
//! DNS servers and providers, and nothing of ACME but the name of the record.

pub mod acme_dns;
pub mod cloudflare;
mod delegation;
pub mod error;
pub mod exchange;
pub mod exec;
mod provider;
pub mod refusal;
pub mod resolver;
pub mod rfc2136;
pub mod secret;
pub mod wait;
mod zone;

use hickory_proto::rr::Name;
use serde::{Deserialize, Serialize};

use acme_dns::AcmeDns;
use cloudflare::Cloudflare;
use error::DnsError;
use exec::Exec;
use resolver::Resolver;
use rfc2136::Rfc2136;

/// How long the records live in caches, in seconds: the least that all providers take.
const RECORD_TTL: u32 = 60;
/// The longest single string of a TXT record.
const VALUE_BYTES_MAX: usize = 255;

/// A way to change TXT records. Several values may stand at one name at the same time, as a wildcard and its base need.
#[derive(Debug)]
pub enum Publisher {
    Rfc2136(Rfc2136),
    AcmeDns(AcmeDns),
    Cloudflare(Cloudflare),
    Exec(Exec),
}

/// A value that was put into a record. It may be stored, so that a later process takes it away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    name: String,
    record: String,
    value: String,
    /// What the provider calls the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<String>,
}

/// The name that a CA asks when it checks `host`, which may be a wildcard.
#[must_use]
pub fn challenge_name(host: &str) -> String {
    let base = host.strip_prefix("*.").unwrap_or(host);
    format!("_acme-challenge.{}.", base.trim_end_matches('.'))
}

impl Publisher {
    /// Adds `value` to the TXT records of `name`, or of the name that it is delegated to by CNAME, beside what is there.
    /// It succeeds when the provider took the value, which may be long before anybody sees it: [`wait::until_visible`].
    pub async fn publish(
        &self,
        resolver: &Resolver,
        name: &str,
        value: &str,
    ) -> Result<Published, DnsError> {
        if !is_plain(value) || value.len() > VALUE_BYTES_MAX {
            return Err(DnsError::BadValue { name: name.into() });
        }
        let (asked, record) = places(resolver, name).await?;
        let text = record.to_ascii();
        let id = match self {
            Self::Rfc2136(server) => server.append(&record, value).await.map(|()| None)?,
            Self::AcmeDns(server) => server.update(&asked, &record, value).await.map(|()| None)?,
            Self::Cloudflare(account) => Some(account.create(&record, value).await?),
            Self::Exec(program) => program.present(&text, value).await.map(|()| None)?,
        };
        Ok(Published {
            name: asked.to_ascii(),
            record: text,
            value: value.into(),
            id,
        })
    }

    /// What an earlier process published at `name`, or may have, for this one to withdraw.
    pub async fn recall(
        &self,
        resolver: &Resolver,
        name: &str,
        value: &str,
    ) -> Result<Published, DnsError> {
        let (asked, record) = places(resolver, name).await?;
        let id = match self {
            // It tells the id of a record to whoever creates it again.
            Self::Cloudflare(account) => Some(account.create(&record, value).await?),
            Self::Rfc2136(_) | Self::AcmeDns(_) | Self::Exec(_) => None,
        };
        Ok(Published {
            name: asked.to_ascii(),
            record: record.to_ascii(),
            value: value.into(),
            id,
        })
    }

    /// Takes one value away and leaves the others at its name. One that is gone already is no error.
    pub async fn withdraw(&self, published: &Published) -> Result<(), DnsError> {
        let Published {
            record, value, id, ..
        } = published;
        match self {
            Self::Rfc2136(server) => server.delete(&fqdn(record)?, value).await,
            // It keeps the last two values, forgets the older by itself, and has no way to delete one.
            Self::AcmeDns(_) => Ok(()),
            Self::Cloudflare(account) => {
                let id = id.as_deref().unwrap_or_default();
                account.delete(&fqdn(record)?, id).await
            }
            Self::Exec(program) => program.cleanup(record, value).await,
        }
    }
}

impl Published {
    /// The name that was to get the value, absolute.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name that got it, absolute: another one where the first is delegated.
    #[must_use]
    pub fn record(&self) -> &str {
        &self.record
    }

    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }
}

/// The name that is asked for, and the one that it is delegated to.
async fn places(resolver: &Resolver, name: &str) -> Result<(Name, Name), DnsError> {
    let asked = fqdn(name)?;
    let target = delegation::follow(resolver, &asked).await?;
    let record = fqdn(&target.to_ascii())?;
    Ok((asked, record))
}

/// An absolute name of letters, digits, hyphens and underscores: safe in messages, addresses and arguments.
fn fqdn(text: &str) -> Result<Name, DnsError> {
    let bad = || DnsError::BadName { name: text.into() };
    let relative = text.strip_suffix('.').unwrap_or(text);
    if !relative.split('.').all(is_plain) {
        return Err(bad());
    }
    let mut name = Name::from_ascii(relative).map_err(|_malformed| bad())?;
    name.set_fqdn(true);
    Ok(name)
}

fn is_plain(text: &str) -> bool {
    let plain = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'-' || octet == b'_';
    !text.is_empty() && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_and_its_base_are_asked_at_one_name() {
        assert_eq!(challenge_name("*.a.test"), "_acme-challenge.a.test.");
        assert_eq!(challenge_name("a.test."), "_acme-challenge.a.test.");
    }

    #[test]
    fn all_of_it_can_run_on_any_thread() {
        fn check<T: Send>(_work: impl FnOnce(&'static Publisher, &'static Resolver) -> T) {}
        fn shared<T: Send + Sync>() {}
        shared::<Publisher>();
        shared::<DnsError>();
        check(|publisher, resolver| publisher.publish(resolver, "a.test", "v"));
        check(|_, resolver| {
            let clock = crate::clock::Clock::system();
            async move { wait::until_visible(resolver, &clock, "a", "v", wait::VISIBLE_WITHIN).await }
        });
    }

    #[test]
    fn only_plain_names_are_taken() {
        for good in ["a.test", "_acme-challenge.xn--bcher-kva.test.", "lan"] {
            assert!(fqdn(good).is_ok(), "{good}");
        }
        let long = format!("{}.test", "a".repeat(64));
        let deep = "a.".repeat(128);
        for bad in [
            "", ".", "a..test", "*.a.test", "a b.test", "a\\046b", "-x.test", &long, &deep,
        ] {
            assert!(fqdn(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_stored_value_can_be_taken_away_later() {
        let published = Published {
            name: "a.test.".into(),
            record: "b.test.".into(),
            value: "v".into(),
            id: Some("7".into()),
        };
        let text = serde_json::to_string(&published).unwrap();
        assert_eq!(serde_json::from_str::<Published>(&text).unwrap(), published);
    }
}

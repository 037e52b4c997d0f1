//! From what the configuration says of public certificates to what the keeper goes by.

use std::net::SocketAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::storing::Depot;
use crate::certs::acme::options::{CaOptions, Eab, KeyKind};
use crate::certs::acme::request::ChallengeKind;
use crate::certs::dns::Publisher;
use crate::certs::dns::acme_dns::{AcmeDns, AcmeDnsOptions};
use crate::certs::dns::cloudflare::{BASE, Cloudflare, CloudflareOptions};
use crate::certs::dns::error::DnsError;
use crate::certs::dns::exec::{Exec, ExecOptions, PATIENCE};
use crate::certs::dns::resolver::Resolver;
use crate::certs::dns::rfc2136::{Algorithm, Rfc2136, Rfc2136Options};
use crate::certs::dns::secret::Secret;
use crate::certs::keeper::demand::Ask;
use crate::certs::keeper::{Dns, Held, Options, Records, Role};
use crate::clock::Clock;
use crate::config::Config;
use crate::config::acme::{self, Acme, Ca, Challenge, dns};
use crate::config::storage::Ephemeral;
use crate::storage::ephemeral;

/// What the keeper goes by.
///
/// # Errors
/// A publisher of DNS records that cannot be used.
pub(super) fn options(config: &Config, depot: &Depot, clock: &Clock) -> Result<Options, DnsError> {
    let Some(acme) = &config.acme else {
        return Ok(Options::default());
    };
    Ok(Options {
        cas: cas(config),
        challenges: acme.challenges.iter().copied().map(kind).collect(),
        dns: acme
            .dns
            .as_ref()
            .map(|dns| records(dns, clock))
            .transpose()?,
        on_demand: acme
            .on_demand
            .as_ref()
            .map(|on_demand| Ask::at(&on_demand.ask)),
        role: match acme.role {
            acme::Role::Issue => Role::Issue,
            acme::Role::ServeOnly => Role::ServeOnly,
        },
        held: held(config, depot),
    })
}

/// The CAs that are ordered from, in their order.
#[must_use]
pub fn cas(config: &Config) -> Vec<CaOptions> {
    let acme = config.acme.iter();
    acme.flat_map(|acme| acme.cas().map(|ca| ca_options(acme, ca)))
        .collect()
}

/// Why nothing is ordered, if nothing is: the storage is known to be lost one day, and a public CA would bear it.
#[must_use]
pub fn held(config: &Config, depot: &Depot) -> Option<Held> {
    let acme = config.acme.as_ref()?;
    let is_refused = config.storage.ephemeral == Ephemeral::Refuse && acme.asks_public_ca();
    let folder = depot.folder();
    (is_refused && !depot.is_shared())
        .then(|| Held::where_lost(folder, ephemeral::kind(folder)))
        .flatten()
}

fn ca_options(acme: &Acme, ca: &Ca) -> CaOptions {
    CaOptions {
        directory: ca.directory.url.to_string(),
        email: acme.email.as_deref().map(str::to_owned),
        eab: ca.eab.as_ref().map(|eab| Eab {
            kid: eab.kid.to_string(),
            hmac: eab.hmac.reveal().to_vec(),
        }),
        profile: ca.profile.as_deref().map(str::to_owned),
        roots: acme.roots.as_ref().map(|roots| roots.pem.to_vec()),
        key: match acme.key {
            acme::KeyKind::P256 => KeyKind::P256,
            acme::KeyKind::P384 => KeyKind::P384,
            acme::KeyKind::Rsa2048 => KeyKind::Rsa2048,
        },
    }
}

fn kind(challenge: Challenge) -> ChallengeKind {
    match challenge {
        Challenge::TlsAlpn01 => ChallengeKind::TlsAlpn01,
        Challenge::Http01 => ChallengeKind::Http01,
        Challenge::Dns01 => ChallengeKind::Dns01,
    }
}

fn records(dns: &dns::Dns, clock: &Clock) -> Result<Arc<dyn Records>, DnsError> {
    let publisher = publisher(&dns.publisher, clock)?;
    let resolver = dns.resolver.map_or_else(Resolver::system, Resolver::at);
    Ok(Arc::new(Dns::new(publisher, resolver, clock.clone())))
}

fn publisher(publisher: &dns::Publisher, clock: &Clock) -> Result<Publisher, DnsError> {
    Ok(match publisher {
        dns::Publisher::Rfc2136 {
            server,
            zone,
            key,
            algorithm,
            secret,
        } => Publisher::Rfc2136(Rfc2136::new(
            &Rfc2136Options {
                server: match server.host.ip() {
                    Some(address) => SocketAddr::new(address, server.port).to_string(),
                    None => format!("{}:{}", server.host, server.port),
                },
                zone: zone.as_ref().map(ToString::to_string),
                key: key.to_string(),
                algorithm: match algorithm {
                    dns::TsigAlgorithm::HmacSha256 => Algorithm::HmacSha256,
                    dns::TsigAlgorithm::HmacSha384 => Algorithm::HmacSha384,
                    dns::TsigAlgorithm::HmacSha512 => Algorithm::HmacSha512,
                },
                secret: Secret::new(&BASE64_STANDARD.encode(secret.reveal())),
            },
            clock.clone(),
        )?),
        dns::Publisher::AcmeDns {
            url,
            user,
            password,
            subdomain,
        } => Publisher::AcmeDns(AcmeDns::new(AcmeDnsOptions {
            url: url.to_string(),
            user: user.to_string(),
            key: Secret::new(password.reveal()),
            subdomain: subdomain.to_string(),
        })),
        dns::Publisher::Cloudflare { token, zone } => {
            Publisher::Cloudflare(Cloudflare::new(CloudflareOptions {
                token: Secret::new(token.reveal()),
                zone: zone.as_deref().map(str::to_owned),
                base: BASE.to_owned(),
            }))
        }
        dns::Publisher::Exec(command) => Publisher::Exec(Exec::new(ExecOptions {
            program: command.program.clone(),
            arguments: command.arguments.iter().map(ToString::to_string).collect(),
            patience: PATIENCE,
        })),
    })
}

//! From what the configuration says of public certificates to what the keeper goes by.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;

use super::App;
use super::alerts::Post;
use crate::certs::acme::options::{CaOptions, Eab, KeyKind};
use crate::certs::acme::request::ChallengeKind;
use crate::certs::alerts::event::Event;
use crate::certs::dns::Publisher;
use crate::certs::dns::acme_dns::{AcmeDns, AcmeDnsOptions};
use crate::certs::dns::cloudflare::{BASE, Cloudflare, CloudflareOptions};
use crate::certs::dns::error::DnsError;
use crate::certs::dns::exec::{Exec, ExecOptions, PATIENCE};
use crate::certs::dns::resolver::Resolver as DnsResolver;
use crate::certs::dns::rfc2136::{Algorithm, Rfc2136, Rfc2136Options};
use crate::certs::dns::secret::Secret;
use crate::certs::keeper::demand::Ask;
use crate::certs::keeper::{Dns, Held, Keeper, Options, Outcome, Works, over_the_network};
use crate::certs::plan::{Meanwhile, Plan};
use crate::certs::resolver::{Demand, Resolver};
use crate::clock::Clock;
use crate::config::Config;
use crate::config::acme::names::Ordered;
use crate::config::acme::{self, Acme, Ca, Challenge, dns};
use crate::config::storage::Ephemeral;
use crate::control::renewal::{Renewal, Renewer};
use crate::hostname::HostPattern;
use crate::shutdown::Shutdown;
use crate::storage::ephemeral;
use crate::storage::store::Store;

/// The keeper, and what it is told anew at every reload.
#[derive(Debug)]
pub(super) struct Keeping {
    folder: PathBuf,
    clock: Clock,
    store: Store,
    works: Arc<Works>,
    keeper: Keeper,
    post: Post,
}

impl Keeping {
    /// Starts a keeper that keeps nothing yet; `folder` is the storage's.
    pub(super) fn start(folder: PathBuf, resolver: &Resolver, shutdown: &Shutdown) -> Self {
        let clock = Clock::system();
        let store = Store::files(folder.clone(), clock.clone());
        let post = Post::open(store.clone(), clock.clone(), shutdown);
        let works = Arc::new(Works::new(
            store.clone(),
            clock.clone(),
            resolver.shelf().clone(),
            resolver.challenges().clone(),
            post.listener(),
            folder.display().to_string(),
            over_the_network(),
        ));
        let keeper = Keeper::start(works.clone(), shutdown);
        let demanded = keeper.clone();
        resolver.obtain_by(Demand::new(move |name| {
            let keeper = demanded.clone();
            async move { keeper.demand(name).await }
        }));
        Self {
            folder,
            clock,
            store,
            keeper,
            works,
            post,
        }
    }

    /// Puts what is kept of the plan's names where handshakes find it.
    pub(super) async fn load(&self, plan: &Plan, config: &Config) {
        self.works.load(&names(plan, config)).await;
    }

    /// What outlives the process.
    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    /// Renews for whoever asks at the control socket.
    pub(super) fn renewer(&self) -> Renewer {
        let keeper = self.keeper.clone();
        Renewer::new(move |name| {
            let keeper = keeper.clone();
            Box::pin(async move { told(keeper.renew(name).await) })
        })
    }
}

impl App {
    /// For those who are told by `[alerts]`.
    pub(super) fn tell_refusal(&self, problem: &str) {
        self.keeping.post.tell(Event::ConfigRefused {
            problem: problem.to_owned(),
        });
    }

    /// Ends a refusal that was told.
    pub(super) fn tell_acceptance(&self) {
        self.keeping.post.tell(Event::ConfigAccepted);
    }

    /// Keeps the names of the generation in service from now on.
    ///
    /// # Errors
    /// A publisher of DNS records that cannot be used; then all stays as it was.
    pub(super) async fn keep(&self) -> Result<(), DnsError> {
        let Keeping {
            folder,
            clock,
            keeper,
            works,
            post,
            ..
        } = &self.keeping;
        if let Err(error) = post.adopt(&self.loaded.config.alerts) {
            tracing::error!(%error, "`alerts.webhook` cannot be used: nobody else is told");
        }
        let options = options(&self.loaded.config, folder, clock)?;
        let names = names(&self.current.plan, &self.loaded.config);
        works.load(&names).await;
        keeper.keep(names, Arc::new(options)).await;
        Ok(())
    }
}

fn told(outcome: Outcome) -> Renewal {
    let at = |time: SystemTime| Timestamp::try_from(time).unwrap_or(Timestamp::MAX);
    match outcome {
        Outcome::Fine { generation, until } => Renewal::Fine {
            generation,
            until: at(until),
        },
        Outcome::Renewed { generation, until } => Renewal::Renewed {
            generation,
            until: at(until),
        },
        Outcome::Failed { problem, again } => Renewal::Failed {
            problem,
            again: at(again),
        },
        Outcome::Busy => Renewal::Busy,
        Outcome::Unknown => Renewal::Unknown,
    }
}

/// What a name without a certificate yet is shown; none without public certificates.
pub(super) fn meanwhile(config: &Config) -> Option<Meanwhile> {
    config.acme.as_ref().map(|acme| match acme.meanwhile {
        acme::Meanwhile::Refuse => Meanwhile::Refuse,
        acme::Meanwhile::Internal => Meanwhile::LocalCa,
    })
}

/// The names that are kept from the start on.
pub(super) fn names(plan: &Plan, config: &Config) -> Vec<HostPattern> {
    let Some(acme) = &config.acme else {
        return Vec::new();
    };
    let at_start = |name: &HostPattern| acme.ordered(name) == Ok(Ordered::AtStart);
    plan.kept()
        .iter()
        .map(|kept| kept.name.clone())
        .filter(at_start)
        .collect()
}

/// What the keeper goes by; `folder` is the storage's.
///
/// # Errors
/// A publisher of DNS records that cannot be used.
pub(super) fn options(config: &Config, folder: &Path, clock: &Clock) -> Result<Options, DnsError> {
    let Some(acme) = &config.acme else {
        return Ok(Options::default());
    };
    Ok(Options {
        cas: acme.cas().map(|ca| ca_options(acme, ca)).collect(),
        challenges: acme.challenges.iter().copied().map(kind).collect(),
        dns: acme
            .dns
            .as_ref()
            .map(|dns| publishing(dns, clock))
            .transpose()?,
        on_demand: acme
            .on_demand
            .as_ref()
            .map(|on_demand| Ask::at(&on_demand.ask)),
        held: held(config, folder),
    })
}

/// Why nothing is ordered: the next start would not find it, and the CA would be asked again, until it answers no more.
#[must_use]
pub fn held(config: &Config, folder: &Path) -> Option<Held> {
    let acme = config.acme.as_ref()?;
    let kind = ephemeral::kind(folder);
    let lost = kind.is_lost() && config.storage.ephemeral == Ephemeral::Refuse;
    (lost && acme.asks_public_ca()).then(|| Held {
        kind: kind.to_string(),
        why: format!(
            "the storage {} is on {kind}, and its certificates would be lost with it: mount a volume there, as with `docker run -v onedoor:/data`, \
             name another folder with `storage`, or accept it with `storage = {{ url = \"…\", ephemeral = \"allow\" }}`",
            folder.display()
        ),
    })
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

fn publishing(dns: &dns::Dns, clock: &Clock) -> Result<Dns, DnsError> {
    Ok(Dns {
        publisher: Arc::new(publisher(&dns.publisher, clock)?),
        resolver: Arc::new(
            dns.resolver
                .map_or_else(DnsResolver::system, DnsResolver::at),
        ),
    })
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

//! What the CA knows, and the way of a request through it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::{Duration, SystemTime};

use http::{HeaderName, Method, Uri, header};
use serde_json::{Value, json};

use super::accounts::Account;
use super::authorizations::Authorization;
use super::faults::{Fault, Faults, Operation, Outcome};
use super::issue::{Authority, Certificate};
use super::jws::Signed;
use super::limits::{Buckets, Limits};
use super::orders::Order;
use super::reply::Reply;
use crate::certs::acme::request::ChallengeKind;
use crate::clock::Clock;

pub(super) const BASE: &str = "https://ca.test";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const REPLAY_NONCE: HeaderName = HeaderName::from_static("replay-nonce");

/// A challenge as the CA looks at it.
#[derive(Debug, Clone)]
pub(crate) struct Probe {
    pub(crate) kind: ChallengeKind,
    pub(crate) name: String,
    pub(crate) token: String,
    /// What must be found.
    pub(crate) key_authorization: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    pub(crate) requests: u64,
    pub(crate) orders: u64,
    /// Certificates.
    pub(crate) issued: u64,
    /// Answers 429.
    pub(crate) limited: u64,
    pub(crate) failed_authorizations: u64,
    /// Orders that no limit applied to.
    pub(crate) exempt: u64,
    /// Orders that were to replace what they could not.
    pub(crate) vain_replacements: u64,
    /// Requests for an account, also for one that exists.
    pub(crate) registrations: u64,
    pub(crate) key_changes: u64,
}

#[derive(Debug, Clone)]
pub(crate) struct Behaviour {
    pub(crate) validity: Duration,
    /// With the validity of each.
    pub(crate) profiles: BTreeMap<String, Duration>,
    pub(crate) tells_windows: bool,
    pub(crate) changes_keys: bool,
    /// In place of the profile that is asked for.
    pub(crate) profile_forced: Option<String>,
    pub(crate) echoes_replaces: bool,
    /// The id and the secret of the only external account.
    pub(crate) eab: Option<(String, Vec<u8>)>,
    pub(crate) bad_nonce_percent: u8,
    pub(crate) validation_time: Duration,
    pub(crate) processing_time: Duration,
    pub(crate) authorization_reuse: Duration,
    pub(crate) limits: Option<Limits>,
    pub(crate) paused: BTreeSet<String>,
    pub(crate) challenges: Vec<ChallengeKind>,
    /// In place of the certificate.
    pub(crate) chain_forced: Option<String>,
}

pub(super) type Look = Box<dyn Fn(&Probe) -> Result<(), (&'static str, String)> + Send>;

pub(super) struct State {
    clock: Clock,
    random: fastrand::Rng,
    pub(super) look: Look,
    pub(super) behaviour: Behaviour,
    pub(super) faults: Faults,
    pub(super) counters: Counters,
    pub(super) authority: Authority,
    pub(super) buckets: Buckets,
    nonces: HashSet<String>,
    pub(super) accounts: Vec<Account>,
    pub(super) orders: Vec<Order>,
    pub(super) authorizations: Vec<Authorization>,
    pub(super) certificates: Vec<Certificate>,
    pub(super) index: Index,
}

/// Where to look, so that ten thousand orders are no slower than ten.
#[derive(Default)]
pub(super) struct Index {
    pub(super) looking: BTreeSet<usize>,
    pub(super) processing: BTreeSet<usize>,
    pub(super) authorizations: HashMap<(usize, String), Vec<usize>>,
    pub(super) orders: HashMap<(usize, BTreeSet<String>), Vec<usize>>,
    pub(super) replacing: HashMap<String, Vec<usize>>,
    pub(super) certificates: HashMap<String, usize>,
    pub(super) issued: HashSet<BTreeSet<String>>,
}

impl State {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            clock,
            random: fastrand::Rng::with_seed(7),
            look: Box::new(|_probe| Ok(())),
            behaviour: Behaviour {
                validity: 90 * DAY,
                profiles: BTreeMap::new(),
                tells_windows: true,
                changes_keys: true,
                profile_forced: None,
                echoes_replaces: true,
                eab: None,
                bad_nonce_percent: 0,
                validation_time: Duration::from_secs(1),
                processing_time: Duration::from_secs(3),
                authorization_reuse: 30 * DAY,
                limits: Some(Limits::default()),
                paused: BTreeSet::new(),
                challenges: vec![
                    ChallengeKind::Http01,
                    ChallengeKind::Dns01,
                    ChallengeKind::TlsAlpn01,
                ],
                chain_forced: None,
            },
            faults: Faults::default(),
            counters: Counters::default(),
            authority: Authority::new(),
            buckets: Buckets::default(),
            nonces: HashSet::new(),
            accounts: Vec::new(),
            orders: Vec::new(),
            authorizations: Vec::new(),
            certificates: Vec::new(),
            index: Index::default(),
        }
    }

    pub(super) fn now(&self) -> SystemTime {
        self.clock.now()
    }

    pub(super) fn token(&mut self) -> String {
        std::iter::repeat_with(|| self.random.alphanumeric())
            .take(22)
            .collect()
    }

    pub(super) fn octets(&mut self) -> [u8; 16] {
        let mut octets = self.random.u128(..).to_be_bytes();
        octets[0] &= 0x7f;
        octets[0] |= 0x40;
        octets
    }

    /// One request with whatever befalls it.
    pub(super) fn meet(&mut self, method: &Method, uri: &Uri, body: &[u8]) -> Outcome {
        let path = uri.path().to_owned();
        self.counters.requests += 1;
        self.settle();
        match self.faults.next(operation(&path)) {
            None => Outcome::Answer(self.serve(method, &path, body)),
            Some(Fault::NeverBefore) => Outcome::Never,
            Some(Fault::LostBefore) => Outcome::Lost,
            Some(Fault::NeverAfter) => {
                self.serve(method, &path, body);
                Outcome::Never
            }
            Some(Fault::LostAfter) => {
                self.serve(method, &path, body);
                Outcome::Lost
            }
            Some(Fault::Garbled(text)) => {
                let mut reply = self.serve(method, &path, body);
                reply.body = text.as_bytes().to_vec();
                Outcome::Answer(reply)
            }
            Some(Fault::Page(status, text, wait)) => {
                let reply = Reply::text(status, text);
                Outcome::Answer(match wait {
                    Some(wait) => reply.with(header::RETRY_AFTER, wait),
                    None => reply,
                })
            }
        }
    }

    fn serve(&mut self, method: &Method, path: &str, body: &[u8]) -> Reply {
        let reply = if method == Method::POST {
            self.signed(path, body).unwrap_or_else(|refusal| refusal)
        } else {
            self.plain(path)
        };
        if reply.status == 429 {
            self.counters.limited += 1;
        }
        let nonce = self.token();
        self.nonces.insert(nonce.clone());
        reply.with(REPLAY_NONCE, nonce)
    }

    fn plain(&mut self, path: &str) -> Reply {
        if let Some(id) = path.strip_prefix("/renewal-info/") {
            return self.window(id);
        }
        match path {
            "/directory" => Reply::json(200, &self.directory()),
            "/new-nonce" => Reply::text(200, ""),
            _ => Reply::problem(405, "malformed", "only POST will do"),
        }
    }

    fn signed(&mut self, path: &str, body: &[u8]) -> Result<Reply, Reply> {
        let signed = Signed::parse(body)?;
        let rate = self.behaviour.bad_nonce_percent;
        let is_unlucky = self.random.u8(..100) < rate;
        if !self.nonces.remove(&signed.nonce) || is_unlucky {
            return Err(Reply::problem(400, "badNonce", "the nonce was used before"));
        }
        if signed.url != format!("{BASE}{path}") {
            return Err(Reply::problem(
                403,
                "unauthorized",
                "the url is another one",
            ));
        }
        if path == "/new-account" {
            return self.new_account(&signed);
        }
        let account = self.account(&signed)?;
        let mut parts = path.split('/').skip(1);
        let kind = parts.next().unwrap_or_default();
        let mut number = || parts.next().and_then(|it| it.parse::<usize>().ok());
        match (kind, number(), number()) {
            ("new-order", None, _) => self.new_order(account, &signed),
            ("key-change", None, _) => self.change_key(account, &signed),
            ("account", Some(it), _) if it == account => Ok(self.update_account(account, &signed)),
            ("order", Some(it), _) => self.show_order(account, it),
            ("finalize", Some(it), _) => self.finalize(account, it, &signed),
            ("authz", Some(it), _) => self.authorization(account, it, &signed),
            ("challenge", Some(it), Some(which)) => self.challenge(account, it, which),
            ("certificate", Some(it), _) => self.download(account, it),
            _ => Err(missing()),
        }
    }

    fn directory(&self) -> Value {
        let profiles = self.behaviour.profiles.keys();
        let profiles: BTreeMap<&String, &str> = profiles.map(|name| (name, "a profile")).collect();
        let mut directory = json!({
            "newNonce": format!("{BASE}/new-nonce"),
            "newAccount": format!("{BASE}/new-account"),
            "newOrder": format!("{BASE}/new-order"),
            "revokeCert": format!("{BASE}/revoke"),
            "Xk3q7Rzl2Ww": "https://community.ca.test/why-random",
            "meta": {
                "profiles": profiles,
                "externalAccountRequired": self.behaviour.eab.is_some(),
                "termsOfService": format!("{BASE}/terms"),
            },
        });
        if self.behaviour.changes_keys {
            directory["keyChange"] = json!(format!("{BASE}/key-change"));
        }
        if self.behaviour.tells_windows {
            directory["renewalInfo"] = json!(format!("{BASE}/renewal-info"));
        }
        directory
    }
}

pub(super) fn missing() -> Reply {
    Reply::problem(404, "malformed", "there is no such thing")
}

fn operation(path: &str) -> Operation {
    match path.split('/').nth(1).unwrap_or_default() {
        "directory" => Operation::Directory,
        "new-nonce" => Operation::Nonce,
        "new-account" => Operation::NewAccount,
        "new-order" => Operation::NewOrder,
        "order" => Operation::Order,
        "authz" => Operation::Authorization,
        "challenge" => Operation::Challenge,
        "finalize" => Operation::Finalize,
        "certificate" => Operation::Certificate,
        "key-change" => Operation::KeyChange,
        "renewal-info" => Operation::RenewalInfo,
        _ => Operation::Account,
    }
}

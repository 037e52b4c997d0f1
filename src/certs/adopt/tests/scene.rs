//! A store, a CA, and what another tool left.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use rcgen::{KeyPair, SignatureAlgorithm};

use crate::certs::acme::account_key::AccountKey;
use crate::certs::acme::adopted::Registry;
use crate::certs::acme::fake::FakeCa;
use crate::certs::acme::transport::Transport;
use crate::certs::adopt::{AdoptError, Adopter, Plan, Policy, Wishes};
use crate::certs::bundle::{Ready, Secret};
use crate::certs::facts::Facts;
use crate::certs::fixture::{Authority, Leaf, days, noon};
use crate::certs::import::findings::{
    AccountKey as FoundKey, Findings, FoundAccount, FoundCertificate, Tool,
};
use crate::certs::vault::{CertId, Vault};
use crate::clock::Clock;
use crate::hostname::HostPattern;
use crate::storage::store::Store;
use crate::storage::store::memory::{Faults, Memory};

pub(super) struct Scene {
    pub(super) ca: FakeCa,
    pub(super) clock: Clock,
    pub(super) store: Store,
    pub(super) faults: Faults,
    pub(super) wishes: Wishes,
    pub(super) policy: Policy,
    pub(super) is_offline: Arc<AtomicBool>,
    pub(super) authority: Authority,
}

impl Scene {
    pub(super) fn new() -> Self {
        let clock = Clock::virtual_from(noon());
        let (store, faults) = Memory::new();
        let ca = FakeCa::new(clock.clone());
        let mut wishes = Wishes::default();
        let own = wishes.options(&ca.directory());
        wishes.cas.push(own);
        Self {
            ca,
            clock,
            store,
            faults,
            wishes,
            policy: Policy::LeaveForeignKeys,
            is_offline: Arc::default(),
            authority: Authority::new(),
        }
    }

    pub(super) fn wants(&mut self, names: &[&str]) {
        self.wishes.names = names.iter().copied().map(pattern).collect();
    }

    /// A process; another store is another process on the same memory.
    pub(super) fn adopter(&self, store: &Store) -> Adopter {
        let (ca, is_offline) = (self.ca.clone(), self.is_offline.clone());
        let connect = move |_options: &_| match is_offline.load(Ordering::Relaxed) {
            true => Err("no way out".to_owned()),
            false => Ok(Arc::new(ca.clone()) as Arc<dyn Transport>),
        };
        let vault = Vault::new(store.clone());
        let (clock, wishes) = (self.clock.clone(), self.wishes.clone());
        Adopter::new(vault, clock, wishes, Arc::new(connect), self.policy)
    }

    pub(super) async fn try_import(
        &self,
        store: &Store,
        findings: &Findings,
    ) -> Result<Plan, AdoptError> {
        let adopter = self.adopter(store);
        let mut plan = adopter.plan(findings).await?;
        adopter.carry_out(&mut plan, findings).await?;
        Ok(plan)
    }

    pub(super) async fn import(&self, findings: &Findings) -> Plan {
        self.try_import(&self.store, findings).await.unwrap()
    }

    pub(super) async fn plan(&self, findings: &Findings) -> Plan {
        self.adopter(&self.store).plan(findings).await.unwrap()
    }

    pub(super) async fn stored(&self, name: &str) -> Option<Ready> {
        let vault = Vault::new(self.store.clone());
        vault
            .bundle(&CertId::of(&pattern(name)))
            .await
            .unwrap()
            .ready
    }

    /// All that is stored.
    pub(super) async fn copy(&self) -> BTreeMap<String, Vec<u8>> {
        let mut copy = BTreeMap::new();
        for key in self.store.list("").await.unwrap() {
            let object = self.store.get(&key).await.unwrap().unwrap();
            copy.insert(key.to_string(), object.bytes);
        }
        copy
    }

    /// A leaf that begins and ends so many days after noon began ninety days ago.
    pub(super) fn leaf(&self, names: &[&str], from: u64, until: u64) -> Leaf {
        let start = noon() - days(90);
        self.authority
            .leaf(names, start + days(from)..start + days(until))
    }

    pub(super) fn found(&self, leaf: &Leaf) -> FoundCertificate {
        let (_rest, parsed) = x509_parser::parse_x509_certificate(&leaf.der).unwrap();
        let facts = Facts::of(&parsed);
        FoundCertificate {
            tool: Tool::Certbot,
            place: "/etc/letsencrypt/live/a.test".to_owned(),
            names: facts.names.iter().map(ToString::to_string).collect(),
            chain: leaf.pem.clone(),
            key: Secret(leaf.key_pem.clone()),
            facts: Some(facts),
            directory: Some(self.ca.directory()),
            account: None,
            fault: None,
            warnings: Vec::new(),
        }
    }

    /// Another tool's account, which the CA knows.
    pub(super) async fn account(&self, algorithm: &'static SignatureAlgorithm) -> FoundAccount {
        let found = self.stranger(algorithm);
        let options = self.wishes.options(&self.ca.directory());
        let transport = Arc::new(self.ca.clone());
        let registry = Registry::open(&options, transport, self.clock.clone());
        let registry = registry.await.unwrap();
        let url = registry.register(&key(&found)).await.unwrap();
        FoundAccount {
            url: Some(url),
            ..found
        }
    }

    /// One that it does not know.
    pub(super) fn stranger(&self, algorithm: &'static SignatureAlgorithm) -> FoundAccount {
        let made = KeyPair::generate_for(algorithm).unwrap();
        let der = made.serialized_der().to_vec();
        let is = |other: &'static SignatureAlgorithm| algorithm == other;
        FoundAccount {
            tool: Tool::Certbot,
            place: "/etc/letsencrypt/accounts/x".to_owned(),
            directory: Some(self.ca.directory()),
            url: None,
            contacts: Vec::new(),
            key: Some(if is(&rcgen::PKCS_ECDSA_P256_SHA256) {
                FoundKey::P256(der)
            } else if is(&rcgen::PKCS_ECDSA_P384_SHA384) {
                FoundKey::P384(der)
            } else {
                FoundKey::Rsa(der)
            }),
            eab: None,
            fault: None,
        }
    }

    pub(super) fn now(&self) -> SystemTime {
        self.clock.now()
    }
}

pub(super) fn key(found: &FoundAccount) -> AccountKey {
    match found.key.as_ref().unwrap() {
        FoundKey::P256(der) | FoundKey::P384(der) | FoundKey::Rsa(der) => {
            AccountKey::from_der(der).unwrap()
        }
        FoundKey::Other(kind) => panic!("{kind}"),
    }
}

pub(super) fn pattern(text: &str) -> HostPattern {
    HostPattern::parse(text).unwrap()
}

pub(super) fn certificates(found: Vec<FoundCertificate>) -> Findings {
    Findings {
        tools: vec![Tool::Certbot],
        certificates: found,
        ..Findings::default()
    }
}

pub(super) fn accounts(found: Vec<FoundAccount>) -> Findings {
    Findings {
        tools: vec![Tool::Certbot],
        accounts: found,
        ..Findings::default()
    }
}

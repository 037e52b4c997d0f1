//! Accounts that were found: one for each CA becomes ours, if we have none there. Who renews under the account that ordered is exempt from the CA's
//! limits, and records that name the account stay true.

use std::sync::Arc;
use std::time::Duration;

use tokio::time;

use crate::certs::acme::account_key::{AccountKey, KeyType};
use crate::certs::acme::adopted::{self, Known, Registry};
use crate::certs::acme::ca::Ca;
use crate::certs::acme::fault::{OrderError, Side};
use crate::certs::acme::options::CaOptions;
use crate::certs::acme::seams::{AccountKeeper as _, Class};
use crate::certs::acme::transport::Transport;
use crate::certs::adopt::account_fate::{AccountFate, PlannedAccount, Seen};
use crate::certs::adopt::election::{fault, ordered};
use crate::certs::adopt::{AdoptError, Adopter, Plan, Policy};
use crate::certs::import::fault::AccountFault;
use crate::certs::import::findings::{AccountKey as FoundKey, Findings, FoundAccount};
use crate::certs::keeper::account::Account;
use crate::certs::keeper::ledgers::ca_id;
use crate::certs::vault::VaultError;
use crate::storage::store::StoreError;

/// How long a CA may take to say whether it knows an account.
const ASK_PATIENCE: Duration = Duration::from_secs(15);

/// What is kept at a CA.
enum Kept {
    Nothing,
    Known(Known),
    /// It cannot be read, in words.
    Broken(String),
}

impl Adopter {
    pub(super) async fn plan_accounts(
        &self,
        findings: &Findings,
    ) -> Result<Vec<PlannedAccount>, AdoptError> {
        let chosen = self.chosen(findings);
        let mut planned = Vec::new();
        for (number, found) in findings.accounts.iter().enumerate() {
            let directory = self.directory_of(found);
            let winner = directory.and_then(|it| chosen.get(&ca_id(&it)));
            let fate = match winner {
                Some(winner) if *winner != number && fault(found).is_none() => {
                    AccountFate::OtherWins { number: *winner }
                }
                Some(_) | None => self.account_fate(found).await?,
            };
            planned.push(PlannedAccount {
                number,
                certificates: ordered(findings, number),
                fate,
            });
        }
        Ok(planned)
    }

    async fn account_fate(&self, found: &FoundAccount) -> Result<AccountFate, AdoptError> {
        if let Some(fault) = fault(found) {
            return Ok(AccountFate::Unusable(fault.to_string()));
        }
        let Some(directory) = self.directory_of(found) else {
            let fault = AccountFault::UnknownDirectory;
            return Ok(AccountFate::Unusable(fault.to_string()));
        };
        let Some(key) = &found.key else {
            return Ok(AccountFate::Unusable(AccountFault::NoKey.to_string()));
        };
        let key = match signing(key) {
            Ok(key) => key,
            Err(words) => return Ok(AccountFate::Unusable(words)),
        };
        let options = self.options(&directory);
        let known = match self.kept(&options).await? {
            Kept::Nothing => None,
            Kept::Known(known) => Some(known),
            Kept::Broken(words) => return Ok(AccountFate::Unusable(words)),
        };
        if let Some(known) = known {
            return Ok(match (known.url, &found.url) {
                (Some(url), _) if known.is_being_taken_over => AccountFate::TakeOver { url },
                (Some(url), Some(theirs)) if url == *theirs => AccountFate::Ours { url },
                (Some(url), None) if self.is_at(&options, &key, &url).await => {
                    AccountFate::Ours { url }
                }
                (url, _) => AccountFate::OursStays { url },
            });
        }
        if key.kind() != KeyType::P256 && self.policy == Policy::LeaveForeignKeys {
            return Ok(AccountFate::NeedsTakeOver { kind: key.kind() });
        }
        Ok(match self.find(&options, &key).await {
            Ok(Some(url)) if key.kind() == KeyType::P256 => AccountFate::Adopt {
                url,
                seen: Seen::Confirmed,
            },
            Ok(Some(url)) => AccountFate::TakeOver { url },
            Ok(None) => AccountFate::Unknown,
            Err(fault) => unanswered(fault, found.url.as_deref(), key.kind()),
        })
    }

    async fn kept(&self, options: &CaOptions) -> Result<Kept, AdoptError> {
        let account = match Account::of(&options.directory, self.vault.store()) {
            Ok(account) => account,
            Err(fault) => return Ok(Kept::Broken(fault.problem)),
        };
        let Some(object) = account.object().await.map_err(VaultError::from)? else {
            return Ok(Kept::Nothing);
        };
        Ok(
            match adopted::read(&object.bytes, &account.place(), options) {
                Ok(known) => Kept::Known(known),
                Err(fault) => Kept::Broken(fault.problem),
            },
        )
    }

    async fn is_at(&self, options: &CaOptions, key: &AccountKey, url: &str) -> bool {
        let found = self.find(options, key).await;
        found.is_ok_and(|found| found.as_deref() == Some(url))
    }

    async fn find(
        &self,
        options: &CaOptions,
        key: &AccountKey,
    ) -> Result<Option<String>, OrderError> {
        let asking = async { self.registry(options).await?.find(key).await };
        let answered = time::timeout(ASK_PATIENCE, Box::pin(asking)).await;
        answered.unwrap_or_else(|_elapsed| Err(network("it takes too long to answer")))
    }

    async fn registry<'a>(&self, options: &'a CaOptions) -> Result<Registry<'a>, OrderError> {
        let transport = self.transport(options)?;
        Registry::open(options, transport, self.clock.clone()).await
    }

    fn transport(&self, options: &CaOptions) -> Result<Arc<dyn Transport>, OrderError> {
        (self.connect)(options).map_err(network)
    }

    pub(super) async fn keep_accounts(
        &self,
        plan: &mut Plan,
        findings: &Findings,
    ) -> Result<(), AdoptError> {
        for planned in plan.accounts.iter_mut().filter(|it| it.fate.is_due()) {
            let Some(found) = findings.accounts.get(planned.number) else {
                continue;
            };
            planned.fate = self.keep_account(found).await?;
        }
        Ok(())
    }

    /// Makes it ours under the account's lease, if there still is none.
    async fn keep_account(&self, found: &FoundAccount) -> Result<AccountFate, AdoptError> {
        let options = self.options(&self.directory_of(found).unwrap_or_default());
        let mut account = match Account::of(&options.directory, self.vault.store()) {
            Ok(account) => account,
            Err(fault) => return Ok(AccountFate::Unusable(fault.problem)),
        };
        if !account.hold().await.map_err(VaultError::from)? {
            return Ok(AccountFate::Busy);
        }
        let key = match found.key.as_ref().map(signing) {
            Some(Ok(key)) => key,
            Some(Err(words)) => return Ok(AccountFate::Unusable(words)),
            None => return Ok(AccountFate::Unusable("it has no key".to_owned())),
        };
        let fate = self.account_fate(found).await?;
        if let AccountFate::Adopt { url, seen } = fate {
            return self.adopt(&options, &account, &key, url, seen).await;
        }
        let AccountFate::TakeOver { url } = fate else {
            return Ok(fate);
        };
        let begun = account.object().await.map_err(VaultError::from)?;
        let taken = match begun {
            Some(_) => self.finish(&options, &account).await,
            None => self.take_over(&options, &account, &key, &url).await,
        };
        Ok(match taken {
            Ok(()) => AccountFate::TakenOver { url },
            Err(fault) => AccountFate::Failed(fault.problem),
        })
    }

    async fn adopt(
        &self,
        options: &CaOptions,
        account: &Account<'_>,
        key: &AccountKey,
        url: String,
        seen: Seen,
    ) -> Result<AccountFate, AdoptError> {
        let bytes = match adopted::kept(&options.directory, key, &url) {
            Ok(bytes) => bytes,
            Err(fault) => return Ok(AccountFate::Failed(fault.problem)),
        };
        match account.save_first(&bytes).await {
            Ok(()) => Ok(AccountFate::Adopted { url, seen }),
            Err(StoreError::Conflict | StoreError::Fenced) => Ok(AccountFate::Busy),
            Err(error) => Err(VaultError::from(error).into()),
        }
    }

    /// A CA that says no, and so knows the old key still, leaves everything as it was.
    async fn take_over(
        &self,
        options: &CaOptions,
        account: &Account<'_>,
        old: &AccountKey,
        url: &str,
    ) -> Result<(), OrderError> {
        let registry = self.registry(options).await?;
        if !registry.changes_keys() {
            return Err(OrderError::new(
                Class::Human,
                Side::Ca,
                "the CA changes no account's key",
            ));
        }
        let Err(fault) = registry.take_over(old, url, account).await else {
            return Ok(());
        };
        if fault.class == Class::Human
            && registry.find(old).await.ok().flatten().as_deref() == Some(url)
        {
            let removed = account.remove().await;
            removed.map_err(|error| {
                OrderError::new(Class::Transient, Side::Storage, error.to_string())
            })?;
        }
        Err(fault)
    }

    /// Goes on with what an earlier process began.
    async fn finish(&self, options: &CaOptions, account: &Account<'_>) -> Result<(), OrderError> {
        let transport = self.transport(options)?;
        let opening = Ca::open(options, account, self.clock.clone(), transport);
        Box::pin(opening).await.map(drop)
    }
}

fn signing(key: &FoundKey) -> Result<AccountKey, String> {
    match key {
        FoundKey::P256(der) | FoundKey::P384(der) | FoundKey::Rsa(der) => {
            AccountKey::from_der(der).map_err(|unusable| unusable.to_string())
        }
        FoundKey::Other(kind) => Err(format!("onedoor cannot sign with its key, which is {kind}")),
    }
}

fn unanswered(fault: OrderError, url: Option<&str>, kind: KeyType) -> AccountFate {
    match (fault.side, url) {
        (Side::Ca, _) if fault.class == Class::Human => AccountFate::Unusable(fault.problem),
        (_, Some(url)) if kind == KeyType::P256 => AccountFate::Adopt {
            url: url.to_owned(),
            seen: Seen::NotAsked(fault.problem),
        },
        _ => AccountFate::Unreachable(fault.problem),
    }
}

fn network(problem: impl Into<String>) -> OrderError {
    OrderError::new(Class::Transient, Side::Network, problem)
}

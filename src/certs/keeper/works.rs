//! What is shared by those who tend names: the store, the CAs, the answers, and the rules of the configuration.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use crate::causes::one_line;
use crate::certs::acme::ca::Ca;
use crate::certs::acme::fault::{OrderError, Side};
use crate::certs::acme::options::CaOptions;
use crate::certs::acme::transport::{self, Transport};
use crate::certs::alerts::event::Event;
use crate::certs::challenges::Challenges;
use crate::certs::keeper::account::Account;
use crate::certs::keeper::figures::Figures;
use crate::certs::keeper::footing::Footing;
use crate::certs::keeper::ledgers::{LedgerError, Ledgers, ca_id};
use crate::certs::keeper::listener::Listener;
use crate::certs::keeper::options::Options;
use crate::certs::ledger::limits::{Limit, Limits};
use crate::certs::ledger::refusal::Reason;
use crate::certs::retry::Class;
use crate::certs::shelf::Shelf;
use crate::certs::vault::{CertId, Vault};
use crate::clock::Clock;
use crate::hostname::HostPattern;
use crate::storage::store::Store;

/// A CA that is open, or being opened.
type Opening = Arc<OnceCell<Arc<Ca>>>;

/// Makes the way to a CA.
pub type Connect = Arc<dyn Fn(&CaOptions) -> Result<Arc<dyn Transport>, String> + Send + Sync>;

/// Everything that is shared by those who tend names.
pub struct Works {
    pub(super) vault: Vault,
    pub(super) ledgers: Ledgers,
    pub(super) clock: Clock,
    pub(super) shelf: Shelf,
    pub(super) challenges: Challenges,
    pub(super) listener: Listener,
    pub(super) figures: Figures,
    /// This host as people know it.
    pub(super) host: String,
    /// The storage as people know it.
    pub(super) storage: String,
    options: ArcSwap<Options>,
    /// Open CAs, and those being opened.
    cas: Mutex<Vec<(CaOptions, Opening)>>,
    /// The names that are kept, by what stands for them in the store.
    pub(super) watched: RwLock<HashMap<CertId, HostPattern>>,
    /// When a store that went back may be seen to again. Held by whoever does so.
    pub(super) mended: tokio::sync::Mutex<Option<Instant>>,
    /// How it stands with the store.
    pub(super) footing: Footing,
    /// When the last of those who wait for new orders may try again, by directory.
    turns: Mutex<HashMap<String, SystemTime>>,
    connect: Connect,
}

/// Turns are not given further away: nobody waits for longer than a day without another try.
const TURNS_WITHIN: Duration = Duration::from_secs(20 * 60 * 60);

impl Works {
    /// Nothing is asked of anybody yet.
    #[must_use]
    pub fn new(
        store: Store,
        clock: Clock,
        shelf: Shelf,
        challenges: Challenges,
        listener: Listener,
        storage: String,
        connect: Connect,
    ) -> Self {
        Self {
            vault: Vault::new(store.clone()),
            ledgers: Ledgers::new(store, clock.clone()),
            clock,
            shelf,
            challenges,
            listener,
            figures: Figures::default(),
            host: rustix::system::uname()
                .nodename()
                .to_string_lossy()
                .into_owned(),
            storage,
            options: ArcSwap::default(),
            cas: Mutex::default(),
            turns: Mutex::default(),
            watched: RwLock::default(),
            mended: tokio::sync::Mutex::default(),
            footing: Footing::default(),
            connect,
        }
    }

    /// What happened so far.
    #[must_use]
    pub fn figures(&self) -> &Figures {
        &self.figures
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(super) fn options(&self) -> Arc<Options> {
        self.options.load_full()
    }

    /// Stands for what is tried: failures under other options say nothing of these.
    pub(super) fn tried(&self) -> String {
        let options = self.options();
        let cas = options
            .cas
            .iter()
            .map(|ca| (&ca.directory, &ca.email, &ca.profile));
        format!(
            "{:?} {:?} {:?} {} {:?}",
            cas.collect::<Vec<_>>(),
            options.challenges,
            options.dns.is_some(),
            options.held.is_some(),
            options.role
        )
    }

    /// A CA is opened anew where who we are there has changed.
    pub(super) fn adopt(&self, options: Arc<Options>) {
        let storage = self.storage.clone();
        self.listener.hear(match &options.held {
            Some(held) => Event::StorageEphemeral {
                storage,
                kind: held.kind.clone(),
            },
            None => Event::StorageKept { storage },
        });
        let mut cas = self.cas.lock().unwrap_or_else(PoisonError::into_inner);
        cas.retain(|(known, _cell)| options.cas.contains(known));
        drop(cas);
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.retain(|known, _turn| options.cas.iter().any(|ca| ca.directory == *known));
        drop(turns);
        self.options.store(options);
    }

    /// The CA of these options, opened once; others do not wait for it. An account is made under a lease, and only if the ledger allows.
    pub(super) async fn ca(&self, options: &CaOptions) -> Result<Arc<Ca>, OrderError> {
        let cell = {
            let mut cas = self.cas.lock().unwrap_or_else(PoisonError::into_inner);
            match cas.iter().find(|(known, _cell)| known == options) {
                Some((_known, cell)) => cell.clone(),
                None => {
                    let cell = Opening::default();
                    cas.push((options.clone(), cell.clone()));
                    cell
                }
            }
        };
        let opened = cell.get_or_try_init(|| Box::pin(self.open(options)));
        opened.await.cloned()
    }

    /// Opens the CA that this stands for anew before the next order.
    pub(super) fn close(&self, id: &str) {
        let mut cas = self.cas.lock().unwrap_or_else(PoisonError::into_inner);
        cas.retain(|(known, _cell)| ca_id(&known.directory) != id);
    }

    async fn open(&self, options: &CaOptions) -> Result<Arc<Ca>, OrderError> {
        let transport = (self.connect)(options).map_err(|error| fault(Side::Options, error))?;
        let mut keeper = Account::of(&options.directory, self.vault.store())?;
        if keeper.take_turn().await? {
            self.admit_account(&options.directory).await?;
        }
        let ca = Ca::open(options, &keeper, self.clock.clone(), transport).await?;
        Ok(Arc::new(ca))
    }

    /// A refusal of the ledger as a failure of an order. Who waits for the same limit comes back one after the other, as it
    /// refills, and not all at once.
    pub(super) fn refused_order(&self, directory: &str, error: LedgerError) -> OrderError {
        let LedgerError::Refused(mut refusal) = error else {
            return refused(error, &self.clock);
        };
        if let Reason::UsedUp {
            limit: Limit::NewOrders,
            capacity,
            window,
            ..
        } = &refusal.reason
        {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            let turn = turns.entry(directory.to_owned()).or_insert(refusal.free_at);
            if *turn < refusal.free_at || *turn > self.clock.now() + TURNS_WITHIN {
                *turn = refusal.free_at;
            }
            refusal.free_at = *turn;
            *turn += *window / (*capacity).max(1);
        }
        refused(LedgerError::Refused(refusal), &self.clock)
    }

    async fn admit_account(&self, directory: &str) -> Result<(), OrderError> {
        let limits = Limits::of(directory);
        let admitted = self.ledgers.change(directory, |ledger, now| {
            ledger.may_make_account(limits, now)?;
            ledger.account_made(limits, now);
            Ok(())
        });
        admitted.await.map_err(|error| refused(error, &self.clock))
    }
}

/// A refusal of the ledger, or its absence, as a failure of an order.
fn refused(error: LedgerError, clock: &Clock) -> OrderError {
    match error {
        LedgerError::Refused(refusal) => OrderError {
            retry_after: refusal.free_at.duration_since(clock.now()).ok(),
            ..OrderError::new(Class::Limited, Side::Options, refusal.to_string())
        },
        broken @ (LedgerError::Store(_) | LedgerError::Key(_) | LedgerError::Damaged(..)) => {
            fault(Side::Storage, broken)
        }
    }
}

pub(super) fn fault(side: Side, error: impl fmt::Display) -> OrderError {
    OrderError::new(Class::Transient, side, error.to_string())
}

/// The way to a CA over the network.
#[must_use]
pub fn over_the_network() -> Connect {
    Arc::new(|options| {
        let client = transport::network(options).map_err(|error| one_line(&error))?;
        Ok(Arc::new(client))
    })
}

impl fmt::Debug for Works {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Works").finish_non_exhaustive()
    }
}

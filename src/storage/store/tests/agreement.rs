//! The folder and the memory cannot be told apart by what they answer.

use std::collections::HashMap;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use tokio::runtime::{Builder, Runtime};

use super::super::memory::Memory;
use super::super::{Lease, Store, StoreError, Version, When};
use super::{key, store};

const LASTS: Duration = Duration::from_secs(3600);
const NAMES: [&str; 5] = ["a", "a/b", "b/c", "b/d/e", "b/d"];
const PREFIXES: [&str; 5] = ["", "a", "b/", "b/d", "z"];

#[derive(Debug, Clone)]
pub(super) enum Operation {
    Get(usize),
    Put(usize, u8, Condition, Under),
    Delete(usize, Condition, Under),
    List(usize),
    Take(usize),
    Renew,
    GiveBack,
}

#[derive(Debug, Clone)]
pub(super) enum Condition {
    Always,
    Absent,
    /// The version of this content.
    Is(u8),
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Under {
    Nothing,
    TheLease,
}

pub(super) fn operation() -> impl Strategy<Value = Operation> {
    let name = || 0..NAMES.len();
    let condition = || {
        prop_oneof![
            Just(Condition::Always),
            Just(Condition::Absent),
            (0..3_u8).prop_map(Condition::Is),
        ]
    };
    let under = || prop_oneof![Just(Under::Nothing), Just(Under::TheLease)];
    prop_oneof![
        2 => name().prop_map(Operation::Get),
        6 => (name(), 0..3_u8, condition(), under())
            .prop_map(|(name, content, when, under)| Operation::Put(name, content, when, under)),
        3 => (name(), condition(), under())
            .prop_map(|(name, when, under)| Operation::Delete(name, when, under)),
        2 => (0..PREFIXES.len()).prop_map(Operation::List),
        2 => name().prop_map(Operation::Take),
        1 => Just(Operation::Renew),
        1 => Just(Operation::GiveBack),
    ]
}

/// A store, and what its user has in hand.
pub(super) struct User {
    store: Store,
    lease: Option<Lease>,
    versions: HashMap<u8, Version>,
}

impl User {
    pub(super) fn new(store: Store) -> Self {
        Self {
            store,
            lease: None,
            versions: HashMap::new(),
        }
    }

    /// The answer, without what may differ: paths.
    pub(super) async fn act(&mut self, operation: &Operation) -> String {
        let told = match operation {
            Operation::Get(name) => {
                let found = self.store.get(&key(NAMES[*name])).await;
                found.map(|found| format!("{:?}", found.map(|found| found.bytes)))
            }
            Operation::Put(name, content, when, under) => {
                let (when, under) = (self.when(when), self.under(*under));
                let (name, bytes) = (key(NAMES[*name]), [*content]);
                let version = self.store.put(&name, &bytes, &when, under).await;
                if let Ok(version) = &version {
                    self.versions.insert(*content, version.clone());
                }
                version.map(|_version| "put".to_owned())
            }
            Operation::Delete(name, when, under) => {
                let (when, under) = (self.when(when), self.under(*under));
                let deleted = self.store.delete(&key(NAMES[*name]), &when, under).await;
                deleted.map(|()| "deleted".to_owned())
            }
            Operation::List(prefix) => {
                let keys = self.store.list(PREFIXES[*prefix]).await;
                keys.map(|keys| format!("{keys:?}"))
            }
            Operation::Take(name) => match self.store.lease(&key(NAMES[*name]), LASTS).await {
                Ok(None) => Ok("somebody else".to_owned()),
                Ok(Some(lease)) => {
                    let fence = lease.fence();
                    self.lease = Some(lease);
                    Ok(format!("fence {fence}"))
                }
                Err(error) => Err(error),
            },
            Operation::Renew => match &mut self.lease {
                Some(lease) => lease.renew().await.map(|()| "renewed".to_owned()),
                None => Ok("nothing to renew".to_owned()),
            },
            Operation::GiveBack => {
                self.lease = None;
                Ok("given back".to_owned())
            }
        };
        told.unwrap_or_else(|error| kind(&error).to_owned())
    }

    fn when(&self, condition: &Condition) -> When {
        match condition {
            Condition::Always => When::Always,
            Condition::Absent => When::Absent,
            Condition::Is(content) => self
                .versions
                .get(content)
                .map_or(When::Always, |version| When::Is(version.clone())),
        }
    }

    fn under(&self, under: Under) -> Option<&Lease> {
        match under {
            Under::Nothing => None,
            Under::TheLease => self.lease.as_ref(),
        }
    }
}

fn kind(error: &StoreError) -> &'static str {
    match error {
        StoreError::Conflict => "conflict",
        StoreError::Fenced => "fenced",
        StoreError::Damaged { .. } => "damaged",
        StoreError::TooLarge(_) => "too large",
        StoreError::Busy(_) => "busy",
        StoreError::TooMany(_) => "too many",
        StoreError::Unusable(_) | StoreError::Redis(_) | StoreError::S3(_) => "unusable",
    }
}

pub(super) fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_folder_and_a_memory_answer_alike(operations in vec(operation(), 1..40)) {
        let temporary = tempfile::tempdir().unwrap();
        let mut folder = User::new(store(temporary.path()));
        let mut memory = User::new(Memory::new().0);
        runtime().block_on(async {
            for operation in &operations {
                let expected = memory.act(operation).await;
                let answer = folder.act(operation).await;
                prop_assert_eq!(answer, expected, "{:?}", operation);
            }
            Ok(())
        })?;
    }
}

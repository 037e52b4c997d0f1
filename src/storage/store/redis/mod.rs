//! Objects and leases in Redis, for a fleet. What must happen as one is a script; a lease is a key that ends by itself.

mod connection;
mod error;
mod held;
mod hints;
mod history;
mod lasting;
mod place;
mod scripts;

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::aio::ConnectionManager;
use redis::{Cmd, ProtocolVersion, RedisResult, Script, ScriptInvocation};
use tokio::task::JoinHandle;
use uuid::Uuid;

pub use error::RedisError;
pub use place::{Place, Reached};

use self::connection::Connection;
use self::held::Held;
use self::hints::Hints;
use self::history::{History, News};
use self::lasting::Lasting;
use self::scripts::{CONFLICT, DONE, FENCED, IS_BELOW, IS_FOLDER, UNREADABLE};
use super::{Backend, Claim, Hold, Key, Mark, Object, Pending, StoreError, Version, When};
use crate::storage::files::Error;

/// Leases whose fences are remembered; more only weaken the protection against a store that was wiped.
const FENCES_MAX: usize = 1 << 16;
/// Where changes are told, of a store.
const CHANNEL: &str = "changed";
/// Keys that are listed.
const LISTED_MAX: isize = 1 << 20;

/// A store in Redis. Connects when first used, and again when it must.
#[derive(Clone)]
pub struct Redis(Arc<Shared>);

struct Shared {
    connection: Connection,
    hints: Hints,
    lasting: Lasting,
    place: Place,
    /// The greatest fence of each lease that this process was given.
    fences: Mutex<HashMap<Key, u64>>,
    /// Leases that are being given back.
    endings: Mutex<Vec<JoinHandle<()>>>,
}

impl Redis {
    /// A store at `place`. Nothing is asked yet.
    ///
    /// # Errors
    /// When the place cannot be one of Redis.
    pub fn at(place: Place) -> Result<Self, RedisError> {
        let client = |protocol| {
            let client = place.client(protocol);
            client.map_err(|error| RedisError::new(&place, error))
        };
        let asked = client(ProtocolVersion::RESP2)?;
        let listening = client(ProtocolVersion::RESP3)?;
        Ok(Self(Arc::new(Shared {
            connection: Connection::of(asked),
            hints: Hints::of(listening, name(&place.prefix, CHANNEL), place.clone()),
            lasting: Lasting::default(),
            place,
            fences: Mutex::default(),
            endings: Mutex::default(),
        })))
    }

    /// For what does the same twice: the first to ask after Redis was away learns that the connection is lost.
    async fn ask_again<T: redis::FromRedisValue>(
        &self,
        asked: &ScriptInvocation<'_>,
    ) -> Result<T, StoreError> {
        let ask = |mut connection| async move { asked.invoke_async(&mut connection).await };
        self.again(ask).await.map_err(|error| self.failed(error))
    }

    /// The same for what is no script.
    async fn query<T: redis::FromRedisValue>(&self, asked: &Cmd) -> RedisResult<T> {
        let ask = |mut connection| async move { asked.query_async(&mut connection).await };
        self.again(ask).await
    }

    async fn again<T, Asked: Future<Output = RedisResult<T>>>(
        &self,
        ask: impl Fn(ConnectionManager) -> Asked,
    ) -> RedisResult<T> {
        match ask(self.0.connection.manager()?).await {
            Err(error) if error.is_connection_dropped() => ask(self.0.connection.manager()?).await,
            answer => answer,
        }
    }

    fn altered(&self, key: &Key) -> StoreError {
        const WHY: &str =
            "it was altered since onedoor wrote it: restore it, or remove it with `DEL`";
        let object = self.name_of("object", key.as_str());
        StoreError::Damaged {
            key: key.clone(),
            source: Error::Failed {
                path: format!("`{object}` of {}", self.0.place).into(),
                source: io::Error::new(io::ErrorKind::InvalidData, WHY),
            },
        }
    }

    fn failed(&self, error: redis::RedisError) -> StoreError {
        RedisError::new(&self.0.place, error).into()
    }

    async fn ask<T: redis::FromRedisValue>(
        &self,
        asked: &ScriptInvocation<'_>,
    ) -> Result<T, StoreError> {
        let ask = async {
            let mut connection = self.0.connection.manager()?;
            asked.invoke_async(&mut connection).await
        };
        ask.await.map_err(|error| self.failed(error))
    }

    /// Differs after a restart, which may have brought back what was, or another server in its place. Empty where we may not ask.
    async fn server(&self) -> Result<String, StoreError> {
        match self.told("server").await {
            Ok(told) => Ok(lasting::field(&told, "run_id").to_owned()),
            Err(error) if error.code() == Some("NOPERM") => Ok(String::new()),
            Err(error) => Err(self.failed(error)),
        }
    }

    /// What Redis tells of itself.
    async fn told(&self, section: &str) -> RedisResult<String> {
        self.query(redis::cmd("INFO").arg(section)).await
    }

    fn name_of(&self, kind: &str, object: &str) -> String {
        self.name(&format!("{kind}:{object}"))
    }

    fn index(&self) -> String {
        self.name("objects")
    }

    fn name(&self, what: &str) -> String {
        name(&self.0.place.prefix, what)
    }

    fn ends(&self, giving: JoinHandle<()>) {
        let mut endings = self
            .0
            .endings
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        endings.retain(|ending| !ending.is_finished());
        endings.push(giving);
    }

    /// So that whoever gave a lease back may have it at once.
    async fn wait_for_endings(&self) {
        let endings = {
            let mut endings = self
                .0
                .endings
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            mem::take(&mut *endings)
        };
        for ending in endings {
            // A lease that could not be given back ends by itself.
            let _ended = ending.await;
        }
    }

    fn fences(&self) -> MutexGuard<'_, HashMap<Key, u64>> {
        self.0.fences.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known_fence(&self, name: &Key) -> u64 {
        self.fences().get(name).copied().unwrap_or_default()
    }

    fn remember_fence(&self, name: &Key, fence: u64) {
        let mut fences = self.fences();
        if fences.len() >= FENCES_MAX {
            fences.clear();
        }
        fences.insert(name.clone(), fence);
    }

    fn lease_name(&self, name: &Key) -> String {
        self.name_of("lease", name.as_str())
    }

    /// A write's keys and the arguments that decide whether it takes effect.
    fn write<'a>(
        &self,
        script: &'a Script,
        key: &Key,
        when: &When,
        claim: Option<&Claim>,
    ) -> ScriptInvocation<'a> {
        let (when, wanted) = match when {
            When::Always => ("always", ""),
            When::Absent => ("absent", ""),
            When::Is(version) => ("is", &*version.0),
        };
        // Without a claim the key is not looked at, but belongs to the same node.
        let lease = claim.map_or_else(|| self.index(), |claim| self.lease_name(&claim.name));
        let mut asked = script.prepare_invoke();
        asked
            .key(self.name_of("object", key.as_str()))
            .key(self.index())
            .key(lease)
            .key(self.name("changes"))
            .key(self.name("head"))
            .arg(key.as_str())
            .arg(claim.map_or("", |claim| &*claim.nonce))
            .arg(when)
            .arg(wanted)
            .arg(self.name(CHANNEL))
            .arg(Uuid::new_v4().to_string());
        asked
    }
}

impl Backend for Redis {
    fn get<'a>(&'a self, key: &'a Key) -> Pending<'a, Option<Object>> {
        Box::pin(async move {
            let mut asked = scripts::GET.prepare_invoke();
            asked
                .key(self.name_of("object", key.as_str()))
                .key(self.index())
                .arg(key.as_str());
            let answer: Vec<Vec<u8>> = self.ask_again(&asked).await?;
            let mut parts = answer.into_iter();
            let (Some(word), content, version) = (parts.next(), parts.next(), parts.next()) else {
                return Ok(None);
            };
            if word == UNREADABLE.as_bytes() {
                return Err(unreadable(key));
            }
            let object = Object::new(content.unwrap_or_default());
            if version.as_deref() != Some(object.version.0.as_bytes()) {
                return Err(self.altered(key));
            }
            Ok(Some(object))
        })
    }

    fn put<'a>(
        &'a self,
        key: &'a Key,
        bytes: &'a [u8],
        when: &'a When,
        claim: Option<&'a Claim>,
    ) -> Pending<'a, Version> {
        Box::pin(async move {
            let version = Version::of(bytes);
            let mut asked = self.write(&scripts::PUT, key, when, claim);
            asked.arg(&*version.0).arg(bytes);
            outcome(&self.ask::<String>(&asked).await?, key)?;
            self.wait_for_a_replica().await;
            Ok(version)
        })
    }

    fn delete<'a>(
        &'a self,
        key: &'a Key,
        when: &'a When,
        claim: Option<&'a Claim>,
    ) -> Pending<'a, ()> {
        Box::pin(async move {
            let asked = self.write(&scripts::DELETE, key, when, claim);
            outcome(&self.ask::<String>(&asked).await?, key)
        })
    }

    fn list<'a>(&'a self, prefix: &'a str) -> Pending<'a, Vec<Key>> {
        Box::pin(async move {
            let (from, to) = if prefix.is_empty() {
                ("-".to_owned(), "+".to_owned())
            } else {
                // Every octet of a key is below this one.
                (format!("[{prefix}"), format!("[{prefix}~"))
            };
            let mut asked = redis::cmd("ZRANGEBYLEX");
            asked
                .arg(self.index())
                .arg(from)
                .arg(to)
                .arg("LIMIT")
                .arg(0)
                .arg(LISTED_MAX);
            let names = self.query(&asked).await;
            let names: Vec<String> = names.map_err(|error| self.failed(error))?;
            Ok(names
                .iter()
                .filter_map(|name| Key::new(name).ok())
                .collect())
        })
    }

    fn lease<'a>(&'a self, name: &'a Key, time: Duration) -> Pending<'a, Option<Box<dyn Hold>>> {
        Box::pin(async move {
            self.wait_for_endings().await;
            let nonce: Box<str> = Uuid::new_v4().to_string().into();
            let known = self.known_fence(name);
            let mut asked = scripts::TAKE.prepare_invoke();
            asked
                .key(self.lease_name(name))
                .key(self.name_of("fence", name.as_str()))
                .arg(&*nonce)
                .arg(millis(time))
                .arg(known);
            let fence: u64 = self.ask(&asked).await?;
            if fence == 0 {
                return Ok(None);
            }
            self.remember_fence(name, fence);
            let claim = Claim {
                name: name.clone(),
                fence,
                nonce,
            };
            let hold: Box<dyn Hold> = Box::new(Held::new(claim, time, self.clone()));
            Ok(Some(hold))
        })
    }

    fn changed<'a>(&'a self, prefix: &'a str, since: &'a Mark) -> Pending<'a, (Vec<Key>, Mark)> {
        Box::pin(async move {
            let known = History::read(since);
            let server = self.server().await?;
            self.look_whether_it_lasts().await;
            let mut asked = scripts::CHANGED.prepare_invoke();
            asked
                .key(self.index())
                .key(self.name("changes"))
                .key(self.name("head"))
                .arg(known.word_at(&server))
                .arg(known.place())
                .arg(prefix);
            let news: News = self.ask_again(&asked).await?;
            Ok(known.followed_by(&server, news))
        })
    }

    fn hint(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.0.hints.next())
    }
}

/// All begin with one hash tag.
fn name(prefix: &str, what: &str) -> String {
    format!("{{{prefix}}}:{what}")
}

fn outcome(word: &str, key: &Key) -> Result<(), StoreError> {
    match word {
        DONE => Ok(()),
        CONFLICT => Err(StoreError::Conflict),
        FENCED => Err(StoreError::Fenced),
        IS_BELOW => Err(Error::NotAFolder(key.as_str().into()).into()),
        IS_FOLDER => Err(Error::NotAFile(key.as_str().into()).into()),
        _ => Err(unreadable(key)),
    }
}

fn unreadable(key: &Key) -> StoreError {
    StoreError::Damaged {
        key: key.clone(),
        source: Error::NotAFile(key.as_str().into()),
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1)
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Redis").field(&self.0.place).finish()
    }
}

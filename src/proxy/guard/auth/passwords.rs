//! Passwords being checked and those lately found right, for the whole process.
//!
//! What is remembered is a keyed digest of user, password and stored hash: another password, or another hash after a change of the
//! file, is another digest. Wrong passwords are not remembered, but many requests with the same one wait for the same check.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZero;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use aws_lc_rs::hmac;
use tokio::sync::{Semaphore, watch};
use tokio::task::spawn_blocking;

use super::credentials::Credentials;
use super::hash::is_right;
use crate::config::guard::{Htpasswd, PasswordHash};

/// What all workers know of passwords.
#[derive(Debug)]
pub struct Passwords {
    key: hmac::Key,
    book: Mutex<Book>,
    /// One permit a check that may run.
    threads: Arc<Semaphore>,
}

type Digest = [u8; 32];

#[derive(Debug, Default)]
struct Book {
    /// Found right, and until when that is remembered.
    right: HashMap<Digest, Instant>,
    /// Somebody finds out.
    asked: HashMap<Digest, Asked>,
}

/// A check that waits or runs.
#[derive(Debug)]
struct Asked {
    by: IpAddr,
    finding: watch::Receiver<Option<Finding>>,
}

/// What a check comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finding {
    Right,
    Wrong,
    /// Too many others are being checked.
    Busy,
}

/// Passwords that are remembered.
const RIGHT_MAX: usize = 4096;
/// How long one is.
const RIGHT_TIME: Duration = Duration::from_secs(300);
/// Checks that may wait or run, and those of one client among them: whoever guesses keeps nobody else out.
const ASKED_MAX: usize = 64;
const ASKED_EACH_MAX: usize = 8;
/// Checks that run at once, whatever the cores: each may take hundreds of megabytes.
const THREADS_MAX: usize = 4;

impl Default for Passwords {
    fn default() -> Self {
        let mut secret = [0; 32];
        // Without random octets there is no TLS either.
        let _filled = aws_lc_rs::rand::fill(&mut secret);
        // Half of the cores stay with the data threads.
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, &secret),
            book: Mutex::default(),
            threads: Arc::new(Semaphore::new((cores / 2).clamp(1, THREADS_MAX))),
        }
    }
}

/// A password to be checked.
#[derive(Debug)]
pub(in crate::proxy) struct Question {
    digest: Digest,
    hash: PasswordHash,
    user: User,
    /// IPv6 by its /64: whoever has one address of it has them all.
    by: IpAddr,
    pub(super) credentials: Credentials,
}

/// Whether the file has the user. One that it has not is checked against the hash of another, to take as long, and is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum User {
    Known,
    Unknown,
}

impl Passwords {
    /// What has to be found out about these credentials; none if nobody could log in at all.
    pub(super) fn question(
        &self,
        file: &Htpasswd,
        credentials: Credentials,
        client: IpAddr,
    ) -> Option<Question> {
        let own = file.users.get(&credentials.user);
        let (hash, user) = match own {
            Some(hash) => (hash, User::Known),
            None => (self.stand_in(file, &credentials.user)?, User::Unknown),
        };
        Some(Question {
            digest: self.digest(&credentials, hash, user),
            hash: hash.clone(),
            user,
            by: network_of(client),
            credentials,
        })
    }

    /// Whether it was found right lately.
    pub(super) fn is_known(&self, question: &Question, now: Instant) -> bool {
        self.lock().is_right(&question.digest, now)
    }

    /// Finds out, or waits for whoever does.
    pub(super) async fn find(&self, question: &Question, now: Instant) -> Finding {
        loop {
            let mut asked = match self.begin(question, now) {
                Begun::Known(finding) => return finding,
                Begun::Ours(asking) => return self.check(question, asking, now).await,
                Begun::Theirs(asked) => asked,
            };
            let found = asked.wait_for(Option::is_some).await;
            // Whoever asked may have left before the end: then somebody else begins anew.
            if let Ok(found) = found
                && let Some(finding) = *found
            {
                return finding;
            }
        }
    }

    fn begin(&self, question: &Question, now: Instant) -> Begun<'_> {
        let mut book = self.lock();
        if book.is_right(&question.digest, now) {
            return Begun::Known(Finding::Right);
        }
        if let Some(asked) = book.asked.get(&question.digest) {
            return Begun::Theirs(asked.finding.clone());
        }
        if book.asked.len() >= ASKED_MAX || book.asked_by(question.by) >= ASKED_EACH_MAX {
            return Begun::Known(Finding::Busy);
        }
        let (tell, finding) = watch::channel(None);
        let by = question.by;
        book.asked.insert(question.digest, Asked { by, finding });
        Begun::Ours(Asking {
            passwords: self,
            digest: question.digest,
            tell,
        })
    }

    async fn check(&self, question: &Question, asking: Asking<'_>, now: Instant) -> Finding {
        let Ok(permit) = self.threads.clone().acquire_owned().await else {
            return Finding::Busy;
        };
        let (hash, credentials) = (question.hash.clone(), question.credentials.clone());
        let checking = spawn_blocking(move || {
            let is_right = is_right(&hash, &credentials.password);
            drop(permit);
            is_right
        });
        // A check that panics finds nothing right.
        let fits = checking.await.unwrap_or(false);
        let finding = match (fits, question.user) {
            (true, User::Known) => Finding::Right,
            (true, User::Unknown) | (false, _) => Finding::Wrong,
        };
        asking.end(finding, now);
        finding
    }

    /// The same for the same name, so that asking twice tells nothing.
    fn stand_in<'f>(&self, file: &'f Htpasswd, user: &str) -> Option<&'f PasswordHash> {
        let tag = hmac::sign(&self.key, user.as_bytes());
        let mut octets = [0; 8];
        octets.copy_from_slice(&tag.as_ref()[..8]);
        let count = u64::try_from(file.users.len()).unwrap_or(u64::MAX);
        let chosen = u64::from_le_bytes(octets).checked_rem(count)?;
        file.users.values().nth(usize::try_from(chosen).ok()?)
    }

    fn digest(&self, credentials: &Credentials, hash: &PasswordHash, user: User) -> Digest {
        let hash = match hash {
            PasswordHash::Bcrypt(hash) | PasswordHash::Argon2(hash) => hash.reveal(),
        };
        let mut context = hmac::Context::with_key(&self.key);
        for part in [&*credentials.user, &*credentials.password, hash] {
            context.update(&part.len().to_le_bytes());
            context.update(part.as_bytes());
        }
        context.update(&[u8::from(user == User::Known)]);
        let mut digest = [0; 32];
        digest.copy_from_slice(context.sign().as_ref());
        digest
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Begun<'p> {
    Known(Finding),
    Ours(Asking<'p>),
    Theirs(watch::Receiver<Option<Finding>>),
}

/// A check under way. Whoever drops it unfinished leaves it to the next.
struct Asking<'p> {
    passwords: &'p Passwords,
    digest: Digest,
    tell: watch::Sender<Option<Finding>>,
}

impl Asking<'_> {
    fn end(self, finding: Finding, now: Instant) {
        if finding == Finding::Right {
            let mut book = self.passwords.lock();
            book.make_room(now);
            book.right.insert(self.digest, now + RIGHT_TIME);
        }
        // Perhaps nobody else wanted to know.
        let _heard = self.tell.send(Some(finding));
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.passwords.lock().asked.remove(&self.digest);
    }
}

impl Book {
    fn is_right(&self, digest: &Digest, now: Instant) -> bool {
        self.right.get(digest).is_some_and(|until| *until > now)
    }

    fn asked_by(&self, client: IpAddr) -> usize {
        let asked = self.asked.values();
        asked.filter(|asked| asked.by == client).count()
    }

    /// Forgets what is over, and where that is not enough, what would be over next.
    fn make_room(&mut self, now: Instant) {
        if self.right.len() < RIGHT_MAX {
            return;
        }
        self.right.retain(|_digest, until| *until > now);
        let next = self.right.iter().min_by_key(|(_, until)| **until);
        if let Some((digest, _)) = next.filter(|_| self.right.len() >= RIGHT_MAX) {
            let digest = *digest;
            self.right.remove(&digest);
        }
    }
}

fn network_of(client: IpAddr) -> IpAddr {
    match client {
        IpAddr::V4(_) => client,
        IpAddr::V6(address) => {
            let network = address.to_bits() >> 64 << 64;
            IpAddr::V6(Ipv6Addr::from_bits(network))
        }
    }
}

#[cfg(test)]
#[path = "passwords_tests.rs"]
mod tests;

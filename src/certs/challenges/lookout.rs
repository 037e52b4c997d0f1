//! Looks into a shared store for the answers that other hosts have. All who ask at the same time share one look, and looks are rare
//! enough for whatever is asked: who scans for tokens loads the store no more than a CA does.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use rustls::sign::CertifiedKey;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout};

use super::stored::{self, PREFIX, Stored};
use super::{Challenges, HTTP_PATH, NotReady, asked_as, certificate};
use crate::clock::Clock;
use crate::hostname::HostName;
use crate::shutdown::Shutdown;
use crate::storage::store::{Key, Store};

/// Who waits for an answer at a time; more are told that there is none.
const WAITING_MAX: usize = 1_024;
/// Between two looks, so that a name or token that is not there is not looked for again within this time.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The longest that a look takes, and that anybody waits for one to begin: both together are less than the ten seconds that CAs wait.
const PATIENCE: Duration = Duration::from_secs(4);
/// Answers that one look reads.
const READ_MAX: usize = 64;
/// How long an answer that was found is given without another look. A CA asks from several places within seconds.
const FOUND_TIME: Duration = Duration::from_secs(10);
/// The same for a name, whose next order has another answer; a token is never given twice.
const NAME_FOUND_TIME: Duration = Duration::from_secs(2);
/// Octets of a token: at least 128 bits in base64url (RFC 8555 section 8.1), and no more than anybody uses.
const TOKEN_OCTETS: RangeInclusive<usize> = 22..=200;

/// Ends once it is known whether there is an answer now.
pub type Sought<T> = Pin<Box<dyn Future<Output = Option<T>> + Send>>;

/// Asked on a data thread, looked for by the lookout.
#[derive(Debug)]
pub(super) struct Question {
    key: Key,
    about: About,
    since: Instant,
    tell: oneshot::Sender<()>,
}

#[derive(Debug, Clone)]
enum About {
    Token(Box<str>),
    Name(HostName),
}

impl Challenges {
    /// From now on asks `store` for what is not known here, if it is one of a fleet.
    pub fn look_into(&self, store: Store, clock: Clock, shutdown: &Shutdown) {
        if !store.is_shared() {
            return;
        }
        let (questions, inbox) = mpsc::channel(WAITING_MAX);
        if self.0.questions.set(questions).is_ok() {
            let lookout = Lookout {
                challenges: self.clone(),
                store,
                clock,
                found: Vec::new(),
            };
            shutdown.spawn_attendant(lookout.run(inbox));
        }
    }

    /// What other hosts may have to say to whoever asks for `path`; none if nobody needs to be waited for.
    #[must_use]
    pub fn seek_http(&self, path: &str) -> Option<Sought<Arc<str>>> {
        let token = path.strip_prefix(HTTP_PATH)?;
        let is_token = TOKEN_OCTETS.contains(&token.len())
            && token
                .bytes()
                .all(|octet| octet.is_ascii_alphanumeric() || b"-_".contains(&octet));
        let told = self.ask(|| {
            let key = stored::http_key(token).filter(|_key| is_token)?;
            Some((key, About::Token(token.into())))
        })?;
        let (challenges, path) = (self.clone(), path.to_owned());
        Some(Box::pin(async move {
            told.await.ok()?;
            challenges.http(&path)
        }))
    }

    /// The same for whoever asks for a name with nothing but `acme-tls/1`.
    #[must_use]
    pub fn seek_alpn(&self, name: &HostName) -> Option<Sought<Arc<CertifiedKey>>> {
        let told = self.ask(|| Some((stored::alpn_key(name)?, About::Name(name.clone()))))?;
        let (challenges, name) = (self.clone(), name.clone());
        Some(Box::pin(async move {
            told.await.ok()?;
            challenges.alpn(&name)
        }))
    }

    fn ask(&self, what: impl FnOnce() -> Option<(Key, About)>) -> Option<oneshot::Receiver<()>> {
        let questions = self.0.questions.get()?;
        let (key, about) = what()?;
        let (tell, told) = oneshot::channel();
        let question = Question {
            key,
            about,
            since: Instant::now(),
            tell,
        };
        questions.try_send(question).ok()?;
        Some(told)
    }
}

struct Lookout {
    challenges: Challenges,
    store: Store,
    clock: Clock,
    /// What is given until when.
    found: Vec<(Instant, About)>,
}

impl Lookout {
    async fn run(mut self, mut inbox: mpsc::Receiver<Question>) {
        let mut looked = None::<Instant>;
        loop {
            let forget = self.found.iter().map(|(until, _about)| *until).min();
            let first = tokio::select! {
                question = inbox.recv() => question,
                () = sleep_until(forget.unwrap_or_else(Instant::now)), if forget.is_some() => {
                    self.forget();
                    continue;
                }
            };
            let Some(first) = first else {
                return;
            };
            if let Some(looked) = looked {
                sleep_until(looked + LOOK_EVERY).await;
            }
            let now = Instant::now();
            let mut questions = vec![first];
            while questions.len() < WAITING_MAX
                && let Ok(question) = inbox.try_recv()
            {
                questions.push(question);
            }
            // Whoever waited so long has been waiting for a store that does not answer.
            questions.retain(|question| now < question.since + PATIENCE);
            looked = Some(now);
            if !questions.is_empty() && timeout(PATIENCE, self.look(&questions)).await.is_err() {
                tracing::debug!("the storage does not say what to answer CAs");
            }
            for question in questions {
                // Whoever asked may have left.
                let _left = question.tell.send(());
            }
        }
    }

    /// One listing for all, and only what is there is read.
    async fn look(&mut self, questions: &[Question]) {
        let listed = match self.store.list(PREFIX).await {
            Ok(listed) => listed,
            Err(error) => {
                tracing::debug!(%error, "the storage does not say what to answer CAs");
                return;
            }
        };
        let there: HashMap<&Key, &About> = questions
            .iter()
            .map(|question| (&question.key, &question.about))
            .filter(|(key, _about)| listed.binary_search(key).is_ok())
            .collect();
        for (key, about) in there.into_iter().take(READ_MAX) {
            if !self.challenges.has_afar(about) {
                self.fetch(key, about).await;
            }
        }
    }

    async fn fetch(&mut self, key: &Key, about: &About) {
        let found = match self.store.get(key).await {
            Ok(found) => found,
            Err(error) => return tracing::debug!(%key, %error, "not read"),
        };
        let now = self.clock.now();
        let Some(stored) = found.and_then(|object| stored::read(&object.bytes, now)) else {
            return;
        };
        match self.challenges.take_from_afar(about, &stored) {
            Ok(()) => {
                let time = match about {
                    About::Token(_) => FOUND_TIME,
                    About::Name(_) => NAME_FOUND_TIME,
                };
                self.found.push((Instant::now() + time, about.clone()));
            }
            Err(error) => {
                tracing::warn!(%key, %error, "another host's answer to a CA cannot be given")
            }
        }
    }

    fn forget(&mut self) {
        let now = Instant::now();
        for (_until, about) in self.found.extract_if(.., |(until, _about)| *until <= now) {
            self.challenges.forget_from_afar(&about);
        }
    }
}

impl Challenges {
    fn has_afar(&self, about: &About) -> bool {
        self.look(|answers| {
            Some(match about {
                About::Token(token) => answers.afar_http.contains_key(token),
                About::Name(name) => answers.afar_alpn.contains_key(name),
            })
        })
        .unwrap_or(false)
    }

    fn take_from_afar(&self, about: &About, stored: &Stored) -> Result<(), NotReady> {
        let answer = stored.key_authorization.as_str();
        match about {
            About::Token(token) => {
                let token = token.clone();
                self.change(|answers| drop(answers.afar_http.insert(token, answer.into())));
            }
            About::Name(asked) => {
                // An address is asked for by another name than its own.
                let shown = stored.name.as_deref();
                let shown = shown.and_then(|shown| HostName::parse(shown).ok());
                let shown = shown.filter(|shown| asked_as(shown) == *asked);
                let name = shown.unwrap_or_else(|| asked.clone());
                let digest = digest(&SHA256, answer.as_bytes());
                let certified = Arc::new(certificate(&name, digest.as_ref())?);
                let asked = asked.clone();
                self.change(|answers| drop(answers.afar_alpn.insert(asked, certified)));
            }
        }
        Ok(())
    }

    fn forget_from_afar(&self, about: &About) {
        self.change(|answers| match about {
            About::Token(token) => drop(answers.afar_http.remove(token)),
            About::Name(name) => drop(answers.afar_alpn.remove(name)),
        });
    }
}

#[cfg(test)]
#[path = "lookout_tests.rs"]
mod tests;

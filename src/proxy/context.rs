//! What all exchanges of one worker share.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::ops::Deref;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::HeaderValue;

use super::compress::Encoders;
use super::guard::auth::passwords::Passwords;
use super::guard::rates::Rates;
use crate::config::{Limits, Trust};
use crate::deadline::Wheel;
use crate::observe::counters::Counters;
use crate::observe::lines::Lines;
use crate::relay::Scratch;
use crate::routing::Routes;
use crate::upstream::Upstreams;
use crate::upstream::group::Groups;
use crate::upstream::health::Standings;
use crate::upstream::names::Names;
use crate::upstream::seats::Seats;
use crate::upstream::tls::TlsClients;

/// One generation of everything that a request is decided by.
#[derive(Debug)]
pub struct Table {
    pub routes: Routes,
    pub clients: TlsClients,
    pub limits: Limits,
    pub trust: Trust,
    /// How long connections may finish once they were asked to.
    pub drain: Duration,
    /// What is answered under a path on plain sockets, before any rule.
    pub answers: Answers,
    /// One a certificate slot: slots with equal, non-zero identities show the same certificate.
    pub identities: Box<[u32]>,
    pub common: Common,
}

/// What all generations and all workers share.
#[derive(Debug, Clone, Default)]
pub struct Common {
    pub standings: Standings,
    pub names: Names,
    /// `max_conns`.
    pub seats: Seats,
    pub rates: Arc<Rates>,
    pub passwords: Arc<Passwords>,
}

/// Texts that are known under paths, asked on every plain request and mostly silent: a CA's questions.
#[derive(Clone)]
pub struct Answers {
    find: Arc<Find>,
    seek: Arc<Seek>,
}

/// Ends once it is known whether there is a text.
pub type Sought = Pin<Box<dyn Future<Output = Option<Arc<str>>> + Send>>;

type Find = dyn Fn(&str) -> Option<Arc<str>> + Send + Sync;
type Seek = dyn Fn(&str) -> Option<Sought> + Send + Sync;

impl Answers {
    /// Answers as `find` does, which is asked on data threads and must not wait.
    #[must_use]
    pub fn new(find: impl Fn(&str) -> Option<Arc<str>> + Send + Sync + 'static) -> Self {
        Self {
            find: Arc::new(find),
            seek: Arc::new(|_path| None),
        }
    }

    /// Waits for what `seek` looks for elsewhere under a path that nothing is known of here; none: nobody needs to wait.
    #[must_use]
    pub fn seeking(self, seek: impl Fn(&str) -> Option<Sought> + Send + Sync + 'static) -> Self {
        Self {
            seek: Arc::new(seek),
            ..self
        }
    }

    /// What is said to whoever asks for `path`.
    #[must_use]
    pub fn find(&self, path: &str) -> Option<Arc<str>> {
        (self.find)(path)
    }

    /// What may be found elsewhere for whoever asks for `path`.
    #[must_use]
    pub fn seek(&self, path: &str) -> Option<Sought> {
        (self.seek)(path)
    }
}

impl fmt::Debug for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answers")
    }
}

/// Something shared between threads, held by many on this one: they count among themselves, so that no core waits for another.
#[derive(Debug)]
pub struct Held<T>(Rc<OfAll<T>>);

#[derive(Debug)]
struct OfAll<T>(Arc<T>);

impl<T> Held<T> {
    /// The one count that this thread has among all.
    #[must_use]
    pub fn new(shared: Arc<T>) -> Self {
        Self(Rc::new(OfAll(shared)))
    }
}

impl<T> Clone for Held<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Deref for Held<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.0
    }
}

/// How far the process is in leaving.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    Serving,
    /// Connections are asked to finish.
    Draining,
    /// Whatever is left ends now.
    Cut,
}

/// A worker's side of proxying. Lives on one thread.
#[derive(Debug)]
pub struct Context {
    table: RefCell<Held<Table>>,
    pub stage: Cell<Stage>,
    pub upstreams: Upstreams,
    /// Which of several targets is asked next.
    pub groups: Groups,
    pub wheel: Wheel,
    pub scratch: Scratch,
    pub encoders: Encoders,
    /// The access log, and who reads along.
    pub lines: Lines,
    pub counters: Arc<Counters>,
    /// Where a line's parts are written before they are copied.
    pub(super) text: RefCell<String>,
    now: Cell<SystemTime>,
    date: RefCell<HeaderValue>,
}

impl Context {
    /// A worker that serves by `table`.
    #[must_use]
    pub fn new(table: Arc<Table>, wheel: Wheel, lines: Lines, counters: Arc<Counters>) -> Self {
        let groups = Groups::new(table.common.standings.clone(), table.common.names.clone());
        let upstreams = Upstreams::new(
            wheel.clone(),
            table.common.seats.clone(),
            table.common.names.clone(),
        );
        let context = Self {
            table: RefCell::new(Held::new(table)),
            stage: Cell::new(Stage::Serving),
            upstreams,
            groups,
            wheel,
            scratch: Scratch::default(),
            encoders: Encoders::default(),
            lines,
            counters,
            text: RefCell::default(),
            now: Cell::new(UNIX_EPOCH),
            date: RefCell::new(HeaderValue::from_static("")),
        };
        context.tick();
        context
    }

    /// Called by the worker at every tick of its wheel: reads the wall clock for all exchanges until the next one.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where a worker reads the wall clock"
    )]
    pub fn tick(&self) {
        let now = SystemTime::now();
        let seconds = |time: SystemTime| {
            time.duration_since(UNIX_EPOCH)
                .unwrap_or_default()
                .as_secs()
        };
        if seconds(self.now.replace(now)) != seconds(now)
            && let Ok(date) = HeaderValue::try_from(httpdate::fmt_http_date(now))
        {
            *self.date.borrow_mut() = date;
        }
        self.groups.tick();
        self.flush_log();
    }

    /// A fresh request id: a UUIDv7 (RFC 9562 section 5.7). It names, it does not protect, so a fast generator will do.
    #[must_use]
    pub fn fresh_id(&self) -> HeaderValue {
        let millis = self
            .now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_millis();
        let mut random = [0; 10];
        fastrand::fill(&mut random);
        let id = uuid::Builder::from_unix_timestamp_millis(
            u64::try_from(millis).unwrap_or_default(),
            &random,
        )
        .into_uuid();
        let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
        let text = id.hyphenated().encode_lower(&mut text);
        HeaderValue::from_str(text)
            .unwrap_or_else(|_unprintable| HeaderValue::from_static("unknown"))
    }

    /// The wall clock as of the last tick.
    #[must_use]
    pub fn now(&self) -> SystemTime {
        self.now.get()
    }

    /// The wall clock as a `Date` field (RFC 9110 section 6.6.1).
    #[must_use]
    pub fn date(&self) -> HeaderValue {
        self.date.borrow().clone()
    }

    /// Hands over the access-log lines gathered so far.
    pub fn flush_log(&self) {
        self.lines.flush();
    }

    /// The newest table; whoever holds it keeps its generation.
    #[must_use]
    pub fn table(&self) -> Held<Table> {
        self.table.borrow().clone()
    }

    /// Takes over a new table and wakes every connection to look at it.
    pub fn adopt(&self, table: Arc<Table>) {
        *self.table.borrow_mut() = Held::new(table);
        self.groups.clear();
        self.wheel.wake_all();
    }

    /// Moves on towards leaving and wakes every connection to look.
    pub fn advance(&self, stage: Stage) {
        if stage > self.stage.get() {
            self.stage.set(stage);
            self.upstreams.close_idle();
            self.wheel.wake_all();
        }
    }
}

//! The keeper: sees to it that every wanted name has a certificate, in time and never asked for twice.
//!
//! One queue, nearest first; a few names are tended at a time, each by a task that a reload does not touch. What a task needs to
//! know is read from the store, so a restart changes nothing.

pub(in crate::certs) mod account;
mod advice;
mod aftermath;
pub mod demand;
mod due;
pub mod figures;
mod footing;
mod held;
mod issue;
pub mod ledgers;
pub mod listener;
mod look;
pub mod merging;
mod options;
mod queue;
mod records;
mod solver;
mod spending;
mod tenure;
#[cfg(test)]
mod tests;
mod turn;
mod watch;
mod works;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinError;

use crate::certs::bundle::Ready;
use crate::certs::ledger::instant::minute;
use crate::certs::retry::Failures;
use crate::certs::vault::CertId;
use crate::clock::Clock;
use crate::hostname::HostPattern;
use crate::shutdown::Shutdown;
use demand::Demands;
pub use due::{due, next_look};
pub use held::Held;
pub use options::{Options, Role};
use queue::Queue;
pub use records::{Dns, Records};
pub use works::{Connect, Works, over_the_network};

/// Names that are tended at a time because their time has come, or because somebody asked for a renewal; those that handshakes ask
/// for are counted apart.
const TENDED_MAX: usize = 8;
/// Orders that wait for the keeper; whoever sends more waits.
const ORDERS_MAX: usize = 64;
/// After what must not happen, and would happen again: whoever is asked meanwhile is not asked often.
const AFTER_A_PANIC: Duration = Duration::from_secs(60 * 60);
/// The longest that nothing is looked at: another process may have done something.
const LOOK_EVERY: Duration = Duration::from_secs(24 * 60 * 60);

/// A keeper from outside. When the last handle is gone, it rests.
#[derive(Debug, Clone)]
pub struct Keeper {
    orders: mpsc::Sender<Order>,
    works: Arc<Works>,
}

#[derive(Debug)]
enum Order {
    Keep(Vec<HostPattern>, Arc<Options>),
    Renew(HostPattern, oneshot::Sender<Outcome>),
    Demand(HostPattern, oneshot::Sender<Outcome>),
    /// Something new of these is in the store.
    Stored(Vec<CertId>),
}

/// What came of looking after one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It has this generation, until then.
    Fine { generation: u64, until: SystemTime },
    /// It was renewed just now.
    Renewed { generation: u64, until: SystemTime },
    /// It could not be, in words, and is tried again then.
    Failed { problem: String, again: SystemTime },
    /// Somebody else is at it.
    Busy,
    /// Nobody wants it kept.
    Unknown,
    /// This host never orders.
    ServesOnly,
}

impl Outcome {
    fn fine(ready: &Ready) -> Self {
        Self::Fine {
            generation: ready.bundle.generation,
            until: ready.facts.not_after,
        }
    }

    fn failed(failures: &Failures) -> Self {
        Self::Failed {
            problem: failures.detail.clone(),
            again: failures.retry_at,
        }
    }
}

/// What a task says at its end.
struct Done {
    name: HostPattern,
    outcome: Outcome,
    next: SystemTime,
}

impl Done {
    /// What a task cannot say that panicked.
    fn broken(name: HostPattern, panic: &JoinError, again: SystemTime) -> Self {
        tracing::error!(%name, %panic, again = %minute(again), "a fault of onedoor broke off the work on a certificate");
        let problem = format!("a fault of onedoor broke off the work on it: {panic}");
        Self {
            name,
            outcome: Outcome::Failed { problem, again },
            next: again,
        }
    }
}

/// The keeper from inside.
struct Desk {
    works: Arc<Works>,
    clock: Clock,
    shutdown: Shutdown,
    wanted: HashSet<HostPattern>,
    demands: Demands,
    queue: Queue,
    /// Under way, and who waits for the outcome.
    tended: HashMap<HostPattern, Vec<oneshot::Sender<Outcome>>>,
    /// Under way with options that have changed since.
    outdated: HashSet<HostPattern>,
    done: mpsc::Sender<Done>,
}

impl Keeper {
    /// Starts one that keeps nothing yet.
    #[must_use]
    pub fn start(works: Arc<Works>, shutdown: &Shutdown) -> Self {
        let (orders, inbox) = mpsc::channel(ORDERS_MAX);
        let (done, ended) = mpsc::channel(TENDED_MAX);
        let desk = Desk {
            clock: works.clock().clone(),
            works: works.clone(),
            shutdown: shutdown.clone(),
            wanted: HashSet::new(),
            demands: Demands::default(),
            queue: Queue::default(),
            tended: HashMap::new(),
            outdated: HashSet::new(),
            done,
        };
        shutdown.spawn_attendant(desk.run(inbox, ended));
        Self { orders, works }
    }

    /// From now on what others write into the store is served here within seconds, and a copy of it kept.
    pub fn watch(&self, shutdown: &Shutdown) {
        let watching = self.works.clone().watch(self.orders.downgrade());
        shutdown.spawn_attendant(watching);
    }

    /// Keeps exactly these names from now on. What is under way for others goes on to its end.
    pub async fn keep(&self, names: Vec<HostPattern>, options: Arc<Options>) {
        // A keeper that is gone belongs to a process that is going.
        let _gone = self.orders.send(Order::Keep(names, options)).await;
    }

    /// Sees to a certificate for a name that a handshake asked for; says whether there is one by now.
    pub async fn demand(&self, name: HostPattern) -> bool {
        let (tell, told) = oneshot::channel();
        // A keeper that has too much to do is not waited for: the client comes again.
        if self
            .orders
            .try_send(Order::Demand(name.clone(), tell))
            .is_err()
        {
            return false;
        }
        // A renewal that failed is no reason to do without what there is.
        told.await.is_ok() && self.works.shelf.has(&name)
    }

    /// Renews one name now, whatever its time.
    pub async fn renew(&self, name: HostPattern) -> Outcome {
        let (tell, told) = oneshot::channel();
        let _gone = self.orders.send(Order::Renew(name, tell)).await;
        told.await.unwrap_or(Outcome::Busy)
    }
}

impl Desk {
    async fn run(mut self, mut inbox: mpsc::Receiver<Order>, mut ended: mpsc::Receiver<Done>) {
        loop {
            self.take_up();
            let next = self.queue.next();
            let next = next.unwrap_or_else(|| self.clock.now() + LOOK_EVERY);
            let has_place = self.has_place();
            tokio::select! {
                order = inbox.recv() => match order {
                    Some(order) => self.obey(order),
                    None => return,
                },
                Some(done) = ended.recv() => self.settle(done),
                () = self.clock.sleep_until(next), if has_place => {}
            }
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Keep(names, options) => {
                let before = self.works.tried();
                self.works.adopt(options);
                let kept = names.iter().chain(&self.demands.granted);
                self.works.watch_for(kept);
                let names: HashSet<HostPattern> = names.into_iter().collect();
                let mut dropped: Vec<_> = self.wanted.difference(&names).cloned().collect();
                if self.works.options().on_demand.is_none() {
                    dropped.extend(self.demands.granted.difference(&names).cloned());
                }
                self.forget(&dropped);
                let known = std::mem::replace(&mut self.wanted, names);
                if before == self.works.tried() {
                    self.look_soon(|name| !known.contains(name));
                } else {
                    // What failed so may go well now.
                    self.outdated.extend(self.tended.keys().cloned());
                    self.look_soon(|_name| true);
                }
            }
            Order::Demand(name, tell) => self.demand(name, tell),
            Order::Stored(ids) => {
                let ids: HashSet<CertId> = ids.into_iter().collect();
                self.reconsider(&ids);
                let (now, demanded) = (self.clock.now(), self.demands.granted.iter());
                for name in demanded.filter(|name| !self.tended.contains_key(*name)) {
                    if ids.contains(&CertId::of(name)) {
                        self.queue.put(name.clone(), now);
                    }
                }
                self.look_soon(|name| ids.contains(&CertId::of(name)));
            }
            Order::Renew(_, tell) if self.works.options().role == Role::ServeOnly => {
                // Whoever asked may have left.
                let _left = tell.send(Outcome::ServesOnly);
            }
            Order::Renew(name, tell) => {
                if let Some(waiting) = self.tended.get_mut(&name) {
                    waiting.push(tell);
                } else if self.wanted.contains(&name) || self.demands.granted.contains(&name) {
                    self.tend(name, turn::Why::Asked, vec![tell]);
                } else {
                    // Whoever asked may have left.
                    let _left = tell.send(Outcome::Unknown);
                }
            }
        }
    }

    /// Sees to these names no more. One that is under way goes on to its end.
    fn forget(&mut self, names: &[HostPattern]) {
        for name in names {
            self.demands.granted.remove(name);
            self.works.figures.forget(name);
            self.queue.drop(name);
        }
        self.works.shelf.clear(names);
    }

    /// Puts these of the wanted names in front, but for those under way.
    fn look_soon(&mut self, is_meant: impl Fn(&HostPattern) -> bool) {
        let now = self.clock.now();
        let waiting = |name: &&HostPattern| !self.tended.contains_key(*name) && is_meant(name);
        for name in self.wanted.iter().filter(waiting) {
            self.queue.put(name.clone(), now);
        }
    }

    /// Whether one more may be tended whose time has come, however many names handshakes ask for.
    fn has_place(&self) -> bool {
        self.tended.len() - self.demands.asked.len() < TENDED_MAX
    }

    /// Starts on the names whose time has come.
    fn take_up(&mut self) {
        let now = self.clock.now();
        while self.has_place()
            && let Some(name) = self.queue.due(now)
        {
            self.tend(name, turn::Why::Time, Vec::new());
        }
    }

    fn tend(&mut self, name: HostPattern, why: turn::Why, waiting: Vec<oneshot::Sender<Outcome>>) {
        let (works, tended) = (self.works.clone(), name.clone());
        let tending = async move { works.tend(&tended, why).await };
        self.undertake(name, waiting, tending);
    }

    /// Does this for a name, which is under way until it is done, also if that is a panic.
    fn undertake(
        &mut self,
        name: HostPattern,
        waiting: Vec<oneshot::Sender<Outcome>>,
        work: impl Future<Output = (Outcome, SystemTime)> + Send + 'static,
    ) {
        self.queue.drop(&name);
        self.tended.insert(name.clone(), waiting);
        let (done, tended) = (self.done.clone(), name.clone());
        let working = self.shutdown.spawn_attendant(async move {
            let (outcome, next) = work.await;
            let ended = Done {
                name: tended,
                outcome,
                next,
            };
            // The desk is gone only when the process is.
            let _gone = done.send(ended).await;
        });
        let (done, clock) = (self.done.clone(), self.clock.clone());
        self.shutdown.spawn_attendant(async move {
            // A task that is cut off ends well.
            if let Err(panic) = working.await {
                let again = clock.now() + AFTER_A_PANIC;
                let _gone = done.send(Done::broken(name, &panic, again)).await;
            }
        });
    }

    fn settle(&mut self, done: Done) {
        self.demands.asked.remove(&done.name);
        for waiting in self.tended.remove(&done.name).unwrap_or_default() {
            let _left = waiting.send(done.outcome.clone());
        }
        self.settle_demand(&done);
        let now = self.clock.now();
        let next = if self.outdated.remove(&done.name) {
            now
        } else {
            done.next.min(now + LOOK_EVERY)
        };
        if self.wanted.contains(&done.name) || self.demands.granted.contains(&done.name) {
            self.works.figures.stands(&done.name, &done.outcome, next);
            self.queue.put(done.name, next);
        } else if self.works.shelf.has(&done.name) {
            self.forget(&[done.name]);
        }
    }
}

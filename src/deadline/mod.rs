//! Coarse deadlines: one wheel a thread ticks for all of its connections, so that moving a deadline costs a store, not a timer.
//!
//! A deadline is late by up to two ticks and never early. Entries are recycled: in steady state nothing is allocated.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::time::Instant;

/// How often the wheel turns.
pub const TICK: Duration = Duration::from_millis(100);
/// Deadlines further away are registered again when the wheel comes round.
const SLOTS: usize = 1024;
/// Entries kept for reuse.
const SPARE_MAX: usize = 4096;
const NEVER: u64 = u64::MAX;

/// The deadlines of one thread.
#[derive(Clone)]
pub struct Wheel(Rc<Turning>);

struct Turning {
    started: Instant,
    now: Cell<u64>,
    slots: RefCell<Box<[Vec<Rc<Entry>>]>>,
    spare: RefCell<Vec<Rc<Entry>>>,
}

struct Entry {
    /// The tick at which it expires.
    at: Cell<u64>,
    /// The tick at whose slot it will be looked at; `NEVER` when in no slot.
    registered: Cell<u64>,
    waker: RefCell<Option<Waker>>,
}

/// One deadline, movable and reusable; disarmed when new and when dropped.
pub struct Deadline {
    entry: Rc<Entry>,
    wheel: Wheel,
}

/// The time was over before the work was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expired;

impl Default for Wheel {
    fn default() -> Self {
        Self::new()
    }
}

impl Wheel {
    /// A wheel that stands still until [`Wheel::turn`] is polled. Must be called inside a runtime.
    #[must_use]
    pub fn new() -> Self {
        let slots = (0..SLOTS).map(|_slot| Vec::new()).collect();
        Self(Rc::new(Turning {
            started: Instant::now(),
            now: Cell::new(0),
            slots: RefCell::new(slots),
            spare: RefCell::new(Vec::new()),
        }))
    }

    /// The time since the wheel was made, as of the last tick.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        TICK.saturating_mul(u32::try_from(self.0.now.get()).unwrap_or(u32::MAX))
    }

    /// A disarmed deadline.
    #[must_use]
    pub fn deadline(&self) -> Deadline {
        let spare = self.0.spare.borrow_mut().pop();
        let entry = spare.unwrap_or_else(|| {
            Rc::new(Entry {
                at: Cell::new(NEVER),
                registered: Cell::new(NEVER),
                waker: RefCell::new(None),
            })
        });
        Deadline {
            entry,
            wheel: self.clone(),
        }
    }

    /// A deadline that expires `after` from now.
    #[must_use]
    pub fn deadline_in(&self, after: Duration) -> Deadline {
        let deadline = self.deadline();
        deadline.arm(after);
        deadline
    }

    /// Turns for ever, calling `each_tick` after every step.
    pub async fn turn(&self, mut each_tick: impl FnMut()) {
        let mut interval = tokio::time::interval(TICK);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            self.advance();
            each_tick();
        }
    }

    /// Wakes whoever waits on any deadline, expired or not: something changed that all of them should look at.
    pub fn wake_all(&self) {
        for slot in self.0.slots.borrow().iter() {
            for entry in slot {
                if let Some(waker) = entry.waker.borrow_mut().take() {
                    waker.wake();
                }
            }
        }
    }

    fn advance(&self) {
        let now = ticks(self.0.started.elapsed());
        let from = self.0.now.replace(now);
        for tick in (from + 1)..=now.min(from + SLOTS as u64) {
            self.look_at(tick, now);
        }
    }

    fn look_at(&self, tick: u64, now: u64) {
        let due = std::mem::take(&mut self.0.slots.borrow_mut()[slot_of(tick)]);
        for entry in due {
            // One that was put here a round ahead, while the wheel caught up over several ticks, is put back.
            let registered = entry.registered.get();
            if registered == NEVER || slot_of(registered) != slot_of(tick) {
                continue;
            }
            entry.registered.set(NEVER);
            let at = entry.at.get();
            if at <= now {
                if let Some(waker) = entry.waker.borrow_mut().take() {
                    waker.wake();
                }
            } else if at != NEVER || entry.waker.borrow().is_some() {
                // Disarmed, but somebody waits: it must stay where `wake_all` finds it.
                self.register(entry, at);
            }
        }
    }

    fn register(&self, entry: Rc<Entry>, at: u64) {
        let tick = at.min(self.0.now.get() + SLOTS as u64 - 1);
        entry.registered.set(tick);
        self.0.slots.borrow_mut()[slot_of(tick)].push(entry);
    }
}

fn slot_of(tick: u64) -> usize {
    usize::try_from(tick % SLOTS as u64).unwrap_or(0)
}

fn ticks(time: Duration) -> u64 {
    u64::try_from(time.as_millis() / TICK.as_millis()).unwrap_or(NEVER - 1)
}

impl Deadline {
    /// Expires `after` from now, whatever was set before.
    pub fn arm(&self, after: Duration) {
        let wheel = &self.wheel.0;
        let at = wheel
            .now
            .get()
            .saturating_add(ticks(after))
            .saturating_add(2)
            .min(NEVER - 1);
        self.entry.at.set(at);
        if self.entry.registered.get() > at {
            self.wheel.register(self.entry.clone(), at);
        }
    }

    /// Never expires until armed again.
    pub fn disarm(&self) {
        self.entry.at.set(NEVER);
    }

    /// The wheel's own time: see [`Wheel::elapsed`].
    #[must_use]
    pub fn now(&self) -> Duration {
        self.wheel.elapsed()
    }

    /// Whether the armed time is over.
    #[must_use]
    pub fn is_expired(&self) -> bool {
        self.entry.at.get() <= self.wheel.0.now.get()
    }

    /// Ready once expired; else the task is woken then (or by [`Wheel::wake_all`]).
    pub fn poll_expired(&self, cx: &Context<'_>) -> Poll<()> {
        if self.is_expired() {
            return Poll::Ready(());
        }
        let mut waker = self.entry.waker.borrow_mut();
        if !waker
            .as_ref()
            .is_some_and(|known| known.will_wake(cx.waker()))
        {
            *waker = Some(cx.waker().clone());
        }
        if self.entry.registered.get() == NEVER {
            drop(waker);
            self.wheel.register(self.entry.clone(), self.entry.at.get());
        }
        Poll::Pending
    }

    /// Runs `work` until it is done or the deadline expires.
    ///
    /// # Errors
    /// [`Expired`] when the time was over first; the work is dropped then.
    pub fn within<F: Future>(&self, work: F) -> Within<'_, F> {
        Within {
            work,
            deadline: self,
        }
    }
}

pin_project! {
    /// Work that ends with a deadline. Written by hand: an async function would keep the work twice, before and after it is pinned.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless awaited"]
    pub struct Within<'a, F> {
        #[pin]
        work: F,
        deadline: &'a Deadline,
    }
}

impl<F: Future> Future for Within<'_, F> {
    type Output = Result<F::Output, Expired>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(done) = this.work.poll(cx) {
            return Poll::Ready(Ok(done));
        }
        this.deadline.poll_expired(cx).map(|()| Err(Expired))
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        self.entry.at.set(NEVER);
        self.entry.waker.borrow_mut().take();
        let mut spare = self.wheel.0.spare.borrow_mut();
        if spare.len() < SPARE_MAX {
            spare.push(self.entry.clone());
        }
    }
}

impl fmt::Debug for Wheel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wheel")
            .field("now", &self.0.now.get())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Deadline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deadline")
            .field("at", &self.entry.at.get())
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Expired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the deadline passed")
    }
}

impl std::error::Error for Expired {}

#[cfg(test)]
mod tests;

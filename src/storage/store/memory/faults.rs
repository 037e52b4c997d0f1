//! What befalls a played process, as a test has it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::Process;
use crate::storage::store::Store;

/// The strings of one played process, and the way to further ones.
#[derive(Clone)]
pub struct Faults(pub(super) Process);

/// When a mutation fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// It has no effect.
    Before,
    /// It has taken effect, but who asked for it does not learn that.
    After,
}

impl Faults {
    /// Another process on the same memory.
    #[must_use]
    pub fn process(&self) -> (Store, Self) {
        Process::join(Arc::clone(&self.0.shared))
    }

    /// From now on the memory counts as shared by hosts.
    pub fn share(&self) {
        self.0.lock().is_shared = true;
    }

    /// The `nth` put or delete of this process from now on fails; the next one is the first.
    pub fn fail(&self, nth: u64, moment: Moment) {
        self.script(nth, moment, Fault::Fail);
    }

    /// This process crashes at its `nth` put or delete from now on.
    pub fn crash_at(&self, nth: u64, moment: Moment) {
        self.script(nth, moment, Fault::Crash);
    }

    /// As [`Faults::silence`], from its `nth` put or delete on, which goes on once it is heard again.
    pub fn silence_at(&self, nth: u64, moment: Moment) {
        self.script(nth, moment, Fault::Silence);
    }

    /// As [`Faults::cut_off`], from its `nth` put or delete on.
    pub fn cut_off_at(&self, nth: u64, moment: Moment) {
        self.script(nth, moment, Fault::CutOff);
    }

    /// As [`Faults::empty`], at its `nth` put or delete from now on, which fails.
    pub fn empty_at(&self, nth: u64, moment: Moment) {
        self.script(nth, moment, Fault::Empty);
    }

    /// Until [`Faults::revive`] every call fails. The leases are lost for good.
    pub fn crash(&self) {
        self.0.lock().crash(self.0.number);
    }

    /// Until [`Faults::mend`] every call of this process fails; its leases stay as they are, and end with their time.
    pub fn cut_off(&self) {
        self.0.lock().processes[self.0.number].way = Way::Broken;
    }

    /// Until [`Faults::mend`] no call of this process is answered.
    pub fn silence(&self) {
        self.0.lock().processes[self.0.number].way = Way::Silent;
    }

    pub fn mend(&self) {
        self.0.lock().processes[self.0.number].way = Way::Open;
    }

    /// Everything is gone for all processes, the leases among it.
    pub fn empty(&self) {
        self.0.lock().empty();
    }

    /// The process starts again, with what the memory holds. Faults that are still to come are forgotten.
    pub fn revive(&self) {
        let script = &mut self.0.lock().processes[self.0.number];
        script.crashed = false;
        script.faults.clear();
    }

    #[must_use]
    pub fn is_crashed(&self) -> bool {
        self.0.lock().processes[self.0.number].crashed
    }

    /// How many puts and deletes this process has attempted.
    #[must_use]
    pub fn mutations(&self) -> u64 {
        self.0.lock().processes[self.0.number].mutations
    }

    fn script(&self, nth: u64, moment: Moment, fault: Fault) {
        assert!(nth > 0, "the next mutation is the first");
        let script = &mut self.0.lock().processes[self.0.number];
        let number = script.mutations + nth;
        script.faults.insert(number, (moment, fault));
    }
}

#[derive(Debug, Default)]
pub(super) struct Script {
    pub(super) crashed: bool,
    pub(super) way: Way,
    pub(super) mutations: u64,
    /// By the number of the mutation.
    pub(super) faults: BTreeMap<u64, (Moment, Fault)>,
}

/// How a process reaches the memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Way {
    #[default]
    Open,
    Broken,
    Silent,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Fault {
    Fail,
    Crash,
    Silence,
    CutOff,
    Empty,
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "faults of {:?}", self.0)
    }
}

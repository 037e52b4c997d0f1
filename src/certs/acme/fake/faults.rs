//! Faults on demand: for the next request of a kind, or for the one with a number.

use std::collections::{BTreeMap, VecDeque};

use super::reply::Reply;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Operation {
    Directory,
    Nonce,
    NewAccount,
    Account,
    KeyChange,
    NewOrder,
    Order,
    Authorization,
    Challenge,
    Finalize,
    Certificate,
    RenewalInfo,
}

#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// The CA does not see the request, and nobody ever answers.
    NeverBefore,
    /// The CA does its work, and nobody ever hears of it.
    NeverAfter,
    /// The connection breaks before the CA sees the request.
    LostBefore,
    /// The connection breaks once the CA has done its work.
    LostAfter,
    /// The CA does its work, and the answer is another one.
    Garbled(&'static str),
    /// The CA does nothing but say this, with a `Retry-After` if there is one.
    Page(u16, &'static str, Option<&'static str>),
}

#[derive(Debug)]
pub(super) enum Outcome {
    Answer(Reply),
    Lost,
    Never,
}

#[derive(Debug, Default)]
pub(super) struct Faults {
    by_operation: BTreeMap<Operation, VecDeque<Fault>>,
    by_number: BTreeMap<u64, Fault>,
    requests: u64,
}

impl Faults {
    pub(super) fn on(&mut self, operation: Operation, fault: Fault) {
        let waiting = self.by_operation.entry(operation).or_default();
        waiting.push_back(fault);
    }

    pub(super) fn at(&mut self, number: u64, fault: Fault) {
        self.by_number.insert(self.requests + number, fault);
    }

    pub(super) fn forget(&mut self) {
        self.by_operation.clear();
        self.by_number.clear();
    }

    /// Counts a request, and says what befalls it.
    pub(super) fn next(&mut self, operation: Operation) -> Option<Fault> {
        let number = self.requests;
        self.requests += 1;
        if let Some(fault) = self.by_number.remove(&number) {
            return Some(fault);
        }
        self.by_operation.get_mut(&operation)?.pop_front()
    }
}

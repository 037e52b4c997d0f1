//! Who of several is asked next: each way of choosing as a function of who may be asked, of chance, and of what was kept from before.

pub mod least;
pub mod ramp;
pub mod rendezvous;
pub mod smooth;
pub mod sticky;
pub mod two;

#[cfg(test)]
mod tests;

/// One that may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Which one it is among all, also those that may not be asked.
    pub index: usize,
    /// Its share, in proportion to the others'. Never 0.
    pub weight: u32,
    /// Exchanges under way.
    pub busy: u32,
    /// What it is known by in consistent hashing: the same everywhere and always.
    pub key: u64,
}

impl Candidate {
    /// Whether it has less to do than another, each for its weight.
    fn is_freer_than(&self, other: &Self) -> bool {
        self.load_against(other) < other.load_against(self)
    }

    /// Its load in a unit that it shares with `other`.
    fn load_against(&self, other: &Self) -> u64 {
        u64::from(self.busy) * u64::from(other.weight)
    }
}

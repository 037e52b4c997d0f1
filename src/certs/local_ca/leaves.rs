//! The local CA's leaves in memory: a bounded table that forgets the least recently used, and serves none past its time.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::SystemTime;

use rustls::sign::CertifiedKey;

use crate::hostname::HostName;

/// How many leaves are kept.
pub const LEAVES_MAX: usize = 10_000;

/// A certificate minted for one name.
#[derive(Debug, Clone)]
pub struct Leaf {
    pub certified: Arc<CertifiedKey>,
    pub not_before: SystemTime,
    pub not_after: SystemTime,
}

/// At most `limit` leaves by name.
#[derive(Debug)]
pub struct Leaves {
    limit: usize,
    by_name: HashMap<HostName, Kept>,
    /// Names by their last use, oldest first.
    by_use: BTreeMap<u64, HostName>,
    uses: u64,
}

#[derive(Debug)]
struct Kept {
    leaf: Leaf,
    last_use: u64,
}

impl Leaf {
    /// Whether at least a third of the life is left; never before the life begins, as after a clock that jumped back.
    #[must_use]
    pub fn is_fresh(&self, now: SystemTime) -> bool {
        let Ok(life) = self.not_after.duration_since(self.not_before) else {
            return false;
        };
        let left = self.not_after.duration_since(now).unwrap_or_default();
        self.not_before <= now && left >= life / 3
    }
}

impl Leaves {
    /// An empty table; `limit` is at least one.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            limit: limit.max(1),
            by_name: HashMap::new(),
            by_use: BTreeMap::new(),
            uses: 0,
        }
    }

    /// The leaf of this name if it is fresh; counts as a use.
    pub fn fresh(&mut self, name: &HostName, now: SystemTime) -> Option<Arc<CertifiedKey>> {
        let kept = self.by_name.get_mut(name)?;
        if !kept.leaf.is_fresh(now) {
            return None;
        }
        self.uses += 1;
        if let Some(name) = self.by_use.remove(&kept.last_use) {
            self.by_use.insert(self.uses, name);
        }
        kept.last_use = self.uses;
        Some(Arc::clone(&kept.leaf.certified))
    }

    /// Keeps a leaf in place of the name's old one; if the table is full, in place of the least recently used.
    pub fn keep(&mut self, name: HostName, leaf: Leaf) {
        self.uses += 1;
        let kept = Kept {
            leaf,
            last_use: self.uses,
        };
        self.by_use.insert(self.uses, name.clone());
        if let Some(old) = self.by_name.insert(name, kept) {
            self.by_use.remove(&old.last_use);
        }
        if self.by_name.len() > self.limit
            && let Some((_, oldest)) = self.by_use.pop_first()
        {
            self.by_name.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use rustls::crypto::aws_lc_rs::sign::any_supported_type;
    use rustls_pki_types::PrivatePkcs8KeyDer;

    use super::*;
    use crate::certs::fixture::{days, noon};

    fn leaf() -> Leaf {
        let key = rcgen::KeyPair::generate().unwrap().serialize_der();
        let key = any_supported_type(&PrivatePkcs8KeyDer::from(key).into()).unwrap();
        Leaf {
            certified: Arc::new(CertifiedKey::new(Vec::new(), key)),
            not_before: noon(),
            not_after: noon() + days(30),
        }
    }

    fn name(text: &str) -> HostName {
        HostName::parse(text).unwrap()
    }

    #[test]
    fn a_leaf_is_fresh_until_a_third_of_its_life_is_left() {
        let leaf = leaf();
        assert!(leaf.is_fresh(noon()));
        assert!(leaf.is_fresh(noon() + days(20)));
        assert!(!leaf.is_fresh(noon() + days(21)));
        assert!(!leaf.is_fresh(noon() + days(4000)));
        assert!(!leaf.is_fresh(noon() - days(1)));
    }

    #[test]
    fn the_least_recently_used_leaf_is_forgotten() {
        let mut leaves = Leaves::new(2);
        let leaf = leaf();
        leaves.keep(name("a.test"), leaf.clone());
        leaves.keep(name("b.test"), leaf.clone());
        assert!(leaves.fresh(&name("a.test"), noon()).is_some());
        leaves.keep(name("c.test"), leaf);
        assert!(leaves.fresh(&name("b.test"), noon()).is_none());
        assert!(leaves.fresh(&name("a.test"), noon()).is_some());
        assert!(leaves.fresh(&name("c.test"), noon()).is_some());
    }

    #[test]
    fn the_table_never_outgrows_its_limit() {
        let mut leaves = Leaves::new(3);
        let leaf = leaf();
        for round in 0..100 {
            leaves.keep(name(&format!("n{}.test", round % 7)), leaf.clone());
            assert!(leaves.by_name.len() <= 3);
            assert_eq!(leaves.by_name.len(), leaves.by_use.len());
        }
    }
}

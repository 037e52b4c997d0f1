//! Which members of a group one exchange has tried.

/// A set of indices that allocates nothing for the first ones.
#[derive(Debug, Default)]
pub struct Tried {
    first: u64,
    more: Vec<usize>,
}

impl Tried {
    /// Whether this one was tried.
    #[must_use]
    pub fn contains(&self, index: usize) -> bool {
        match bit(index) {
            Some(bit) => self.first & bit != 0,
            None => self.more.contains(&index),
        }
    }

    /// This one is being tried.
    pub fn insert(&mut self, index: usize) {
        match bit(index) {
            Some(bit) => self.first |= bit,
            None => self.more.push(index),
        }
    }
}

fn bit(index: usize) -> Option<u64> {
    u32::try_from(index)
        .ok()
        .and_then(|index| 1_u64.checked_shl(index))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_tried_is_known_however_many_there_are() {
        let mut tried = Tried::default();
        for index in [0, 63, 64, 1000] {
            assert!(!tried.contains(index));
            tried.insert(index);
            assert!(tried.contains(index));
        }
        assert!([1, 62, 65, 999].iter().all(|index| !tried.contains(*index)));
    }
}

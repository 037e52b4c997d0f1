//! The less busy one of two that chance picks: nearly as even as looking at all, and many workers do not all run to the same one.

use super::Candidate;

/// The next one among `candidates`, which chance picks by weight; `chance` gives a number below its argument.
/// None when there are no candidates.
pub fn next(candidates: &[Candidate], mut chance: impl FnMut(u64) -> u64) -> Option<usize> {
    let total: u64 = candidates.iter().map(weight).sum();
    let first = pick(candidates.iter(), chance(total.max(1)))?;
    let rest = total - weight(first);
    if rest == 0 {
        return Some(first.index);
    }
    let others = candidates.iter().filter(|other| other.index != first.index);
    let second = pick(others, chance(rest))?;
    Some(if second.is_freer_than(first) {
        second.index
    } else {
        first.index
    })
}

fn pick<'a>(
    mut candidates: impl Iterator<Item = &'a Candidate>,
    mut point: u64,
) -> Option<&'a Candidate> {
    candidates.find(|candidate| {
        let weight = weight(candidate);
        let is_here = point < weight;
        point = point.saturating_sub(weight);
        is_here
    })
}

fn weight(candidate: &Candidate) -> u64 {
    u64::from(candidate.weight)
}

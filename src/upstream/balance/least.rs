//! The one with the fewest exchanges under way, for its weight; those that are equal in that, in turn.

use super::{Candidate, smooth};

/// The next one among `candidates`; `credits` as for [`smooth::next`]. None when there are no candidates.
pub fn next(candidates: &[Candidate], credits: &mut [i64]) -> Option<usize> {
    let mut freest = candidates.first()?;
    for candidate in candidates {
        if candidate.is_freer_than(freest) {
            freest = candidate;
        }
    }
    let equal = |candidate: &&Candidate| !freest.is_freer_than(candidate);
    smooth::among(candidates.iter().filter(equal), credits)
}

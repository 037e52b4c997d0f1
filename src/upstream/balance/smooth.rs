//! In turn, by weight, and without bursts at the heavier ones: nginx's smooth weighted round robin.

use super::Candidate;

/// The next one among `candidates`. `credits` has a place for every index, is kept from call to call and begins as zeros.
/// None when there are no candidates.
pub fn next(candidates: &[Candidate], credits: &mut [i64]) -> Option<usize> {
    among(candidates.iter(), credits)
}

/// The same for candidates that are not in one place.
pub(super) fn among<'a>(
    candidates: impl Iterator<Item = &'a Candidate>,
    credits: &mut [i64],
) -> Option<usize> {
    let mut total = 0;
    let mut best: Option<(usize, i64)> = None;
    for candidate in candidates {
        let credit = credits.get_mut(candidate.index)?;
        let weight = i64::from(candidate.weight);
        *credit += weight;
        total += weight;
        if best.is_none_or(|(_, most)| *credit > most) {
            best = Some((candidate.index, *credit));
        }
    }
    let (index, _) = best?;
    credits[index] -= total;
    Some(index)
}

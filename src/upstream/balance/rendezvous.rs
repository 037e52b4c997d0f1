//! Consistent hashing: each key its own target, by weighted rendezvous. When a target comes or goes, or its weight changes, only
//! keys that it gets or had move. The same everywhere and always, so that replicas agree.

use super::Candidate;

/// The one among `candidates` that `key` belongs to. None when there are no candidates.
#[must_use]
pub fn choose(candidates: &[Candidate], key: u64) -> Option<usize> {
    let mut best: Option<(f64, &Candidate)> = None;
    for candidate in candidates {
        let score = score(candidate, key);
        let is_better = |(most, holder): (f64, &Candidate)| {
            score > most || (score == most && candidate.key < holder.key)
        };
        if best.is_none_or(is_better) {
            best = Some((score, candidate));
        }
    }
    best.map(|(_, candidate)| candidate.index)
}

/// The key of octets, in pieces or whole.
#[must_use]
pub fn key<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> u64 {
    const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    let mut state = BASIS;
    for piece in pieces {
        for octet in piece {
            state = (state ^ u64::from(*octet)).wrapping_mul(PRIME);
        }
    }
    mix(state)
}

/// Grows with the weight; the highest of many with the same weight is anybody's. -weight / ln(u) for a u in (0, 1).
fn score(candidate: &Candidate, key: u64) -> f64 {
    const STEPS: f64 = (1_u64 << 53) as f64;
    let hash = mix(key ^ mix(candidate.key)) >> 11;
    let share = (hash as f64 + 0.5) / STEPS;
    -f64::from(candidate.weight) / share.ln()
}

/// The finalizer of SplitMix64: every bit of the input moves every bit of the output.
fn mix(state: u64) -> u64 {
    let state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

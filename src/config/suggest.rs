//! "Did you mean": the word of a list that a misspelt one is closest to.

/// The nearest candidate within a third of the word's length, at least one edit; case and `-` for `_` count as nothing.
#[must_use]
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let folded = fold(word);
    let allowed = (folded.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| {
            let distance = strsim::damerau_levenshtein(&folded, &fold(candidate));
            (distance, candidate)
        })
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Lower-case with underscores, so that `stripPrefix`, `strip-prefix` and `strip_prefix` are one word.
pub(super) fn fold(word: &str) -> String {
    let mut folded = String::with_capacity(word.len() + 2);
    let mut after_lower = false;
    for c in word.chars() {
        if c == '-' {
            folded.push('_');
        } else {
            if c.is_ascii_uppercase() && after_lower {
                folded.push('_');
            }
            folded.push(c.to_ascii_lowercase());
        }
        after_lower = c.is_ascii_lowercase();
    }
    folded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspelt_words_find_their_neighbour() {
        let keys = ["strip_prefix", "redirect", "to", "tls", "tcp"];
        let near = |word| nearest(word, keys);
        assert_eq!(near("strip_prefx"), Some("strip_prefix"));
        assert_eq!(near("stripPrefix"), Some("strip_prefix"));
        assert_eq!(near("strip-prefix"), Some("strip_prefix"));
        assert_eq!(near("TLS"), Some("tls"));
        assert_eq!(near("tsl"), Some("tls"));
        assert_eq!(near("ot"), Some("to"));
        assert_eq!(near("banana"), None);
    }
}

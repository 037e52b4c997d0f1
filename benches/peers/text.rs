//! Text as websites send it: markup around words of which few are frequent and many are rare.

use std::fmt::Write as _;

const SEED: u64 = 11;
const WORDS: usize = 4000;
const SYLLABLES: [&str; 24] = [
    "ta", "re", "mi", "so", "lan", "ver", "ing", "tion", "be", "co", "un", "der", "ment", "ly",
    "pro", "es", "al", "is", "na", "qu", "or", "hy", "ze", "st",
];

/// A page of this many octets, the same each time.
pub(crate) fn page(octets: usize) -> String {
    let mut random = fastrand::Rng::with_seed(SEED);
    let words: Vec<String> = (0..WORDS).map(|_word| word(&mut random)).collect();
    let mut page = String::from("<!doctype html>\n<main>\n");
    let mut number = 0;
    while page.len() < octets {
        number += 1;
        let link = random.u32(..);
        // Writing into a string cannot fail.
        let _written = write!(
            page,
            "<article id=\"a{number}\"><a class=\"link\" href=\"/read/{link:x}\">"
        );
        for _word in 0..random.usize(20..60) {
            // Word number n is as frequent as 1/n, as in languages.
            let rank = (WORDS as f64).powf(random.f64()) as usize;
            page.push_str(&words[rank.min(WORDS - 1)]);
            page.push(' ');
        }
        page.push_str("</a></article>\n");
    }
    page.truncate(octets);
    page
}

fn word(random: &mut fastrand::Rng) -> String {
    let syllables = random.usize(1..5);
    (0..syllables)
        .map(|_syllable| SYLLABLES[random.usize(..SYLLABLES.len())])
        .collect()
}

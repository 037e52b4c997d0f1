//! Says whose files a tree holds: each reader takes what is its tool's, and what is left may still be plain pairs.

use std::time::SystemTime;

use crate::certs::import::findings::Findings;
use crate::certs::import::plain;
use crate::certs::import::survey::Survey;
use crate::certs::import::tree::Tree;

/// From the most to the least peculiar layout; one that another builds on comes after it.
const READERS: &[fn(&mut Survey<'_>)] = &[plain::read];

/// Recognises what a tree holds. Whatever is in it, there is an answer.
#[must_use]
pub fn recognise(tree: &Tree, now: SystemTime) -> Findings {
    let mut survey = Survey::new(tree, now);
    for read in READERS {
        read(&mut survey);
    }
    survey.finish()
}

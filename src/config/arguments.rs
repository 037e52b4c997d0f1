//! `HOST=TARGET …`: sites named on the command line.

use super::document::Origin;
use super::problem::{At, Problem};
use super::problems::Problems;

/// What the command line is called among the sources.
pub(super) const ARGUMENTS_NAME: &str = "<arguments>";

/// A host and a target, each with its place.
#[derive(Debug)]
pub(super) struct Argument<'a> {
    pub(super) host: (&'a str, At),
    pub(super) target: (&'a str, At),
}

/// Splits each line at its first `=`.
pub(super) fn split<'a>(origin: &Origin<'a>, problems: &mut Problems) -> Vec<Argument<'a>> {
    let mut offset = 0;
    let mut found = Vec::new();
    for line in origin.text.split('\n') {
        let start = offset;
        let end = start + line.len();
        offset = end + 1;
        let Some((host, target)) = line.split_once('=') else {
            problems.push(
                Problem::error("bad-argument", format!("`{line}` is not HOST=TARGET"))
                    .at(origin.at(start..end), "`=` is missing")
                    .help("for example app.localhost=3000"),
            );
            continue;
        };
        let host_at = origin.at(start..start + host.len());
        let target_at = origin.at(start + host.len() + 1..end);
        found.push(Argument {
            host: (host, host_at),
            target: (target, target_at),
        });
    }
    found
}

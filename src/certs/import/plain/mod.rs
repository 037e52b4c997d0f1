//! Certificates and keys that no tool signed for: pairs of PEM files whatever they are called, and files that hold both.

mod shelf;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::certs::import::certificate::Draft;
use crate::certs::import::findings::Tool;
use crate::certs::import::sections::Sections;
use crate::certs::import::survey::Survey;
use shelf::Shelf;

/// Files without an ending that tools keep certificates, keys and addresses in.
pub(super) fn is_bare_name(name: &str) -> bool {
    BARE_NAMES.contains(&name)
}

const BARE_NAMES: &[&str] = &[
    "cert",
    "chain",
    "deactivated",
    "fullchain",
    "key",
    "privkey",
    "url",
];

/// What may be beside a file that people name alone: the key of a certificate, the certificate of a key, the issuer of a leaf.
pub(super) fn partners(name: &str, text: &[u8]) -> Vec<String> {
    let sections = Sections::of(text);
    let stem = stem(name);
    let (own, usual): (&[&str], &[&str]) =
        match (sections.certificates.is_empty(), sections.key.is_empty()) {
            (true, true) | (false, false) => return Vec::new(),
            (false, true) => (
                &[".key", "-key.pem", "_key.pem", ".key.pem", ".issuer.crt"],
                &[
                    "privkey.pem",
                    "key.pem",
                    "tls.key",
                    "privkey",
                    "chain.pem",
                    "ca.cer",
                    "chain",
                ],
            ),
            (true, false) => (
                &[".crt", ".pem", ".cer", ".cert", "-cert.pem"],
                &[
                    "fullchain.pem",
                    "fullchain.cer",
                    "tls.crt",
                    "fullchain",
                    "cert.pem",
                ],
            ),
        };
    let own = own.iter().map(|ending| format!("{stem}{ending}"));
    let usual = usual.iter().map(|usual| (*usual).to_owned());
    own.chain(usual).filter(|other| other != name).collect()
}

/// What a pair's two names have in common.
fn stem(name: &str) -> &str {
    let stem = ENDINGS.iter().find_map(|ending| name.strip_suffix(ending));
    stem.unwrap_or(name)
}

const ENDINGS: &[&str] = &[
    "-key.pem",
    "_key.pem",
    ".key.pem",
    "-cert.pem",
    "_cert.pem",
    ".crt.pem",
    ".fullchain.pem",
    ".issuer.crt",
    ".pem",
    ".crt",
    ".cer",
    ".cert",
    ".key",
    ".bundle",
];

/// Reads every pair in what is left of the tree.
pub(super) fn read(survey: &mut Survey<'_>) {
    let shelf = Shelf::of(survey);
    let mut found: BTreeMap<&[u8], (usize, Draft)> = BTreeMap::new();
    for piece in &shelf.pieces {
        let Some((length, draft)) = shelf.draft(survey, piece) else {
            continue;
        };
        let leaf = piece.certificates.first();
        let key = leaf.map_or_else(|| piece.path.as_bytes(), AsRef::as_ref);
        let is_longer = |(other, _): &(usize, Draft)| *other < length;
        if found.get(key).is_none_or(is_longer) {
            found.insert(key, (length, draft));
        }
    }
    let mut found: Vec<Draft> = found.into_values().map(|(_, draft)| draft).collect();
    found.sort_by(|one, other| one.place.cmp(&other.place));
    for draft in found {
        survey.recognised(Tool::Plain);
        survey.add(draft);
    }
}

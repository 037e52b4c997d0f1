//! Certificates and keys that no tool signed for: pairs of PEM files whatever they are called, and files that hold both.

use std::collections::BTreeMap;

use rustls_pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;

use crate::certs::facts::Facts;
use crate::certs::import::certificate::{Draft, Part, is_self_signed, public_key};
use crate::certs::import::findings::Tool;
use crate::certs::import::sections::Sections;
use crate::certs::import::survey::Survey;
use crate::certs::import::tree::{Content, split};
use crate::certs::pem::Contents;

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
        let Some(leaf) = piece.certificates.first() else {
            continue;
        };
        let Some((length, draft)) = shelf.draft(survey, piece, leaf) else {
            continue;
        };
        let is_longer = |(other, _): &(usize, Draft)| *other < length;
        if found.get(leaf.as_ref()).is_none_or(is_longer) {
            found.insert(leaf, (length, draft));
        }
    }
    let mut found: Vec<Draft> = found.into_values().map(|(_, draft)| draft).collect();
    found.sort_by(|one, other| one.place.cmp(&other.place));
    for draft in found {
        survey.recognised(Tool::Plain);
        survey.add(draft);
    }
}

/// Everything that may be half of a pair.
struct Shelf<'a> {
    pieces: Vec<Piece<'a>>,
    keys: Vec<Opener<'a>>,
}

/// A file with certificates.
struct Piece<'a> {
    path: &'a str,
    sections: Sections,
    certificates: Vec<CertificateDer<'static>>,
}

/// A file with a key.
struct Opener<'a> {
    path: &'a str,
    key: String,
    /// None if the key cannot be read.
    public: Option<Vec<u8>>,
}

impl<'a> Shelf<'a> {
    fn of(survey: &Survey<'a>) -> Self {
        let mut shelf = Self {
            pieces: Vec::new(),
            keys: Vec::new(),
        };
        for (path, content) in survey.files() {
            let Content::Bytes(bytes) = content else {
                continue;
            };
            let sections = Sections::of(bytes);
            if !sections.key.is_empty() {
                shelf.keys.push(Opener {
                    path,
                    public: public_key(&sections),
                    key: sections.key.clone(),
                });
            }
            if !sections.certificates.is_empty() {
                let parsed = Contents::parse(sections.certificates.as_bytes());
                shelf.pieces.push(Piece {
                    path,
                    certificates: parsed.map_or_else(|_| Vec::new(), |all| all.certificates),
                    sections,
                });
            }
        }
        shelf
    }

    /// None if the certificate is of nobody's server. With it, how many certificates its chain has.
    fn draft(
        &self,
        survey: &Survey<'_>,
        piece: &Piece<'_>,
        leaf: &CertificateDer<'static>,
    ) -> Option<(usize, Draft)> {
        let (_rest, parsed) = x509_parser::parse_x509_certificate(leaf).ok()?;
        let key = self.key_of(&parsed, piece.path);
        let is_ours = key.is_some_and(|key| key.public.is_some());
        if !is_ours && (parsed.is_ca() || Facts::of(&parsed).names.is_empty()) {
            return None;
        }
        let mut chain = piece.sections.certificates.clone();
        let mut length = piece.certificates.len();
        if let ([_alone], Some(rest)) = (
            piece.certificates.as_slice(),
            self.issuer_of(&parsed, piece),
        ) {
            chain.push_str(&rest.sections.certificates);
            length += rest.certificates.len();
        }
        let key = key.map_or(Part::Absent, |key| Part::Text(key.key.clone().into_bytes()));
        let draft = Draft {
            tool: Tool::Plain,
            place: survey.tree.place(piece.path),
            chain: Part::Text(chain.into_bytes()),
            key,
            said: Vec::new(),
            directory: None,
            account: None,
        };
        Some((length, draft))
    }

    /// The key that fits, wherever it lies; else the one that is named as if it did.
    fn key_of(&self, leaf: &X509Certificate<'_>, path: &str) -> Option<&Opener<'a>> {
        let public = leaf.public_key().raw;
        let (folder, name) = split(path);
        let fits = |key: &&Opener<'_>| key.public.as_deref() == Some(public);
        let is_beside = |key: &&Opener<'_>| split(key.path).0 == folder;
        let mut fitting = self.keys.iter().filter(fits);
        fitting
            .clone()
            .find(is_beside)
            .or_else(|| fitting.next())
            .or_else(|| {
                let mut beside = self.keys.iter().filter(is_beside);
                beside.find(|key| stem(split(key.path).1) == stem(name) || key.path == path)
            })
    }

    /// What leads from a leaf towards a root, in the same folder. A root itself is of no use to clients.
    fn issuer_of(&self, leaf: &X509Certificate<'_>, piece: &Piece<'_>) -> Option<&Piece<'a>> {
        let folder = split(piece.path).0;
        let issued = |other: &&Piece<'_>| {
            let first = other.certificates.first().map(AsRef::as_ref);
            let parsed = first.and_then(|first| x509_parser::parse_x509_certificate(first).ok());
            parsed.is_some_and(|(_rest, issuer)| {
                issuer.is_ca()
                    && !is_self_signed(&issuer)
                    && issuer.subject().as_raw() == leaf.issuer().as_raw()
            })
        };
        let mut beside = self
            .pieces
            .iter()
            .filter(|other| split(other.path).0 == folder);
        beside.find(issued)
    }
}

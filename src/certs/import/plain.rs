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

/// Everything that may be half of a pair.
struct Shelf<'a> {
    pieces: Vec<Piece<'a>>,
    keys: Vec<Opener<'a>>,
}

/// A file with certificates.
struct Piece<'a> {
    path: &'a str,
    sections: Sections,
    /// None where the text is damaged.
    certificates: Vec<CertificateDer<'static>>,
    /// Whose certificates its first one signs; a root is of no use to clients.
    signs_for: Option<Vec<u8>>,
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
                shelf.pieces.push(Piece::of(path, sections));
            }
        }
        shelf
    }

    /// None if the certificate is of nobody's server. With it, how many certificates its chain has.
    fn draft(&self, survey: &Survey<'_>, piece: &Piece<'_>) -> Option<(usize, Draft)> {
        let parsed = piece.parsed();
        let key = self.key_of(&parsed, piece.path);
        if let Some(leaf) = parsed.first()
            && Facts::of(leaf).names.is_empty()
            && (leaf.is_ca() || !key.as_ref().is_some_and(Fit::is_certain))
            && !matches!(key, Some(Fit::Later(_)))
        {
            return None;
        }
        if key.is_none() && parsed.first().is_some_and(|leaf| leaf.is_ca()) {
            return None;
        }
        let mut chain = piece.sections.certificates.clone();
        let mut length = piece.certificates.len();
        if let [leaf] = &parsed[..]
            && let Some(rest) = self.issuer_of(leaf, piece)
        {
            chain.push_str(&rest.sections.certificates);
            length += rest.certificates.len();
        }
        let key = key.map(|key| key.opener().key.clone().into_bytes());
        let draft = Draft {
            tool: Tool::Plain,
            place: survey.tree.place(piece.path),
            chain: Part::Text(chain.into_bytes()),
            key: key.map_or(Part::Absent, Part::Text),
            said: Vec::new(),
            directory: None,
            account: None,
        };
        Some((length, draft))
    }

    /// The key that fits, wherever it lies; else the one that is named as if it did.
    fn key_of(&self, chain: &[X509Certificate<'_>], path: &str) -> Option<Fit<'_>> {
        let (folder, name) = split(path);
        let is_beside = |key: &&Opener<'_>| split(key.path).0 == folder;
        let of = |certificate: &X509Certificate<'_>| {
            let public = certificate.public_key().raw;
            let fitting = || {
                let keys = self.keys.iter();
                keys.filter(|key| key.public.as_deref() == Some(public))
            };
            fitting().find(is_beside).or_else(|| fitting().next())
        };
        if let Some(key) = chain.first().and_then(of) {
            return Some(Fit::Leaf(key));
        }
        if let Some(key) = chain.iter().find_map(of) {
            return Some(Fit::Later(key));
        }
        let is_namesake =
            |key: &&Opener<'_>| key.path == path || stem(split(key.path).1) == stem(name);
        let mut beside = self.keys.iter().filter(is_beside);
        beside.find(is_namesake).map(Fit::Name)
    }

    /// What leads from a leaf towards a root, in the same folder.
    fn issuer_of(&self, leaf: &X509Certificate<'_>, piece: &Piece<'_>) -> Option<&Piece<'a>> {
        let issuer = leaf.issuer().as_raw();
        let folder = split(piece.path).0;
        self.pieces.iter().find(|other| {
            other.signs_for.as_deref() == Some(issuer) && split(other.path).0 == folder
        })
    }
}

/// How a key is known to be that of a chain.
enum Fit<'a> {
    Leaf(&'a Opener<'a>),
    /// It is of a certificate that is not the first.
    Later(&'a Opener<'a>),
    /// By its name alone.
    Name(&'a Opener<'a>),
}

impl<'a> Fit<'a> {
    fn is_certain(&self) -> bool {
        match self {
            Self::Leaf(_) | Self::Later(_) => true,
            Self::Name(_) => false,
        }
    }

    fn opener(&self) -> &'a Opener<'a> {
        match self {
            Self::Leaf(key) | Self::Later(key) | Self::Name(key) => key,
        }
    }
}

impl<'a> Piece<'a> {
    fn of(path: &'a str, sections: Sections) -> Self {
        let parsed = Contents::parse(sections.certificates.as_bytes());
        let mut piece = Self {
            path,
            certificates: parsed.map_or_else(|_damaged| Vec::new(), |all| all.certificates),
            sections,
            signs_for: None,
        };
        let signs_for = piece.parsed().first().and_then(|first| {
            let is_intermediate = first.is_ca() && !is_self_signed(first);
            is_intermediate.then(|| first.subject().as_raw().to_vec())
        });
        piece.signs_for = signs_for;
        piece
    }

    /// Those that can be parsed, up to the first that cannot.
    fn parsed(&self) -> Vec<X509Certificate<'_>> {
        let parsed = self
            .certificates
            .iter()
            .map_while(|der| x509_parser::parse_x509_certificate(der).ok());
        parsed.map(|(_rest, certificate)| certificate).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certs::import::fault::{Fault, Warning};
    use crate::certs::import::fixture::{Ca, found, pem, sound, survives_damage};

    #[test]
    fn pairs_are_found_by_their_keys_whatever_they_are_called() {
        let ca = Ca::new();
        let (one, two) = (ca.pair(&["a.test"]), ca.pair(&["b.test", "*.b.test"]));
        let findings = found(&[
            ("certs/one.crt", &one.chain),
            ("private/shop.key", &one.key),
            ("both.pem", &format!("{}{}", two.key, two.chain)),
            ("root.pem", &ca.root),
        ]);
        assert_eq!(findings.tools, [Tool::Plain]);
        let [both, crt] = &findings.certificates[..] else {
            panic!("{findings:#?}");
        };
        assert_eq!((&both.fault, &crt.fault), (&None, &None));
        assert_eq!(both.names, ["b.test", "*.b.test"]);
        assert_eq!((&both.chain, &both.key.0), (&two.chain, &two.key));
        assert_eq!(crt.place, "/base/certs/one.crt");
        assert_eq!((&crt.chain, &crt.key.0), (&one.chain, &one.key));
    }

    #[test]
    fn a_leaf_is_joined_with_its_issuer_and_told_once() {
        let ca = Ca::new();
        let pair = ca.pair(&["a.test"]);
        let findings = found(&[
            ("cert.pem", &pair.leaf),
            ("chain.pem", &ca.intermediate),
            ("privkey.pem", &pair.key),
        ]);
        assert_eq!(sound(&findings).chain, pair.chain);
        let findings = found(&[
            ("cert.pem", &pair.leaf),
            ("fullchain.pem", &pair.chain),
            ("privkey.pem", &pair.key),
        ]);
        assert_eq!(sound(&findings).place, "/base/fullchain.pem");
    }

    #[track_caller]
    fn check(files: &[(&str, &str)], fault: Option<Fault>, warnings: &[Warning]) {
        let findings = found(files);
        let [certificate] = &findings.certificates[..] else {
            panic!("{findings:#?}");
        };
        assert_eq!(
            (&certificate.fault, &certificate.warnings[..]),
            (&fault, warnings)
        );
    }

    #[test]
    fn what_is_wrong_with_a_pair_is_said_of_it() {
        let ca = Ca::new();
        let (pair, other) = (ca.pair(&["a.test"]), ca.pair(&["a.test"]));
        check(&[("a.crt", &pair.chain)], Some(Fault::NoKey), &[]);
        check(
            &[("a.crt", &pair.chain), ("a.key", &other.key)],
            Some(Fault::KeyMismatch),
            &[],
        );
        check(
            &[("a.crt", &pair.leaf), ("a.key", &pair.key)],
            None,
            &[Warning::NoChain],
        );
        let encrypted = pem("ENCRYPTED PRIVATE KEY", b"secret");
        check(
            &[("a.crt", &pair.chain), ("a.key", &encrypted)],
            Some(Fault::EncryptedKey),
            &[],
        );
        let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
        check(
            &[("a.crt", &pair.chain), ("a.key", old)],
            Some(Fault::EncryptedKey),
            &[],
        );
        let turned = format!("{}{}", ca.intermediate, pair.leaf);
        check(
            &[("a.crt", &turned), ("a.key", &pair.key)],
            Some(Fault::LeafNotFirst(2)),
            &[Warning::ChainBroken(1)],
        );
        let broken = format!("{}{}", pair.leaf, pem("CERTIFICATE", b"nonsense"));
        check(
            &[("a.crt", &broken), ("a.key", &pair.key)],
            Some(Fault::BrokenCertificate(2)),
            &[],
        );
        check(
            &[
                ("a.crt", "-----BEGIN CERTIFICATE-----\n!"),
                ("a.key", &pair.key),
            ],
            Some(Fault::BrokenPem),
            &[],
        );
        check(
            &[
                ("a.crt", &pair.chain),
                ("a.key", &pem("PRIVATE KEY", b"no")),
            ],
            Some(Fault::UnusableKey),
            &[],
        );
        let nameless = ca.pair(&[]);
        check(
            &[("a.crt", &nameless.chain), ("a.key", &nameless.key)],
            Some(Fault::NamesNoHost),
            &[],
        );
    }

    #[test]
    fn authorities_are_nobodys_servers() {
        let ca = Ca::new();
        let findings = found(&[("ca.crt", &ca.root), ("chain.pem", &ca.intermediate)]);
        assert!(findings.certificates.is_empty(), "{findings:#?}");
        assert!(findings.tools.is_empty());
    }

    #[test]
    fn damaged_pairs_are_answered() {
        let pair = Ca::new().pair(&["a.test"]);
        survives_damage(&[("a.crt", &pair.chain), ("a.key", &pair.key)]);
    }

    #[test]
    fn a_file_named_alone_has_partners() {
        let pair = Ca::new().pair(&["a.test"]);
        let partners = |name: &str, text: &str| partners(name, text.as_bytes());
        assert!(partners("a.test.crt", &pair.chain).contains(&"a.test.key".to_owned()));
        assert!(partners("fullchain.pem", &pair.chain).contains(&"privkey.pem".to_owned()));
        assert!(partners("a-key.pem", &pair.key).contains(&"a.pem".to_owned()));
        assert!(partners("both.pem", &format!("{}{}", pair.chain, pair.key)).is_empty());
        assert!(partners("acme.json", "{}").is_empty());
    }
}

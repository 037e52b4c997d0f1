//! Certificates and keys as they lie about, and which of them belong together.

use rustls_pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;

use super::stem;
use crate::certs::facts::Facts;
use crate::certs::import::certificate::{Draft, Part, is_self_signed, public_key};
use crate::certs::import::findings::Tool;
use crate::certs::import::sections::Sections;
use crate::certs::import::survey::Survey;
use crate::certs::import::tree::{Content, split};
use crate::certs::pem::Contents;

/// Everything that may be half of a pair.
pub(super) struct Shelf<'a> {
    pub(super) pieces: Vec<Piece<'a>>,
    keys: Vec<Opener<'a>>,
}

/// A file with certificates.
pub(super) struct Piece<'a> {
    pub(super) path: &'a str,
    sections: Sections,
    /// None where the text is damaged.
    pub(super) certificates: Vec<CertificateDer<'static>>,
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
    pub(super) fn of(survey: &Survey<'a>) -> Self {
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
    pub(super) fn draft(&self, survey: &Survey<'_>, piece: &Piece<'_>) -> Option<(usize, Draft)> {
        let parsed = piece.parsed();
        let key = self.key_of(&parsed, piece.path);
        if parsed
            .first()
            .is_some_and(|first| !is_of_a_server(first, key.as_ref()))
        {
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

/// Certificates of authorities lie about everywhere, and so do those of people.
fn is_of_a_server(first: &X509Certificate<'_>, key: Option<&Fit<'_>>) -> bool {
    let names_hosts = !Facts::of(first).names.is_empty();
    match key {
        Some(Fit::Later(_)) => true,
        Some(Fit::Leaf(_)) => names_hosts || !first.is_ca(),
        Some(Fit::Name(_)) => names_hosts,
        None => names_hosts && !first.is_ca(),
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

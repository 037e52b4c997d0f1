//! A pair of the operator's own: read, judged, and ready to be served.

pub mod fault;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::sign::{CertifiedKey, SigningKey};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::certificate::X509Certificate;

use crate::certs::facts::Facts;
use crate::certs::pem::{Contents, Key};
use crate::certs::stamp::{Files, Stamp};
use crate::hostname::HostPattern;
use fault::{Error, Warning};

/// A certificate with less than this left deserves a word.
pub const EXPIRY_NOTICE: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// A chain whose first certificate fits its key.
#[derive(Debug)]
pub struct Pair {
    pub certified: Arc<CertifiedKey>,
    pub facts: Facts,
    /// The files as they were when they were read.
    pub stamp: Stamp,
}

impl Pair {
    /// Reads and judges a pair; for whom it is, [`Pair::covers`] judges.
    ///
    /// # Errors
    /// Names the file at fault.
    pub fn load(files: &Files, now: SystemTime) -> Result<(Self, Vec<Warning>), Error> {
        let stamp = Stamp::of(files);
        let (chain, key) = read(files)?;
        let key = any_supported_type(&key).map_err(|source| Error::UnusableKey {
            key: files.key.clone(),
            source,
        })?;
        let certificates = parse(files, &chain)?;
        expect_leaf_first(files, &certificates, key.as_ref())?;
        let leaf = certificates
            .first()
            .ok_or_else(|| Error::NoCertificate(files.cert.clone()))?;
        let facts = Facts::of(leaf);
        let warnings = time_warning(files, &facts, now)
            .into_iter()
            .chain(chain_warning(files, &certificates))
            .chain(key_warning(&files.key))
            .collect();
        let pair = Self {
            certified: Arc::new(CertifiedKey::new(chain, key)),
            facts,
            stamp,
        };
        Ok((pair, warnings))
    }

    /// Accepts the pair for these names.
    ///
    /// # Errors
    /// [`Error::NotCovered`] with the first name that a client would refuse it for.
    pub fn covers<'a>(
        &self,
        files: &Files,
        names: impl IntoIterator<Item = &'a HostPattern>,
    ) -> Result<(), Error> {
        match names.into_iter().find(|name| !self.facts.covers(name)) {
            None => Ok(()),
            Some(wanted) => Err(Error::NotCovered {
                cert: files.cert.clone(),
                wanted: wanted.clone(),
                names: self.facts.names.clone(),
            }),
        }
    }
}

/// Whether users beside the owner may read the key, as a warning.
#[must_use]
pub fn key_warning(key: &Path) -> Option<Warning> {
    let mode = fs::metadata(key).ok()?.permissions().mode() & 0o777;
    (mode & 0o044 != 0).then(|| Warning::ReadableKey {
        key: key.to_owned(),
        mode,
    })
}

fn read(files: &Files) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), Error> {
    let mut contents = Contents::read(&files.cert).map_err(Error::File)?;
    if files.key != files.cert {
        contents.key = Contents::read(&files.key).map_err(Error::File)?.key;
    }
    if contents.certificates.is_empty() {
        return Err(Error::NoCertificate(files.cert.clone()));
    }
    match contents.key {
        Key::Plain(key) => Ok((contents.certificates, key)),
        Key::Absent => Err(Error::NoKey(files.key.clone())),
        Key::Encrypted => Err(Error::EncryptedKey(files.key.clone())),
    }
}

fn parse<'a>(
    files: &Files,
    chain: &'a [CertificateDer<'static>],
) -> Result<Vec<X509Certificate<'a>>, Error> {
    let one = |(index, der): (usize, &'a CertificateDer<'static>)| {
        x509_parser::parse_x509_certificate(der)
            .map(|(_rest, certificate)| certificate)
            .map_err(|_unparsable| Error::BrokenCertificate {
                cert: files.cert.clone(),
                number: index + 1,
            })
    };
    chain.iter().enumerate().map(one).collect()
}

fn expect_leaf_first(
    files: &Files,
    certificates: &[X509Certificate<'_>],
    key: &dyn SigningKey,
) -> Result<(), Error> {
    let Some(own) = key.public_key() else {
        return Ok(());
    };
    let position = certificates
        .iter()
        .position(|certificate| certificate.public_key().raw == own.as_ref());
    match position {
        Some(0) => Ok(()),
        Some(index) => Err(Error::LeafNotFirst {
            cert: files.cert.clone(),
            number: index + 1,
        }),
        None => Err(Error::KeyMismatch(files.clone())),
    }
}

fn time_warning(files: &Files, facts: &Facts, now: SystemTime) -> Option<Warning> {
    let cert = files.cert.clone();
    if now < facts.not_before {
        return Some(Warning::NotYetValid {
            cert,
            from: facts.not_before,
        });
    }
    match facts.not_after.duration_since(now) {
        Err(_passed) => Some(Warning::Expired {
            cert,
            since: facts.not_after,
        }),
        Ok(left) if left < EXPIRY_NOTICE => Some(Warning::ExpiresSoon {
            cert,
            at: facts.not_after,
        }),
        Ok(_enough) => None,
    }
}

fn chain_warning(files: &Files, certificates: &[X509Certificate<'_>]) -> Option<Warning> {
    let broken = certificates
        .windows(2)
        .position(|link| link[0].issuer().as_raw() != link[1].subject().as_raw())?;
    Some(Warning::ChainBroken {
        cert: files.cert.clone(),
        number: broken + 1,
    })
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::certs::fixture::{
        Authority, days, make_readable_by_all, noon, replace, shake_hands,
    };
    use crate::certs::pem;

    struct Place {
        _folder: TempDir,
        authority: Authority,
        files: Files,
    }

    fn place() -> Place {
        let folder = tempfile::tempdir().unwrap();
        let files = Files {
            cert: folder.path().join("a.pem"),
            key: folder.path().join("a.key"),
        };
        let authority = Authority::new();
        authority.write_pair(
            &["a.test", "*.b.test"],
            noon()..noon() + days(90),
            &files.cert,
            &files.key,
        );
        Place {
            _folder: folder,
            authority,
            files,
        }
    }

    fn pattern(text: &str) -> HostPattern {
        HostPattern::parse(text).unwrap()
    }

    #[test]
    fn a_good_pair_is_served_and_verified() {
        let place = place();
        let (pair, warnings) = Pair::load(&place.files, noon()).unwrap();
        assert_eq!(warnings, []);
        assert_eq!(pair.facts.names, [pattern("a.test"), pattern("*.b.test")]);
        let shown = shake_hands(
            Arc::clone(&pair.certified),
            &place.authority.der,
            "x.b.test",
            noon(),
        );
        assert_eq!(shown.unwrap(), pair.certified.cert[0]);
    }

    #[test]
    fn keys_of_every_usual_form_are_taken() {
        let place = place();
        let key = rcgen::KeyPair::from_pem(&fs::read_to_string(&place.files.key).unwrap()).unwrap();
        let pkcs8 = key.serialize_der();
        // The SEC1 key is what PKCS#8 wraps: its outer sequence ends the whole.
        let start = (1..pkcs8.len())
            .find(|&at| pkcs8[at] == 0x30 && usize::from(pkcs8[at + 1]) == pkcs8.len() - at - 2)
            .unwrap();
        let sec1 = pem_text("EC PRIVATE KEY", &pkcs8[start..]);
        replace(&place.files.key, &sec1);
        assert!(Pair::load(&place.files, noon()).is_ok());
    }

    fn pem_text(label: &str, der: &[u8]) -> String {
        const ALPHABET: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut text = format!("-----BEGIN {label}-----\n");
        for chunk in der.chunks(3) {
            let mut three = [0; 3];
            three[..chunk.len()].copy_from_slice(chunk);
            let bits = u32::from_be_bytes([0, three[0], three[1], three[2]]);
            for place in 0..4 {
                let six = (bits >> (18 - 6 * place)) & 63;
                text.push(if place <= chunk.len() {
                    char::from(ALPHABET[six as usize])
                } else {
                    '='
                });
            }
        }
        text.push_str(&format!("\n-----END {label}-----\n"));
        text
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let place = place();
        let other = place.authority.leaf(&["a.test"], noon()..noon() + days(90));
        replace(&place.files.key, &other.key_pem);
        let error = Pair::load(&place.files, noon()).unwrap_err();
        assert!(matches!(error, Error::KeyMismatch(_)), "{error}");
        assert!(error.to_string().contains("a.key"), "{error}");
    }

    #[test]
    fn a_chain_in_the_wrong_order_is_told_so() {
        let place = place();
        let leaf = fs::read_to_string(&place.files.cert).unwrap();
        replace(&place.files.cert, &format!("{}{leaf}", place.authority.pem));
        let error = Pair::load(&place.files, noon()).unwrap_err();
        assert!(
            matches!(error, Error::LeafNotFirst { number: 2, .. }),
            "{error}"
        );
        replace(&place.files.cert, &format!("{leaf}{}", place.authority.pem));
        assert_eq!(Pair::load(&place.files, noon()).unwrap().1, []);
    }

    #[test]
    fn a_stranger_in_the_chain_is_a_warning() {
        let place = place();
        let leaf = fs::read_to_string(&place.files.cert).unwrap();
        let stranger = place.authority.leaf(&["c.test"], noon()..noon() + days(90));
        replace(&place.files.cert, &format!("{leaf}{}", stranger.pem));
        let (_, warnings) = Pair::load(&place.files, noon()).unwrap();
        assert!(
            matches!(warnings[..], [Warning::ChainBroken { number: 1, .. }]),
            "{warnings:?}"
        );
    }

    #[test]
    fn a_name_that_the_leaf_lacks_is_refused() {
        let place = place();
        let (pair, _) = Pair::load(&place.files, noon()).unwrap();
        let covers = |text: &str| pair.covers(&place.files, [&pattern(text)]);
        assert!(covers("x.b.test").is_ok());
        assert!(covers("*.b.test").is_ok());
        let error = covers("x.y.b.test").unwrap_err().to_string();
        assert!(
            error.ends_with("is not for `x.y.b.test`: it names a.test, *.b.test"),
            "{error}"
        );
    }

    #[test]
    fn an_expired_pair_is_served_with_a_warning() {
        let place = place();
        let warning = |now: SystemTime| Pair::load(&place.files, now).unwrap().1.pop();
        let after = warning(noon() + days(91));
        assert!(matches!(after, Some(Warning::Expired { .. })), "{after:?}");
        let soon = warning(noon() + days(80));
        assert!(
            matches!(soon, Some(Warning::ExpiresSoon { .. })),
            "{soon:?}"
        );
        let before = warning(noon() - days(1));
        assert!(
            matches!(before, Some(Warning::NotYetValid { .. })),
            "{before:?}"
        );
        assert_eq!(
            soon.unwrap().to_string().rsplit(' ').next(),
            Some("2027-04-15")
        );
    }

    #[test]
    fn a_key_that_others_may_read_is_a_warning() {
        let place = place();
        make_readable_by_all(&place.files.key);
        let (_, warnings) = Pair::load(&place.files, noon()).unwrap();
        assert!(
            matches!(warnings[..], [Warning::ReadableKey { mode: 0o644, .. }]),
            "{warnings:?}"
        );
    }

    #[test]
    fn files_without_their_part_are_named() {
        let place = place();
        let cert = fs::read_to_string(&place.files.cert).unwrap();
        let key = fs::read_to_string(&place.files.key).unwrap();
        let check = |cert: &str, key: &str, expected: fn(&Error) -> bool| {
            replace(&place.files.cert, cert);
            replace(&place.files.key, key);
            let error = Pair::load(&place.files, noon()).unwrap_err();
            assert!(expected(&error), "{error:?}");
        };
        check("", &key, |error| matches!(error, Error::NoCertificate(_)));
        check(&cert, "", |error| matches!(error, Error::NoKey(_)));
        check(
            &cert,
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
            |error| matches!(error, Error::EncryptedKey(_)),
        );
        check(&cert, &pem_text("PRIVATE KEY", b"nonsense"), |error| {
            matches!(error, Error::UnusableKey { .. })
        });
        check(&pem_text("CERTIFICATE", b"nonsense"), &key, |error| {
            matches!(error, Error::BrokenCertificate { number: 1, .. })
        });
        check("-----BEGIN CERTIFICATE-----\nAAAA\n", &key, |error| {
            matches!(error, Error::File(pem::Error::Broken { .. }))
        });
        fs::remove_file(&place.files.cert).unwrap();
        let error = Pair::load(&place.files, noon()).unwrap_err();
        assert!(matches!(error, Error::File(pem::Error::Missing(_))));
    }
}

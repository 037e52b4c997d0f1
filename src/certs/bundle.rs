//! A certificate, its chain, its key and what is known of them, as one object: a crash cannot pair a new key with an old certificate.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use jiff::Timestamp;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::sign::CertifiedKey;
use serde::{Deserialize, Serialize};

use crate::certs::facts::Facts;
use crate::certs::pem::{Contents, Key};
use crate::certs::schedule::Validity;
use crate::hostname::HostPattern;

/// The highest number of a bundle: as many digits as keys have for it, or they would not sort as bundles do. Two renewals a day would
/// need a hundred thousand years for it.
pub const GENERATION_MAX: u64 = 99_999_999;

/// What is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bundle {
    /// Grows with every renewal, up to [`GENERATION_MAX`].
    pub generation: u64,
    /// The leaf's own, as its dates are, whatever is stored beside it.
    pub names: Vec<String>,
    /// The leaf first.
    pub chain: String,
    pub key: Secret,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
    /// The directory that it was ordered from.
    pub directory: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    pub stored_at: Timestamp,
    /// The tool that it was ordered by, and where it lay, for people; none: by us.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imported_from: Option<String>,
    /// The host that ordered it, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ordered_by: Option<String>,
}

/// A text that is shown to nobody.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(pub String);

/// A bundle that was judged good, ready for handshakes.
#[derive(Debug, Clone)]
pub struct Ready {
    pub bundle: Arc<Bundle>,
    pub certified: Arc<CertifiedKey>,
    pub facts: Facts,
}

/// Why a bundle cannot be served.
#[derive(Debug)]
pub enum Unservable {
    /// Not the JSON that is written here.
    Unreadable(serde_json::Error),
    BrokenPem(rustls_pki_types::pem::Error),
    NoCertificate,
    NoKey,
    UnusableKey(rustls::Error),
    BrokenCertificate,
    KeyMismatch,
    /// Above [`GENERATION_MAX`].
    Generation(u64),
    NotCovered(HostPattern),
}

impl Bundle {
    /// Makes one from what a CA gave; dates and names are the leaf's own.
    ///
    /// # Errors
    /// Whatever would keep it from being served.
    pub fn of(
        chain: String,
        key: String,
        origin: Origin<'_>,
        now: SystemTime,
    ) -> Result<Ready, Unservable> {
        let (certified, facts) = judge(&chain, &key)?;
        let bundle = Self {
            generation: numbered(origin.generation)?,
            names: names(&facts),
            chain,
            key: Secret(key),
            not_before: at(facts.not_before),
            not_after: at(facts.not_after),
            directory: origin.directory.to_owned(),
            profile: origin.profile.map(str::to_owned),
            stored_at: at(now),
            imported_from: None,
            ordered_by: None,
        };
        Ok(Ready {
            bundle: Arc::new(bundle),
            certified: Arc::new(certified),
            facts,
        })
    }

    /// Reads a stored one; for what it is good is what its certificate says.
    ///
    /// # Errors
    /// When it is damaged, or was never good.
    pub fn read(bytes: &[u8]) -> Result<Ready, Unservable> {
        let bundle: Self = serde_json::from_slice(bytes).map_err(Unservable::Unreadable)?;
        let (certified, facts) = judge(&bundle.chain, &bundle.key.0)?;
        let bundle = Self {
            generation: numbered(bundle.generation)?,
            names: names(&facts),
            not_before: at(facts.not_before),
            not_after: at(facts.not_after),
            ..bundle
        };
        Ok(Ready {
            bundle: Arc::new(bundle),
            certified: Arc::new(certified),
            facts,
        })
    }
}

fn names(facts: &Facts) -> Vec<String> {
    facts.names.iter().map(ToString::to_string).collect()
}

fn at(time: SystemTime) -> Timestamp {
    Timestamp::try_from(time).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn numbered(generation: u64) -> Result<u64, Unservable> {
    if generation > GENERATION_MAX {
        return Err(Unservable::Generation(generation));
    }
    Ok(generation)
}

/// Where a bundle comes from.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    pub generation: u64,
    pub directory: &'a str,
    pub profile: Option<&'a str>,
}

impl Ready {
    /// The leaf's DER; empty only if there were none, which is refused before.
    #[must_use]
    pub fn leaf(&self) -> &[u8] {
        self.certified.cert.first().map_or(&[], |leaf| leaf)
    }

    /// The same for handshakes alone: the texts of chain and key are most of its memory.
    #[must_use]
    pub fn without_texts(&self) -> Self {
        let bundle = Bundle {
            chain: String::new(),
            key: Secret(String::new()),
            ..(*self.bundle).clone()
        };
        Self {
            bundle: Arc::new(bundle),
            ..self.clone()
        }
    }

    /// The same as another tool's work.
    #[must_use]
    pub fn imported_from(mut self, place: &str) -> Self {
        let bundle = Arc::make_mut(&mut self.bundle);
        bundle.imported_from = Some(place.to_owned());
        self
    }

    /// The same, ordered by this host.
    #[must_use]
    pub fn ordered_by(self, host: String) -> Self {
        let bundle = Bundle {
            ordered_by: Some(host),
            ..(*self.bundle).clone()
        };
        Self {
            bundle: Arc::new(bundle),
            ..self
        }
    }

    /// Whether it came after `other`, which may be from before a storage went back to an older state.
    #[must_use]
    pub fn is_newer_than(&self, other: &Self) -> bool {
        let age = |ready: &Self| (ready.bundle.generation, ready.facts.not_before);
        age(self) > age(other)
    }

    #[must_use]
    pub fn validity(&self) -> Validity {
        Validity {
            not_before: self.facts.not_before,
            not_after: self.facts.not_after,
        }
    }

    /// Accepts the bundle for a name.
    ///
    /// # Errors
    /// [`Unservable::NotCovered`].
    pub fn covers(&self, name: &HostPattern) -> Result<(), Unservable> {
        if self.facts.covers(name) {
            Ok(())
        } else {
            Err(Unservable::NotCovered(name.clone()))
        }
    }
}

fn judge(chain: &str, key: &str) -> Result<(CertifiedKey, Facts), Unservable> {
    let chain = Contents::parse(chain.as_bytes()).map_err(Unservable::BrokenPem)?;
    let key = match Contents::parse(key.as_bytes())
        .map_err(Unservable::BrokenPem)?
        .key
    {
        Key::Plain(key) => key,
        Key::Absent | Key::Encrypted => return Err(Unservable::NoKey),
    };
    let key = any_supported_type(&key).map_err(Unservable::UnusableKey)?;
    let leaf = chain
        .certificates
        .first()
        .ok_or(Unservable::NoCertificate)?;
    let (_rest, leaf) = x509_parser::parse_x509_certificate(leaf)
        .map_err(|_unparsable| Unservable::BrokenCertificate)?;
    let facts = Facts::of(&leaf);
    if key
        .public_key()
        .is_some_and(|own| own.as_ref() != leaf.public_key().raw)
    {
        return Err(Unservable::KeyMismatch);
    }
    Ok((CertifiedKey::new(chain.certificates, key), facts))
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl fmt::Display for Unservable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(_) => f.write_str("it is no bundle of ours, or damaged"),
            Self::BrokenPem(_) => f.write_str("its PEM is damaged"),
            Self::NoCertificate => f.write_str("it holds no certificate"),
            Self::NoKey => f.write_str("it holds no key"),
            Self::UnusableKey(_) => f.write_str("its key cannot be used"),
            Self::BrokenCertificate => f.write_str("its certificate is damaged"),
            Self::KeyMismatch => f.write_str("its key is not that of its certificate"),
            Self::Generation(number) => write!(
                f,
                "its number is {number}, and no onedoor counts further than {GENERATION_MAX}"
            ),
            Self::NotCovered(name) => write!(f, "its certificate is not for `{name}`"),
        }
    }
}

impl std::error::Error for Unservable {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unreadable(error) => Some(error),
            Self::BrokenPem(error) => Some(error),
            Self::UnusableKey(error) => Some(error),
            Self::NoCertificate
            | Self::NoKey
            | Self::BrokenCertificate
            | Self::KeyMismatch
            | Self::Generation(_)
            | Self::NotCovered(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certs::fixture::{Authority, days, noon};

    const ORIGIN: Origin<'_> = Origin {
        generation: 3,
        directory: "https://ca.test/dir",
        profile: None,
    };

    fn pem() -> (String, String) {
        let leaf = Authority::new().leaf(&["a.test"], noon()..noon() + days(90));
        (leaf.pem, leaf.key_pem)
    }

    #[test]
    fn what_is_written_is_read_again_and_the_key_is_never_shown() {
        let (chain, key) = pem();
        let ready = Bundle::of(chain, key.clone(), ORIGIN, noon()).unwrap();
        let bytes = serde_json::to_vec(&*ready.bundle).unwrap();
        let again = Bundle::read(&bytes).unwrap();
        assert_eq!(again.bundle, ready.bundle);
        assert_eq!(again.bundle.names, ["a.test"]);
        assert!(!format!("{again:?}").contains(key.lines().nth(1).unwrap()));
        again
            .covers(&HostPattern::parse("a.test").unwrap())
            .unwrap();
        assert!(
            again
                .covers(&HostPattern::parse("b.test").unwrap())
                .is_err()
        );
    }

    #[test]
    fn a_bundle_cut_anywhere_is_refused_and_never_panics() {
        let (chain, key) = pem();
        let bytes =
            serde_json::to_vec(&*Bundle::of(chain, key, ORIGIN, noon()).unwrap().bundle).unwrap();
        for end in (0..bytes.len()).step_by(7) {
            assert!(Bundle::read(&bytes[..end]).is_err(), "{end}");
        }
    }

    #[test]
    fn what_is_written_beside_a_certificate_does_not_say_what_it_is_for() {
        let (chain, key) = pem();
        let ready = Bundle::of(chain, key, ORIGIN, noon()).unwrap();
        let altered = Bundle {
            names: vec!["../../etc/x".to_owned()],
            not_before: Timestamp::MIN,
            not_after: Timestamp::MAX,
            ..(*ready.bundle).clone()
        };
        let again = Bundle::read(&serde_json::to_vec(&altered).unwrap()).unwrap();
        assert_eq!(again.bundle, ready.bundle);
    }

    #[test]
    fn a_number_that_no_key_has_room_for_is_refused() {
        let (chain, key) = pem();
        let numbered = |generation| {
            let origin = Origin {
                generation,
                ..ORIGIN
            };
            Bundle::of(chain.clone(), key.clone(), origin, noon())
        };
        let last = numbered(GENERATION_MAX).unwrap();
        for generation in [GENERATION_MAX + 1, u64::MAX] {
            let refused = numbered(generation).unwrap_err();
            assert!(refused.to_string().contains(&generation.to_string()));
            let altered = Bundle {
                generation,
                ..(*last.bundle).clone()
            };
            let read = Bundle::read(&serde_json::to_vec(&altered).unwrap());
            assert!(matches!(read, Err(Unservable::Generation(it)) if it == generation));
        }
    }

    #[test]
    fn a_foreign_key_is_refused() {
        let ((chain, _), (_, key)) = (pem(), pem());
        let refused = Bundle::of(chain.clone(), key, ORIGIN, noon());
        assert!(matches!(refused, Err(Unservable::KeyMismatch)));
        assert!(matches!(
            Bundle::of(chain, String::new(), ORIGIN, noon()),
            Err(Unservable::NoKey)
        ));
    }
}

//! Answers to the questions of a CA, ready for the threads that are asked: HTTP-01 (RFC 8555 section 8.3) and TLS-ALPN-01 (RFC 8737).

mod lookout;
mod stored;

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair, SanType};
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::sign::CertifiedKey;
use rustls_pki_types::PrivatePkcs8KeyDer;
use tokio::sync::mpsc;
use tokio::time::Instant;

pub use lookout::Sought;
pub(super) use stored::Shared;

use lookout::Question;
use stored::LASTS;

use crate::hostname::HostName;

/// Answers of one kind that are kept at a time.
pub const ANSWERS_MAX: usize = 10_000;

/// Where HTTP-01 asks (RFC 8555 section 8.3).
pub const HTTP_PATH: &str = "/.well-known/acme-challenge/";

/// The answers of this process. Cheap to hold and, while nothing is asked, to look at.
#[derive(Debug, Clone, Default)]
pub struct Challenges(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    count: AtomicUsize,
    answers: RwLock<Answers>,
    /// To the lookout of a fleet's store.
    questions: OnceLock<mpsc::Sender<Question>>,
    /// When the store was last looked through for what was left there.
    swept: Mutex<Option<Instant>>,
}

#[derive(Debug, Default)]
struct Answers {
    /// Key authorizations by token.
    http: HashMap<Box<str>, Own<Arc<str>>>,
    /// Certificates by the name in the hello.
    alpn: HashMap<HostName, Own<Arc<CertifiedKey>>>,
    /// The same of other hosts, for a while.
    afar_http: HashMap<Box<str>, Arc<str>>,
    afar_alpn: HashMap<HostName, Arc<CertifiedKey>>,
}

/// An answer of this process. It ends by itself, as those in a store do: nobody may be left to take it back.
#[derive(Debug)]
struct Own<T> {
    answer: T,
    until: Instant,
}

impl<T> Own<T> {
    fn new(answer: T) -> Self {
        let until = Instant::now() + LASTS;
        Self { answer, until }
    }

    fn holds(&self, now: Instant) -> bool {
        now < self.until
    }

    fn answer(&self) -> Option<&T> {
        self.holds(Instant::now()).then_some(&self.answer)
    }
}

/// Why an answer is not ready.
#[derive(Debug)]
pub enum NotReady {
    /// [`ANSWERS_MAX`] are.
    TooMany,
    /// No certificate can be made for the name.
    Certificate(rcgen::Error),
    /// Nor signed with.
    Key(rustls::Error),
}

impl Challenges {
    /// Answers HTTP-01 for `token` from now on.
    ///
    /// # Errors
    /// [`NotReady::TooMany`].
    pub fn put_http(&self, token: &str, key_authorization: &str) -> Result<(), NotReady> {
        let now = Instant::now();
        self.change(|answers| {
            answers.http.retain(|_token, own| own.holds(now));
            if answers.http.len() >= ANSWERS_MAX {
                return Err(NotReady::TooMany);
            }
            let answer = Own::new(key_authorization.into());
            answers.http.insert(token.into(), answer);
            Ok(())
        })
    }

    /// Answers TLS-ALPN-01 for `name` from now on. `digest` is that of the key authorization.
    ///
    /// # Errors
    /// [`NotReady`].
    pub fn put_alpn(&self, name: &HostName, digest: &[u8]) -> Result<(), NotReady> {
        let certified = Arc::new(certificate(name, digest)?);
        let now = Instant::now();
        self.change(|answers| {
            answers.alpn.retain(|_name, own| own.holds(now));
            if answers.alpn.len() >= ANSWERS_MAX {
                return Err(NotReady::TooMany);
            }
            answers.alpn.insert(asked_as(name), Own::new(certified));
            Ok(())
        })
    }

    /// Forgets an answer, if it is there.
    pub fn remove_http(&self, token: &str) {
        self.change(|answers| drop(answers.http.remove(token)));
    }

    /// Forgets an answer, if it is there.
    pub fn remove_alpn(&self, name: &HostName) {
        self.change(|answers| drop(answers.alpn.remove(&asked_as(name))));
    }

    /// What is said to whoever asks for `path`, if it is a CA's question that has an answer here.
    #[must_use]
    pub fn http(&self, path: &str) -> Option<Arc<str>> {
        let token = path.strip_prefix(HTTP_PATH)?;
        self.look(|answers| {
            let own = answers.http.get(token).and_then(Own::answer);
            own.or_else(|| answers.afar_http.get(token)).cloned()
        })
    }

    /// What is shown to whoever asks for this name with nothing but `acme-tls/1`.
    #[must_use]
    pub fn alpn(&self, name: &HostName) -> Option<Arc<CertifiedKey>> {
        self.look(|answers| {
            let own = answers.alpn.get(name).and_then(Own::answer);
            own.or_else(|| answers.afar_alpn.get(name)).cloned()
        })
    }

    fn look<T>(&self, find: impl FnOnce(&Answers) -> Option<T>) -> Option<T> {
        if self.0.count.load(Ordering::Acquire) == 0 {
            return None;
        }
        let answers = self
            .0
            .answers
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        find(&answers)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Answers) -> T) -> T {
        let mut answers = self
            .0
            .answers
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let outcome = change(&mut answers);
        let own = answers.http.len() + answers.alpn.len();
        let count = own + answers.afar_http.len() + answers.afar_alpn.len();
        self.0.count.store(count, Ordering::Release);
        outcome
    }
}

/// The name under which a CA asks: an address is asked for by its reverse name (RFC 8738 section 6).
fn asked_as(name: &HostName) -> HostName {
    let Some(address) = name.ip() else {
        return name.clone();
    };
    HostName::parse(&reverse(address)).unwrap_or_else(|_never| name.clone())
}

/// RFC 1034 section 5.2.1, RFC 3596 section 2.5.
fn reverse(address: IpAddr) -> String {
    match address {
        IpAddr::V4(four) => {
            let [a, b, c, d] = four.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(six) => {
            let nibbles = six
                .octets()
                .into_iter()
                .rev()
                .flat_map(|octet| [octet & 15, octet >> 4]);
            let mut text: String = nibbles.map(|nibble| format!("{nibble:x}.")).collect();
            text.push_str("ip6.arpa");
            text
        }
    }
}

/// Self-signed, one name, the digest in a critical extension (RFC 8737 section 3).
fn certificate(name: &HostName, digest: &[u8]) -> Result<CertifiedKey, NotReady> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.subject_alt_names = vec![match name.ip() {
        Some(address) => SanType::IpAddress(address),
        None => SanType::DnsName(name.as_str().try_into().map_err(NotReady::Certificate)?),
    }];
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let key = KeyPair::generate().map_err(NotReady::Certificate)?;
    let certificate = params.self_signed(&key).map_err(NotReady::Certificate)?;
    let key = any_supported_type(&PrivatePkcs8KeyDer::from(key.serialize_der()).into())
        .map_err(NotReady::Key)?;
    Ok(CertifiedKey::new(vec![certificate.into()], key))
}

impl fmt::Display for NotReady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooMany => write!(f, "{ANSWERS_MAX} answers to CAs are kept, and no more"),
            Self::Certificate(_) => f.write_str("no certificate can be made for the CA's question"),
            Self::Key(_) => f.write_str("the key for the CA's question cannot be used"),
        }
    }
}

impl std::error::Error for NotReady {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::TooMany => None,
            Self::Certificate(error) => Some(error),
            Self::Key(error) => Some(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> HostName {
        HostName::parse(text).unwrap()
    }

    #[test]
    fn a_token_is_answered_from_its_path_alone_until_it_is_forgotten() {
        let challenges = Challenges::default();
        assert_eq!(challenges.http("/.well-known/acme-challenge/t"), None);
        challenges.put_http("t", "t.key").unwrap();
        assert_eq!(
            challenges.http("/.well-known/acme-challenge/t").as_deref(),
            Some("t.key")
        );
        for path in [
            "/t",
            "/.well-known/acme-challenge/",
            "/.well-known/acme-challenge/t/",
            "/.well-known/acme-challenge/../t",
        ] {
            assert_eq!(challenges.http(path), None, "{path}");
        }
        challenges.remove_http("t");
        assert_eq!(challenges.http("/.well-known/acme-challenge/t"), None);
    }

    #[test]
    fn a_name_is_shown_a_certificate_with_the_digest() {
        let challenges = Challenges::default();
        challenges.put_alpn(&name("a.test"), &[7; 32]).unwrap();
        let certified = challenges.alpn(&name("a.test")).unwrap();
        let (_, leaf) = x509_parser::parse_x509_certificate(&certified.cert[0]).unwrap();
        assert_eq!(leaf.subject(), leaf.issuer());
        let identifier = leaf
            .extensions()
            .iter()
            .find(|extension| extension.oid.to_id_string() == "1.3.6.1.5.5.7.1.31")
            .unwrap();
        assert!(identifier.critical && identifier.value.ends_with(&[7; 32]));
        challenges.remove_alpn(&name("a.test"));
        assert!(challenges.alpn(&name("a.test")).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_takes_back_ends_by_itself_and_leaves_room() {
        let (challenges, long_ago) = (Challenges::default(), name("a.test"));
        challenges.put_alpn(&long_ago, &[7; 32]).unwrap();
        for number in 0..ANSWERS_MAX {
            challenges.put_http(&number.to_string(), "k").unwrap();
        }
        assert!(challenges.put_http("more", "k").is_err());
        tokio::time::advance(LASTS).await;
        assert!(challenges.alpn(&long_ago).is_none());
        assert_eq!(challenges.http(&format!("{HTTP_PATH}1")), None);
        challenges.put_http("more", "k").unwrap();
        assert!(challenges.http(&format!("{HTTP_PATH}more")).is_some());
    }

    #[test]
    fn an_address_is_asked_for_by_its_reverse_name() {
        let challenges = Challenges::default();
        for (address, asked) in [
            ("192.0.2.7", "7.2.0.192.in-addr.arpa"),
            (
                "2001:db8::1",
                "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
            ),
        ] {
            challenges.put_alpn(&name(address), &[1; 32]).unwrap();
            assert!(challenges.alpn(&name(asked)).is_some(), "{address}");
        }
    }

    #[test]
    fn there_is_a_limit() {
        let challenges = Challenges::default();
        for number in 0..ANSWERS_MAX {
            challenges.put_http(&number.to_string(), "x").unwrap();
        }
        assert!(matches!(
            challenges.put_http("one more", "x"),
            Err(NotReady::TooMany)
        ));
    }
}

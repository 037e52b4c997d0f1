//! The keys in use, and what seals and opens tickets with them.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use rustls::server::ProducesTickets;

use super::keys::{ID_BYTES, KEPT, Keys, TicketKey};

/// What is derived from a key, and from nothing else, belongs to tickets of this form.
const PURPOSE: &[u8] = b"onedoor session tickets 1";
const KEY_BYTES: usize = 32;
const TAG_BYTES: usize = 16;
/// Tickets hold a session and the client's certificates; a longer one is none of ours.
const TICKET_BYTES_MAX: usize = 1 << 16;

/// The keys in use. A clone is a handle to the same.
#[derive(Clone)]
pub struct Ring(Arc<ArcSwap<InUse>>);

struct InUse {
    /// Among the others.
    sealing: Option<usize>,
    keys: Vec<(Name, Prk)>,
}

type Name = [u8; ID_BYTES];

/// Seals and opens the tickets of one policy.
pub struct Ticketer {
    ring: Ring,
    label: Box<str>,
}

impl Ring {
    /// One of `current` seals; those of `former` only open.
    #[must_use]
    pub fn of(current: &Keys, former: &Keys, now: SystemTime) -> Self {
        let in_use = InUse::of(current, former, now);
        Self(Arc::new(ArcSwap::from_pointee(in_use)))
    }

    /// From now on.
    pub fn adopt(&self, current: &Keys, former: &Keys, now: SystemTime) {
        self.0.store(Arc::new(InUse::of(current, former, now)));
    }

    #[must_use]
    pub fn for_policy(&self, label: &str) -> Ticketer {
        Ticketer {
            ring: self.clone(),
            label: label.into(),
        }
    }
}

impl InUse {
    fn of(current: &Keys, former: &Keys, now: SystemTime) -> Self {
        let opening = current.accepted(now).joined(former);
        let extracted = |key: &TicketKey| {
            let salt = Salt::new(HKDF_SHA256, PURPOSE);
            (key.id, salt.extract(&key.secret))
        };
        let sealing = current.sealing(now).map(|key| key.id);
        Self {
            sealing: opening.iter().position(|key| Some(key.id) == sealing),
            keys: opening.iter().map(extracted).collect(),
        }
    }
}

impl Ticketer {
    fn derived(&self, key: &Prk) -> Option<RandomizedNonceKey> {
        let mut octets = [0; KEY_BYTES];
        let label = [self.label.as_bytes()];
        let expanded = key.expand(&label, Length).ok()?;
        expanded.fill(&mut octets).ok()?;
        RandomizedNonceKey::new(&AES_256_GCM_SIV, &octets).ok()
    }
}

/// A ticket is the name of its key, a nonce, and what is sealed.
impl ProducesTickets for Ticketer {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        u32::try_from(KEPT.as_secs()).unwrap_or(u32::MAX)
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let in_use = self.ring.0.load();
        let (name, key) = in_use.keys.get(in_use.sealing?)?;
        let mut sealed = plain.to_vec();
        let key = self.derived(key)?;
        let nonce = key.seal_in_place_append_tag(Aad::from(name), &mut sealed);
        let nonce = nonce.ok()?;
        Some([name, nonce.as_ref().as_slice(), &sealed].concat())
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let shortest = ID_BYTES + NONCE_LEN + TAG_BYTES;
        if !(shortest..=TICKET_BYTES_MAX).contains(&ticket.len()) {
            return None;
        }
        let (name, rest) = ticket.split_first_chunk::<ID_BYTES>()?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>()?;
        let in_use = self.ring.0.load();
        let (name, key) = in_use.keys.iter().find(|(own, _key)| own == name)?;
        let mut opened = sealed.to_vec();
        let key = self.derived(key)?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let plain = key
            .open_in_place(nonce, Aad::from(name), &mut opened)
            .ok()?;
        let length = plain.len();
        opened.truncate(length);
        Some(opened)
    }
}

/// Of what is derived.
struct Length;

impl KeyType for Length {
    fn len(&self) -> usize {
        KEY_BYTES
    }
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ring({} keys)", self.0.load().keys.len())
    }
}

impl fmt::Debug for Ticketer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ticketer({} of {:?})", self.label, self.ring)
    }
}

//! A text under a passphrase: a key by argon2id, and AES-256-GCM over numbered chunks. Each chunk proves its place, whether it is the
//! last, and the head of the file that it belongs to, so what is cut, swapped or put together from two files does not open.

use std::fmt;

use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};

use super::damage::Unreadable;

/// What a chunk has more than its text.
pub(super) const TAG_BYTES: usize = 16;
pub(super) const SALT_BYTES: usize = 16;
const KEY_BYTES: usize = 32;
const CHUNK_BYTES: u32 = 1 << 16;
const KDF: &str = "argon2id";
const CIPHER: &str = "aes-256-gcm";

/// What a file may ask for, so that a hostile one costs no more: 256 MiB, and seconds.
const MEMORY_KIB_MAX: u32 = 256 * 1024;
const PASSES_MAX: u32 = 8;
const LANES_MAX: u32 = 4;
const CHUNK_BYTES_MAX: u32 = 1 << 20;
const CHUNK_BYTES_MIN: u32 = 1 << 8;

/// What trying one passphrase costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    pub memory_kib: u32,
    pub passes: u32,
}

impl Cost {
    /// The second choice of RFC 9106, which a small machine can bear.
    pub const USUAL: Self = Self {
        memory_kib: 64 * 1024,
        passes: 3,
    };
}

/// A secret text. Never empty, and never shown.
#[derive(Clone)]
pub struct Passphrase(Box<[u8]>);

impl Passphrase {
    /// Without the line's end; none if nothing is left.
    #[must_use]
    pub fn of(text: &[u8]) -> Option<Self> {
        let end = text
            .iter()
            .rposition(|octet| !b"\r\n".contains(octet))
            .map(|last| last + 1)?;
        Some(Self(text[..end].into()))
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase")
    }
}

/// With what a backup is put under a passphrase.
#[derive(Debug, Clone)]
pub struct Sealing {
    pub passphrase: Passphrase,
    /// Random, and new for every file: the key is used for no other.
    pub salt: [u8; SALT_BYTES],
    pub cost: Cost,
}

/// How a file was sealed, as its head says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Seal {
    kdf: String,
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    salt: String,
    cipher: String,
    chunk_bytes: u32,
}

/// Why nothing can be sealed: the system's cryptography fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unsealable;

impl Seal {
    pub(super) fn of(sealing: &Sealing) -> Self {
        Self {
            kdf: KDF.to_owned(),
            memory_kib: sealing.cost.memory_kib,
            passes: sealing.cost.passes,
            lanes: 1,
            salt: BASE64_STANDARD.encode(sealing.salt),
            cipher: CIPHER.to_owned(),
            chunk_bytes: CHUNK_BYTES,
        }
    }

    /// Octets of a text of so many once it is sealed.
    pub(super) fn sealed_bytes(&self, text: usize) -> usize {
        text + text.div_ceil(self.chunk_bytes as usize) * TAG_BYTES
    }

    /// Accepts only what may be worked with.
    pub(super) fn check(&self) -> Result<(), Unreadable> {
        if self.kdf != KDF || self.cipher != CIPHER {
            let (kdf, cipher) = (&self.kdf, &self.cipher);
            return Err(Unreadable::Strange(format!(
                "it is sealed by {kdf:?} and {cipher:?}"
            )));
        }
        let costly = |what: String| Err(Unreadable::Costly(what));
        if self.memory_kib > MEMORY_KIB_MAX {
            return costly(format!("{} KiB of memory", self.memory_kib));
        }
        if self.passes > PASSES_MAX || self.lanes > LANES_MAX {
            return costly(format!("{} passes in {} lanes", self.passes, self.lanes));
        }
        if !(CHUNK_BYTES_MIN..=CHUNK_BYTES_MAX).contains(&self.chunk_bytes) {
            return costly(format!("chunks of {} octets", self.chunk_bytes));
        }
        Ok(())
    }

    /// `head` is what the file begins with.
    pub(super) fn seal(
        &self,
        passphrase: &Passphrase,
        head: &[u8],
        text: &[u8],
    ) -> Result<Vec<u8>, Unsealable> {
        let key = self.key(passphrase).map_err(|_strange| Unsealable)?;
        let mut sealed = Vec::with_capacity(self.sealed_bytes(text.len()));
        for (place, chunk) in places(text, self.chunk_bytes as usize) {
            let mut chunk = chunk.to_vec();
            key.seal_in_place_append_tag(place.nonce(), place.proven(head), &mut chunk)
                .map_err(|_unspecified| Unsealable)?;
            sealed.append(&mut chunk);
        }
        Ok(sealed)
    }

    /// The text, or where in `sealed` the first chunk lies that does not open.
    pub(super) fn open(
        &self,
        passphrase: &Passphrase,
        head: &[u8],
        sealed: &[u8],
    ) -> Result<Result<Vec<u8>, (usize, usize)>, Unreadable> {
        self.check()?;
        let key = self.key(passphrase)?;
        let whole = self.chunk_bytes as usize + TAG_BYTES;
        let mut text = Vec::with_capacity(sealed.len());
        for (place, chunk) in places(sealed, whole) {
            let from = place.number * whole;
            let mut chunk = chunk.to_vec();
            let range = (from, from + chunk.len());
            let opened = key.open_in_place(place.nonce(), place.proven(head), &mut chunk);
            match opened {
                Ok(opened) => text.extend_from_slice(opened),
                Err(_unspecified) => return Ok(Err(range)),
            }
        }
        Ok(Ok(text))
    }

    fn key(&self, passphrase: &Passphrase) -> Result<LessSafeKey, Unreadable> {
        let strange = |what: &str| Unreadable::Strange(format!("its seal has {what}"));
        let salt = BASE64_STANDARD
            .decode(&self.salt)
            .ok()
            .filter(|salt| salt.len() == SALT_BYTES)
            .ok_or_else(|| strange("no usable salt"))?;
        let params = Params::new(self.memory_kib, self.passes, self.lanes, Some(KEY_BYTES))
            .map_err(|_bad| strange("costs that argon2id does not know"))?;
        let mut key = [0; KEY_BYTES];
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(&passphrase.0, &salt, &mut key)
            .map_err(|_bad| strange("costs that argon2id does not know"))?;
        let key =
            UnboundKey::new(&AES_256_GCM, &key).map_err(|_unspecified| strange("no usable key"))?;
        Ok(LessSafeKey::new(key))
    }
}

/// Where a chunk stands.
#[derive(Debug, Clone, Copy)]
struct Place {
    number: usize,
    is_last: bool,
}

impl Place {
    /// The key is of this file alone, so the number is enough.
    fn nonce(self) -> Nonce {
        let mut nonce = [0; 12];
        nonce[4..].copy_from_slice(&(self.number as u64).to_be_bytes());
        Nonce::assume_unique_for_key(nonce)
    }

    fn proven(self, head: &[u8]) -> Aad<Vec<u8>> {
        let mut proven = head.to_vec();
        proven.extend((self.number as u64).to_be_bytes());
        proven.push(u8::from(self.is_last));
        Aad::from(proven)
    }
}

fn places(text: &[u8], chunk: usize) -> impl Iterator<Item = (Place, &[u8])> {
    let last = text.len().div_ceil(chunk).saturating_sub(1);
    text.chunks(chunk).enumerate().map(move |(number, chunk)| {
        let is_last = number == last;
        (Place { number, is_last }, chunk)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHEAP: Cost = Cost {
        memory_kib: 64,
        passes: 1,
    };

    fn sealing() -> Sealing {
        Sealing {
            passphrase: Passphrase::of(b"correct horse\n").unwrap(),
            salt: [7; SALT_BYTES],
            cost: CHEAP,
        }
    }

    /// Of chunks that a test can afford.
    fn seal() -> Seal {
        Seal {
            chunk_bytes: CHUNK_BYTES_MIN,
            ..Seal::of(&sealing())
        }
    }

    fn opened(sealed: &[u8], head: &[u8]) -> Result<Vec<u8>, (usize, usize)> {
        let opened = seal().open(&sealing().passphrase, head, sealed);
        opened.unwrap()
    }

    #[test]
    fn what_was_sealed_opens_whatever_its_length() {
        let chunk = CHUNK_BYTES_MIN as usize;
        for length in [1, chunk - 1, chunk, chunk + 1, 3 * chunk] {
            let text = vec![42; length];
            let seal = seal();
            let sealed = seal.seal(&sealing().passphrase, b"head", &text).unwrap();
            assert_eq!(sealed.len(), seal.sealed_bytes(length));
            assert_eq!(opened(&sealed, b"head").unwrap(), text);
            assert!(opened(&sealed, b"held").is_err());
        }
    }

    #[test]
    fn chunks_that_are_swapped_repeated_or_left_away_do_not_open() {
        let text: Vec<u8> = (0..1024_u32).map(|n| (n % 251) as u8).collect();
        let sealed = seal().seal(&sealing().passphrase, b"", &text).unwrap();
        let whole = CHUNK_BYTES_MIN as usize + TAG_BYTES;
        let chunks: Vec<&[u8]> = sealed.chunks(whole).collect();
        for order in [&[0, 1, 2][..], &[1, 0, 2, 3], &[0, 1, 1, 2, 3], &[0, 1, 3]] {
            let mixed: Vec<u8> = order.iter().flat_map(|n| chunks[*n].to_vec()).collect();
            assert!(opened(&mixed, b"").is_err(), "{order:?}");
        }
        assert_eq!(
            opened(&[chunks[0], &[0; 20]].concat(), b""),
            Err((whole, whole + 20))
        );
    }

    #[test]
    fn a_file_cannot_ask_for_more_than_a_little() {
        let (usual, chunk_bytes) = (Cost::USUAL, CHUNK_BYTES_MAX + 1);
        Seal::of(&Sealing {
            cost: usual,
            ..sealing()
        })
        .check()
        .unwrap();
        let greedy = [
            Seal {
                memory_kib: MEMORY_KIB_MAX + 1,
                ..seal()
            },
            Seal {
                passes: PASSES_MAX + 1,
                ..seal()
            },
            Seal {
                lanes: u32::MAX,
                ..seal()
            },
            Seal {
                chunk_bytes,
                ..seal()
            },
            Seal {
                chunk_bytes: 0,
                ..seal()
            },
        ];
        for greedy in greedy {
            let refused = greedy.open(&sealing().passphrase, b"", &[0; 64]);
            assert!(matches!(refused, Err(Unreadable::Costly(_))), "{greedy:?}");
        }
        let none = Seal {
            passes: 0,
            ..seal()
        };
        let refused = none.open(&sealing().passphrase, b"", &[0; 64]);
        assert!(matches!(refused, Err(Unreadable::Strange(_))));
    }

    #[test]
    fn a_passphrase_has_no_line_end_and_is_never_empty() {
        let of = |text: &[u8]| Passphrase::of(text).map(|it| it.0.to_vec());
        assert_eq!(of(b" a b \r\n").unwrap(), b" a b ");
        assert_eq!(of(b"a\nb\n").unwrap(), b"a\nb");
        assert_eq!(of(b"\r\n"), None);
        assert!(!format!("{:?}", sealing()).contains("horse"));
    }
}

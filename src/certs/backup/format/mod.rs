//! A backup as octets: two lines of text that say what it is, a list of the objects with their sums, the objects, and a sum over
//! everything. Under a passphrase the list and the objects are sealed. What is read back is what was written, or an error.

use std::collections::BTreeMap;
use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Contents;
use super::damage::Unreadable;
use super::seal::{Passphrase, Seal, Sealing};
use crate::storage::store::Key;

/// Octets of a backup: it is made and read in memory.
pub const BACKUP_BYTES_MAX: usize = 1 << 30;
/// What every backup begins with, before its version.
const NAME: &str = "onedoor backup ";
const VERSION: &str = "1";
/// Octets of the two lines.
const HEAD_BYTES_MAX: usize = 4096;
const SUM_NAME: &str = "sha256 ";
const SUM_LINE_BYTES: usize = SUM_NAME.len() + 64 + 1;

const IN_THE_CLEAR: &str =
    "holds private keys that anybody can read: keep it as safe as the storage itself";
const UNDER_A_PASSPHRASE: &str = "holds private keys under a passphrase";

/// The second line.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    notice: String,
    made_at: Timestamp,
    written_by: String,
    /// Octets between the head and the sum.
    body_bytes: usize,
    seal: Option<Seal>,
}

/// The first line of what follows.
#[derive(Debug, Serialize, Deserialize)]
struct Listed {
    objects: Vec<Entry>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    key: String,
    bytes: usize,
    sha256: String,
}

/// Why there is no backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unpackable {
    /// More than is read back.
    TooLarge { bytes: usize },
    /// The system's cryptography fails.
    Unsealable,
}

/// The octets of a backup, under a passphrase if one is given.
///
/// # Errors
/// [`Unpackable::TooLarge`], and nothing else on a sane system.
pub fn pack(contents: &Contents, sealing: Option<&Sealing>) -> Result<Vec<u8>, Unpackable> {
    let bytes = contents.objects.values().map(Vec::len).sum();
    if bytes > BACKUP_BYTES_MAX {
        return Err(Unpackable::TooLarge { bytes });
    }
    let text = body(&contents.objects);
    let seal = sealing.map(Seal::of);
    let body_bytes = seal
        .as_ref()
        .map_or(text.len(), |seal| seal.sealed_bytes(text.len()));
    let notice = if seal.is_some() {
        UNDER_A_PASSPHRASE
    } else {
        IN_THE_CLEAR
    };
    let head = Head {
        notice: notice.to_owned(),
        made_at: contents.made_at,
        written_by: concat!("onedoor ", env!("CARGO_PKG_VERSION")).to_owned(),
        body_bytes,
        seal,
    };
    let mut packed = format!("{NAME}{VERSION}\n{}\n", line(&head)).into_bytes();
    let body = match (&head.seal, sealing) {
        (Some(seal), Some(sealing)) => seal
            .seal(&sealing.passphrase, &packed, &text)
            .map_err(|_fault| Unpackable::Unsealable)?,
        (Some(_), None) | (None, _) => text,
    };
    packed.extend(body);
    let sum = format!("{SUM_NAME}{}\n", sum(&packed));
    packed.extend(sum.into_bytes());
    if packed.len() > BACKUP_BYTES_MAX {
        let bytes = packed.len();
        return Err(Unpackable::TooLarge { bytes });
    }
    Ok(packed)
}

/// What [`pack`] packed.
///
/// # Errors
/// What is wrong with the file, and where.
pub fn unpack(file: &[u8], passphrase: Option<&Passphrase>) -> Result<Contents, Unreadable> {
    let frame = Frame::of(file)?;
    let at = frame.head_bytes;
    let text = match (&frame.head.seal, passphrase) {
        (None, Some(_)) if frame.is_whole => return Err(Unreadable::NotSealed),
        (None, _) => None,
        (Some(_), None) if frame.is_whole => return Err(Unreadable::Sealed),
        (Some(_), None) => {
            return Err(altered("something in it", 0, file.len()));
        }
        (Some(seal), Some(passphrase)) => match seal.open(passphrase, &file[..at], frame.body)? {
            Ok(text) => Some(text),
            Err((0, _)) if frame.is_whole => return Err(Unreadable::WrongPassphrase),
            Err((from, to)) => {
                return Err(altered("a part of what is sealed", at + from, at + to));
            }
        },
    };
    let objects = objects(text.as_deref().unwrap_or(frame.body), at)?;
    if !frame.is_whole {
        return Err(altered("its head or its sum", 0, file.len()));
    }
    Ok(Contents {
        made_at: frame.head.made_at,
        objects,
    })
}

fn body(objects: &BTreeMap<Key, Vec<u8>>) -> Vec<u8> {
    let entries = objects.iter().map(|(key, bytes)| Entry {
        key: key.to_string(),
        bytes: bytes.len(),
        sha256: sum(bytes),
    });
    let listed = Listed {
        objects: entries.collect(),
    };
    let mut text = line(&listed).into_bytes();
    text.push(b'\n');
    text.extend(objects.values().flatten());
    text
}

/// A file whose parts are where they should be.
struct Frame<'a> {
    head: Head,
    head_bytes: usize,
    body: &'a [u8],
    /// The sum at the end is that of what is before it.
    is_whole: bool,
}

impl<'a> Frame<'a> {
    fn of(file: &'a [u8]) -> Result<Self, Unreadable> {
        if file.is_empty() {
            return Err(Unreadable::Empty);
        }
        let Some(rest) = file.strip_prefix(NAME.as_bytes()) else {
            if NAME.as_bytes().starts_with(file) {
                return Err(cut(file, NAME.len()));
            }
            return Err(Unreadable::Foreign);
        };
        let (version, rest) = first_line(rest).ok_or_else(|| no_head(file))?;
        if version != VERSION.as_bytes() {
            let version: String = String::from_utf8_lossy(version).chars().take(20).collect();
            return Err(Unreadable::Newer(version));
        }
        let (head, rest) = first_line(rest).ok_or_else(|| no_head(file))?;
        let head_bytes = file.len() - rest.len();
        let head: Head = serde_json::from_slice(head)
            .map_err(|_bad| altered("its second line", 0, head_bytes))?;
        let ends = head_bytes
            .saturating_add(head.body_bytes)
            .saturating_add(SUM_LINE_BYTES);
        if ends > file.len() {
            return Err(cut(file, ends));
        }
        if ends < file.len() {
            let has = file.len();
            return Err(Unreadable::Continued { has, ends });
        }
        let (summed, end) = file.split_at(file.len() - SUM_LINE_BYTES);
        let expected = format!("{SUM_NAME}{}\n", sum(summed));
        Ok(Self {
            head,
            head_bytes,
            body: &summed[head_bytes..],
            is_whole: end == expected.as_bytes(),
        })
    }
}

/// The objects of an unsealed body that begins at this octet of the file.
fn objects(body: &[u8], at: usize) -> Result<BTreeMap<Key, Vec<u8>>, Unreadable> {
    let broken_list = |length: usize| altered("its list of objects", at, at + length);
    let end = body
        .iter()
        .position(|octet| *octet == b'\n')
        .ok_or_else(|| broken_list(body.len()))?;
    let (listed, mut rest) = (&body[..end], &body[end + 1..]);
    let listed: Listed = serde_json::from_slice(listed).map_err(|_bad| broken_list(end))?;
    let mut objects = BTreeMap::new();
    let mut from = at + end + 1;
    for entry in listed.objects {
        let (bytes, after) = rest
            .split_at_checked(entry.bytes)
            .ok_or_else(|| broken_list(end))?;
        if sum(bytes) != entry.sha256 {
            let what = format!("the object `{}`", entry.key.escape_debug());
            return Err(altered(&what, from, from + entry.bytes));
        }
        let key = Key::new(&entry.key).map_err(|bad| Unreadable::Key(entry.key, bad))?;
        if let Some(_twice) = objects.insert(key, bytes.to_vec()) {
            return Err(Unreadable::Strange("an object is in it twice".to_owned()));
        }
        (rest, from) = (after, from + entry.bytes);
    }
    if !rest.is_empty() {
        return Err(broken_list(end));
    }
    Ok(objects)
}

fn first_line(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = text.iter().take(HEAD_BYTES_MAX).position(|o| *o == b'\n')?;
    Some((&text[..end], &text[end + 1..]))
}

fn no_head(file: &[u8]) -> Unreadable {
    if file.len() < HEAD_BYTES_MAX {
        return cut(file, file.len() + 1);
    }
    altered("its head", 0, HEAD_BYTES_MAX)
}

fn cut(file: &[u8], needs: usize) -> Unreadable {
    let has = file.len();
    Unreadable::Cut { has, needs }
}

fn altered(what: &str, from: usize, to: usize) -> Unreadable {
    let what = what.to_owned();
    Unreadable::Altered { what, from, to }
}

fn sum(bytes: &[u8]) -> String {
    let digest = digest(&SHA256, bytes);
    let hex = digest.as_ref().iter().map(|octet| format!("{octet:02x}"));
    hex.collect()
}

fn line(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("texts and numbers under textual keys are always JSON")
}

impl fmt::Display for Unpackable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { bytes } => write!(
                f,
                "the storage has {bytes} octets to back up, and a backup holds {BACKUP_BYTES_MAX}: `onedoor certs prune` removes what no site wants"
            ),
            Self::Unsealable => f.write_str("the system's cryptography does not work"),
        }
    }
}

impl std::error::Error for Unpackable {}

#[cfg(test)]
mod tests;

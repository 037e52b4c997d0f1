//! The ledger as bytes: JSON with a version, bounded when written and when read.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::Ledger;
use super::subject::{SUBJECT_BYTES_MAX, cut};

/// Fields that this version does not know are stepped over; a version above it is refused.
pub(super) const VERSION: u32 = 1;
/// Octets of a stored ledger: what the fastest week that Let's Encrypt takes fills, with the longest of names.
pub const LEDGER_BYTES_MAX: usize = 1 << 24;

#[derive(Debug)]
pub enum Error {
    TooLong {
        bytes: usize,
    },
    /// Not JSON, not a ledger, or of a newer version.
    Damaged(serde_json::Error),
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TooLong { bytes } => write!(
                f,
                "it has {bytes} octets, and {LEDGER_BYTES_MAX} are the most: onedoor did not write it"
            ),
            Self::Damaged(_) => f.write_str("the stored ledger cannot be read"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::TooLong { .. } => None,
            Self::Damaged(cause) => Some(cause),
        }
    }
}

impl Ledger {
    /// Reads what `bytes` wrote. What cannot be read is an error, never an empty ledger, which would permit everything.
    pub fn read(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > LEDGER_BYTES_MAX {
            return Err(Error::TooLong { bytes: bytes.len() });
        }
        let mut ledger: Self = serde_json::from_slice(bytes).map_err(Error::Damaged)?;
        ledger.trim();
        Ok(ledger)
    }

    /// For the store.
    pub fn bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("numbers and texts under textual keys are always JSON")
    }

    fn trim(&mut self) {
        for bucket in self.buckets.values_mut().flat_map(|of| of.values_mut()) {
            bucket.trim();
        }
        for block in self.blocks.values_mut() {
            block.words = cut(&block.words, super::block::WORDS_BYTES_MAX);
        }
        for subjects in self.buckets.values_mut() {
            subjects.retain(|subject, _| subject.len() <= SUBJECT_BYTES_MAX);
        }
        self.bound();
    }
}

pub(super) fn version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let version = u32::deserialize(deserializer)?;
    if version == 0 || version > VERSION {
        return Err(D::Error::custom(format_args!(
            "version {version} is not one that this onedoor knows: a newer one wrote it"
        )));
    }
    Ok(version)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    use super::super::block::{Block, Place, Scope, WORDS_BYTES_MAX};
    use super::super::instant::{DAY, HOUR, millis};
    use super::super::kept::{BLOCKS_MAX, SUBJECTS_MAX};
    use super::super::limits::{Limit, Limits};
    use super::super::order::Purpose;
    use super::*;

    /// 2026-11-22 01:02:03 UTC.
    fn start() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_795_309_323)
    }

    fn production() -> &'static Limits {
        Limits::of("https://acme-v02.api.letsencrypt.org/directory")
    }

    fn names(name: &str) -> BTreeSet<String> {
        BTreeSet::from([name.to_owned()])
    }

    #[test]
    fn a_stored_ledger_is_read_back_and_a_damaged_one_is_an_error() {
        let mut ledger = Ledger::default();
        let site = names("www.example.com");
        ledger
            .admit(production(), &site, Purpose::New, start())
            .unwrap();
        ledger.issued(production(), &site, start());
        ledger.blocked(
            production(),
            &Scope::Orders,
            start() + HOUR,
            "busy",
            start(),
        );
        let bytes = ledger.bytes();
        assert_eq!(Ledger::read(&bytes).unwrap(), ledger);
        let text = String::from_utf8(bytes).unwrap();
        let richer = text.replacen('{', "{\"mood\": [1], ", 1);
        assert_eq!(Ledger::read(richer.as_bytes()).unwrap(), ledger);
        let newer = text.replacen("\"version\":1", "\"version\":2", 1);
        for damaged in ["", "{}", "null", &text[..text.len() / 2], &newer] {
            let error = Ledger::read(damaged.as_bytes()).unwrap_err();
            assert_eq!(error.to_string(), "the stored ledger cannot be read");
        }
        Ledger::read(&vec![b' '; LEDGER_BYTES_MAX + 1]).unwrap_err();
    }

    #[test]
    fn absurd_numbers_in_a_stored_ledger_are_harmless() {
        let most = u64::MAX;
        let text = format!(
            r#"{{"version": 1, "buckets": {{"certificates_per_names": {{"a.example": {{"tat": {most}, "recent": {{"{most}": 4294967295, "0": 0}}}}}}, "later": {{"x": {{"tat": 1}}}}}},
            "blocks": {{"ca": {{"until": {most}}}, "strange": {{"until": {most}, "words": "?"}}}}, "issued": {{"a.example": {most}}}}}"#
        );
        let ledger = Ledger::read(text.as_bytes()).unwrap();
        for at in [UNIX_EPOCH - DAY, UNIX_EPOCH, start()] {
            let mut ledger = ledger.clone();
            let refusal = ledger
                .admit(production(), &names("a.example"), Purpose::New, at)
                .unwrap_err();
            assert!(at < start() || refusal.free_at <= at + DAY * 8);
        }
        assert!(!ledger.report(production(), start()).table().is_empty());
        assert_eq!(Ledger::read(&ledger.bytes()).unwrap(), ledger);
    }

    #[test]
    fn the_fullest_week_of_lets_encrypt_can_be_stored() {
        let limits = production();
        let orders = limits.rate(Limit::NewOrders);
        let week = limits.rate(Limit::CertificatesPerNames).window.as_secs();
        let most = u64::from(orders.capacity) * (1 + week / orders.window.as_secs());
        assert!(usize::try_from(most).unwrap() <= SUBJECTS_MAX);
        let mut ledger = Ledger::default();
        let now = millis(start());
        for number in 0..most {
            let subject = format!("{number:0>SUBJECT_BYTES_MAX$}");
            for limit in [Limit::CertificatesPerDomain, Limit::CertificatesPerNames] {
                let subject = subject.clone();
                let bucket = ledger.bucket(&Place { limit, subject });
                bucket.spend(limits.rate(limit), now);
            }
            ledger.issued.insert(subject, now);
        }
        for number in 0..BLOCKS_MAX {
            let words = "w".repeat(WORDS_BYTES_MAX);
            let block = Block { until: now, words };
            let key = format!("{number:0>SUBJECT_BYTES_MAX$}");
            ledger.blocks.insert(key, block);
        }
        let bytes = ledger.bytes();
        assert!(bytes.len() <= LEDGER_BYTES_MAX, "{}", bytes.len());
        assert_eq!(Ledger::read(&bytes).unwrap(), ledger);
    }
}

//! How content lies in a bucket: after a line with a nonce, so that no two writes are alike, and with a digest, so that what was cut is
//! known. A deleted object is a tombstone: removing it would take what somebody else has just written there with it.

use std::fmt;

use crate::storage::store::Version;

const MAGIC: &str = "onedoor 1 ";
const GONE: &str = "gone";
const NONCE_BYTES: usize = 32;
const DIGEST_BYTES: usize = 64;
/// Octets in front of content.
pub(super) const HEAD_BYTES: usize = MAGIC.len() + NONCE_BYTES + 1 + DIGEST_BYTES + 1;
/// Octets of a tombstone: listings tell it from content by them.
pub(super) const TOMBSTONE_BYTES: usize = MAGIC.len() + NONCE_BYTES + 1 + GONE.len() + 1;

/// What was found under a key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Content {
    Here(Vec<u8>),
    Gone,
    /// Not written by us, or cut, or altered.
    Foreign,
    /// More octets than any of ours has: so many.
    TooLarge(u64),
}

/// Differs between any two writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Nonce(String);

impl Nonce {
    pub(super) fn fresh() -> Self {
        Self(uuid::Uuid::new_v4().simple().to_string())
    }
}

impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Content as it is written, or with none the tombstone.
pub(super) fn enveloped(nonce: &Nonce, content: Option<&[u8]>) -> Vec<u8> {
    let Some(content) = content else {
        return format!("{MAGIC}{nonce} {GONE}\n").into_bytes();
    };
    let mut written = format!("{MAGIC}{nonce} {}\n", Version::of(content).0).into_bytes();
    written.extend_from_slice(content);
    written
}

/// What was written, and its nonce.
pub(super) fn opened(written: &[u8]) -> (Content, Option<Nonce>) {
    let Some((nonce, rest)) = after_nonce(written) else {
        return (Content::Foreign, None);
    };
    let content = match rest.split_at_checked(DIGEST_BYTES + 1) {
        Some((line, content)) if line.ends_with(b"\n") => {
            let whole = Version::of(content).0.as_bytes() == &line[..DIGEST_BYTES];
            if whole {
                Content::Here(content.to_vec())
            } else {
                Content::Foreign
            }
        }
        Some(_) => Content::Foreign,
        None if rest.strip_suffix(b"\n") == Some(GONE.as_bytes()) => Content::Gone,
        None => Content::Foreign,
    };
    (content, Some(nonce))
}

fn after_nonce(written: &[u8]) -> Option<(Nonce, &[u8])> {
    let rest = written.strip_prefix(MAGIC.as_bytes())?;
    let (nonce, rest) = rest.split_at_checked(NONCE_BYTES)?;
    let nonce = std::str::from_utf8(nonce).ok()?;
    Some((Nonce(nonce.to_owned()), rest.strip_prefix(b" ")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_enveloped_is_opened_and_no_two_are_alike() {
        for content in [Some(&b""[..]), Some(b"gone\n"), Some(b"\0\xff"), None] {
            let [one, other] = [(); 2].map(|()| Nonce::fresh());
            let written = enveloped(&one, content);
            assert_ne!(written, enveloped(&other, content));
            let expected = content.map_or(Content::Gone, |content| Content::Here(content.to_vec()));
            assert_eq!(opened(&written), (expected, Some(one)));
            let around = content.map_or(TOMBSTONE_BYTES, |content| HEAD_BYTES + content.len());
            assert_eq!(written.len(), around);
        }
    }

    #[test]
    fn what_was_cut_or_altered_is_foreign() {
        let written = enveloped(&Nonce::fresh(), Some(b"content"));
        for length in 0..written.len() {
            assert_eq!(opened(&written[..length]).0, Content::Foreign, "{length}");
        }
        for at in [
            0,
            MAGIC.len() - 1,
            HEAD_BYTES - 5,
            HEAD_BYTES - 1,
            HEAD_BYTES,
        ] {
            let mut altered = written.clone();
            altered[at] ^= 1;
            assert_eq!(opened(&altered).0, Content::Foreign, "{at}");
        }
        assert_eq!(opened(b"-----BEGIN").0, Content::Foreign);
    }
}

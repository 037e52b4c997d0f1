//! Why a file is no backup that can be used: what was found, and where.

use std::fmt;

use crate::storage::store::BadKey;

/// Whatever it is, nothing of the file is used.
#[derive(Debug)]
pub enum Unreadable {
    Empty,
    /// It does not begin as a backup does.
    Foreign,
    /// Of a version that this onedoor does not know.
    Newer(String),
    /// Shorter than it says of itself.
    Cut {
        has: usize,
        needs: usize,
    },
    /// Longer than it says of itself.
    Continued {
        has: usize,
        ends: usize,
    },
    /// The octets from here to there are not those that were written.
    Altered {
        what: String,
        from: usize,
        to: usize,
    },
    /// Its sums are right, but it says what no onedoor writes.
    Strange(String),
    /// There is an object under a key that there cannot be.
    Key(String, BadKey),
    /// A passphrase is needed.
    Sealed,
    /// One was given, and the file is not under any: it is not what was made with it.
    NotSealed,
    /// The passphrase is another, or somebody who does not know it has changed the file and its sum.
    WrongPassphrase,
    /// Trying a passphrase would cost more memory or time than any onedoor asks for.
    Costly(String),
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("it is empty"),
            Self::Foreign => f.write_str(
                "it is no backup of onedoor: those begin with the words `onedoor backup`",
            ),
            Self::Newer(version) => write!(
                f,
                "it has version {version:?}, which this onedoor does not know: restore it with a newer one"
            ),
            Self::Cut { has, needs } => write!(
                f,
                "it is cut off: it has {has} octets and needs {needs}; copy it again"
            ),
            Self::Continued { has, ends } => write!(
                f,
                "something was put behind its end at octet {ends}: it has {has}; copy it again"
            ),
            Self::Altered { what, from, to } => write!(
                f,
                "it is damaged: {what} (octets {from} to {to}) is not as it was written; take another copy"
            ),
            Self::Strange(what) => write!(f, "no onedoor wrote it: {what}"),
            Self::Key(key, _) => write!(f, "no onedoor wrote it: {key:?} is the name of no object"),
            Self::Sealed => f.write_str(
                "it is under a passphrase: name it with `--passphrase-file` or `--passphrase-env`",
            ),
            Self::NotSealed => f.write_str(
                "it is not under a passphrase, though one was given: so it is not the file that was made with it; without the option it is restored as it is",
            ),
            Self::WrongPassphrase => f.write_str(
                "the passphrase is not the one it was made with; the file itself is whole, unless somebody changed it on purpose",
            ),
            Self::Costly(what) => write!(
                f,
                "it asks for {what} to try a passphrase, which no onedoor does: it was made to do harm"
            ),
        }
    }
}

impl std::error::Error for Unreadable {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Key(_, bad) => Some(bad),
            Self::Empty
            | Self::Foreign
            | Self::Newer(_)
            | Self::Cut { .. }
            | Self::Continued { .. }
            | Self::Altered { .. }
            | Self::Strange(_)
            | Self::Sealed
            | Self::NotSealed
            | Self::WrongPassphrase
            | Self::Costly(_) => None,
        }
    }
}

//! What becomes of an account that was found.

use crate::certs::acme::account_key::KeyType;

/// One account of the findings, by its number there.
#[derive(Debug)]
pub struct PlannedAccount {
    pub number: usize,
    /// How many of the certificates that were found it ordered.
    pub certificates: usize,
    pub fate: AccountFate,
}

/// What becomes of an account.
#[derive(Debug)]
pub enum AccountFate {
    /// To be ours.
    Adopt { url: String, seen: Seen },
    /// Ours.
    Adopted { url: String, seen: Seen },
    /// To get a key of ours.
    TakeOver { url: String },
    /// Ours under a new key; the tool that made it cannot use it any more.
    TakenOver { url: String },
    /// It has been ours before.
    Ours { url: String },
    /// There is another one of ours at that CA.
    OursStays { url: Option<String> },
    /// Another one of that CA ordered more of what was found; its number.
    OtherWins { number: usize },
    /// Its key is none that onedoor orders with, and nobody said that it may be taken over.
    NeedsTakeOver { kind: KeyType },
    /// The CA does not know it.
    Unknown,
    /// The CA will have nothing to do with it, or it cannot be used, in words.
    Unusable(String),
    /// Its CA was not reached, and without that nothing can be done, in words.
    Unreachable(String),
    /// Somebody is just making an account there.
    Busy,
    /// It went wrong, in words.
    Failed(String),
}

/// Whether the CA said that it knows an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    Confirmed,
    /// It could not be asked, in words.
    NotAsked(String),
}

impl AccountFate {
    /// Whether it is still to be done.
    #[must_use]
    pub fn is_due(&self) -> bool {
        matches!(self, Self::Adopt { .. } | Self::TakeOver { .. })
    }

    /// Whether what should have been done was not.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        matches!(self, Self::Busy | Self::Failed(_))
    }
}

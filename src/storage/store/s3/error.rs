//! What goes wrong on the way to a bucket, and how to mend it.

use std::error::Error as _;
use std::fmt;

use object_store::client::HttpError;

use super::place::Place;

/// The store did not do what was asked. A write may have taken effect all the same.
#[derive(Debug)]
pub struct S3Error {
    /// Without secrets.
    place: Box<str>,
    bucket: Box<str>,
    fault: Fault,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// What a store was seen to do that makes its leases worthless.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lie {
    /// The same object was created twice.
    CreatedTwice,
    /// An update was accepted though the object had changed since.
    UpdatedOutdated,
    /// Of updates of one version at the same time, or creations of one object, so many were accepted.
    ManyWinners(usize),
    /// What was written was not what was read then.
    ReadOtherwise,
    /// It says that it does not know conditions.
    Unable,
    /// Its answers have no `ETag`.
    NoTag,
    /// Its answers have no `Date`.
    NoDate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// No connection, none any more, or no answer in time.
    Unreachable,
    NoBucket,
    /// The keys are good, but may not do this.
    Denied,
    /// The keys are not known, or there are none.
    Unauthenticated,
    /// Our clock and the store's differ by more than signatures may.
    Skewed,
    /// The bucket is elsewhere.
    Region,
    /// It has too much to do, or trouble of its own.
    Overloaded,
    /// More objects than are listed.
    TooMany,
    /// The program was told of roots that are none, or of an address that is none.
    Unusable,
    Lying(Lie),
    /// Anything else it says.
    Other,
}

/// Which of the extra roots cannot be used: the operator's fault.
#[derive(Debug)]
pub(super) enum BadRoots {
    NoPem(rustls_pki_types::pem::Error),
    Unusable(rustls::Error),
}

impl S3Error {
    pub(super) fn new(place: &Place, source: object_store::Error) -> Self {
        let fault = Fault::of(&source);
        Self::with(place, fault, Some(source.into()))
    }

    pub(super) fn of(place: &Place, fault: Fault) -> Self {
        Self::with(place, fault, None)
    }

    pub(super) fn with(
        place: &Place,
        fault: Fault,
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self {
            place: place.to_string().into(),
            bucket: place.bucket.clone(),
            fault,
            source,
        }
    }

    pub(in crate::storage::store) fn is_outage(&self) -> bool {
        matches!(self.fault, Fault::Unreachable)
    }

    /// Whether it is about leases alone; all else can be had of the store.
    pub(in crate::storage::store) fn is_lie(&self) -> bool {
        self.lie().is_some()
    }

    /// What was seen of a store that cannot keep leases; it can be read all the same.
    pub(super) fn lie(&self) -> Option<Lie> {
        match self.fault {
            Fault::Lying(lie) => Some(lie),
            Fault::Unreachable
            | Fault::NoBucket
            | Fault::Denied
            | Fault::Unauthenticated
            | Fault::Skewed
            | Fault::Region
            | Fault::Overloaded
            | Fault::TooMany
            | Fault::Unusable
            | Fault::Other => None,
        }
    }
}

impl Fault {
    fn of(error: &object_store::Error) -> Self {
        let text = error.to_string();
        if let Some(code) = code(&text) {
            return Self::of_code(code);
        }
        if is_transport(error) {
            return Self::Unreachable;
        }
        // Of answers without a code: gateways, and stores that are terse.
        match status(&text) {
            Some(401) => Self::Unauthenticated,
            Some(403) => Self::Denied,
            Some(301 | 307) => Self::Region,
            Some(429 | 500 | 502..=504) => Self::Overloaded,
            Some(_) => Self::Other,
            None if text.contains("region") => Self::Region,
            None => Self::Other,
        }
    }

    /// By the codes of S3, which compatible stores use too.
    fn of_code(code: &str) -> Self {
        match code {
            "NoSuchBucket" => Self::NoBucket,
            "AccessDenied" | "AllAccessDisabled" | "AccountProblem" => Self::Denied,
            "InvalidAccessKeyId"
            | "NotSignedUp"
            | "SignatureDoesNotMatch"
            | "InvalidToken"
            | "ExpiredToken"
            | "MissingSecurityHeader"
            | "InvalidSecurity" => Self::Unauthenticated,
            "RequestTimeTooSkewed" | "RequestExpired" => Self::Skewed,
            "PermanentRedirect"
            | "TemporaryRedirect"
            | "AuthorizationHeaderMalformed"
            | "IllegalLocationConstraintException" => Self::Region,
            "SlowDown" | "ServiceUnavailable" | "InternalError" | "RequestTimeout" => {
                Self::Overloaded
            }
            _ => Self::Other,
        }
    }
}

/// What an answer's XML has for its code.
pub(super) fn code(text: &str) -> Option<&str> {
    let (_before, rest) = text.split_once("<Code>")?;
    Some(rest.split_once("</Code>")?.0)
}

/// As the library words it.
pub(super) fn status(text: &str) -> Option<u16> {
    let (_before, rest) = text.split_once("status code: ")?;
    rest.get(..3)?.parse().ok()
}

fn is_transport(error: &object_store::Error) -> bool {
    let mut source = error.source();
    while let Some(cause) = source {
        if cause.is::<HttpError>() {
            return true;
        }
        source = cause.source();
    }
    false
}

impl fmt::Display for S3Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (place, bucket) = (&self.place, &self.bucket);
        match self.fault {
            Fault::Unreachable => write!(
                f,
                "the storage at {place} cannot be reached: see that `endpoint` is right, that the store runs, and that this host has keys for it"
            ),
            Fault::NoBucket => write!(
                f,
                "the storage at {place} has no bucket `{bucket}`: create it, or correct `storage`"
            ),
            Fault::Denied => write!(
                f,
                "the storage at {place} denies us this: allow these keys s3:GetObject, s3:PutObject and s3:DeleteObject for its objects and s3:ListBucket for `{bucket}`"
            ),
            Fault::Unauthenticated => write!(
                f,
                "the storage at {place} does not know us: correct `access_key` and `secret_key` of `storage`, or the `AWS_` variables"
            ),
            Fault::Skewed => write!(
                f,
                "the storage at {place} finds that the clock of this host is wrong: set it, for instance with `chronyd` or `timedatectl set-ntp true`"
            ),
            Fault::Region => write!(
                f,
                "the storage at {place} is in another region: set `region` of `storage` to that of `{bucket}`"
            ),
            Fault::Overloaded => write!(
                f,
                "the storage at {place} has trouble of its own, or is asked too much: see its own log or status page"
            ),
            Fault::TooMany => write!(
                f,
                "the storage at {place} has too many objects: give onedoor a prefix of its own"
            ),
            Fault::Unusable => write!(f, "the storage at {place} cannot be asked"),
            Fault::Lying(lie) => write!(
                f,
                "the storage at {place} cannot keep two nodes from doing the same: {lie}; nothing is ordered with it: use Redis, or a store with conditional writes, such as S3 of AWS, MinIO or R2; it is not tried again before onedoor is restarted"
            ),
            Fault::Other => write!(f, "the storage at {place} did not do what was asked"),
        }
    }
}

impl fmt::Display for Lie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreatedTwice => f.write_str("it created the same object twice"),
            Self::UpdatedOutdated => {
                f.write_str("it accepted an update of a version that was no longer there")
            }
            Self::ManyWinners(count) => write!(
                f,
                "of several writes at once, of which one may win, it accepted {count}"
            ),
            Self::ReadOtherwise => f.write_str("what it accepted was not what it had then"),
            Self::Unable => f.write_str("it does not know conditional writes"),
            Self::NoTag => f.write_str("its answers have no `ETag`"),
            Self::NoDate => {
                f.write_str("its answers have no `Date`, so nobody can say when a lease ends")
            }
        }
    }
}

impl std::error::Error for S3Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        let source = self.source.as_ref()?;
        Some(source.as_ref())
    }
}

impl fmt::Display for BadRoots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPem(_) => f.write_str("the extra roots are not PEM certificates"),
            Self::Unusable(_) => f.write_str("one of the extra roots cannot be used"),
        }
    }
}

impl std::error::Error for BadRoots {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NoPem(error) => Some(error),
            Self::Unusable(error) => Some(error),
        }
    }
}

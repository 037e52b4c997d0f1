//! A bucket, one request after the other: read, write on a condition, list, remove. Each ends in its time, and a write whose answer was
//! lost is known again by its nonce.

use std::fmt;
use std::time::{Duration, SystemTime};

use http::header::IF_MATCH;
use http::{HeaderMap, HeaderValue, Method};
use object_store::aws::{AmazonS3, AmazonS3Builder, S3ConditionalPut};
use object_store::list::{PaginatedListOptions, PaginatedListStore as _};
use object_store::path::Path;
use object_store::signer::Signer as _;
use object_store::{
    BackoffConfig, Error, GetOptions, ObjectMeta, ObjectStore as _, PutMode, PutOptions,
    PutPayload, RetryConfig, UpdateVersion,
};

use super::envelope::{self, Content, HEAD_BYTES, Nonce};
use super::error::{self, Fault, Lie, S3Error};
use super::http::Carrier;
use super::place::Place;
use super::signing::Signing;
use crate::storage::files::FILE_BYTES_MAX;

/// For a request with all its tries.
const REQUEST_TIME: Duration = Duration::from_secs(20);
/// Further tries of a request that met trouble of the store's own.
const RETRIES: usize = 3;
const RETRY_TIME: Duration = Duration::from_secs(10);
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// Objects of a store.
const LISTED_MAX: usize = 1 << 20;
/// How long the permission to remove an object lasts, so that a removal cannot come much later than it was asked for.
const REMOVAL_TIME: Duration = Duration::from_secs(60);

/// Where objects are kept. A clone is a handle to the same.
#[derive(Clone)]
pub(super) struct Bucket {
    place: Place,
    store: AmazonS3,
    carrier: Carrier,
}

/// What is in the store under some path.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) content: Content,
    pub(super) tag: Tag,
    nonce: Option<Nonce>,
}

/// Tells any two writes of one object apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tag(pub(super) String);

/// An object as listings know it.
#[derive(Debug)]
pub(super) struct Listed {
    /// Without the place's prefix.
    pub(super) path: String,
    pub(super) size: u64,
    pub(super) tag: Option<Tag>,
    pub(super) written: SystemTime,
}

/// What became of a write on a condition.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Swap {
    Done,
    /// The object is not what it was; nothing was written.
    Conflict,
}

impl Bucket {
    /// Nothing is asked yet.
    ///
    /// # Errors
    /// When the place or its roots cannot be used.
    pub(super) fn at(place: Place) -> Result<Self, S3Error> {
        let roots = place.roots.as_deref().unwrap_or_default();
        let carrier = Carrier::trusting(roots)
            .map_err(|error| S3Error::with(&place, Fault::Unusable, Some(error.into())))?;
        let retry = RetryConfig {
            backoff: BackoffConfig {
                init_backoff: PAUSE_MIN,
                max_backoff: PAUSE_MAX,
                base: 2.0,
            },
            max_retries: RETRIES,
            retry_timeout: RETRY_TIME,
        };
        let mut builder = match &place.keys {
            Some(keys) => {
                let builder = AmazonS3Builder::new()
                    .with_access_key_id(&*keys.access)
                    .with_secret_access_key(&*keys.secret);
                match &keys.session {
                    Some(session) => builder.with_token(&**session),
                    None => builder,
                }
            }
            // As whom the machine is known: lent keys of a pod, a task or an instance.
            None => AmazonS3Builder::from_env(),
        };
        if let Some(endpoint) = &place.endpoint {
            builder = builder.with_endpoint(&**endpoint);
        }
        let built = builder
            .with_bucket_name(&*place.bucket)
            .with_region(&*place.region)
            .with_virtual_hosted_style_request(false)
            .with_conditional_put(S3ConditionalPut::ETagMatch)
            .with_allow_http(true)
            .with_retry(retry)
            .with_crypto_provider(std::sync::Arc::new(Signing))
            .with_http_connector(carrier.clone())
            .build();
        let store =
            built.map_err(|error| S3Error::with(&place, Fault::Unusable, Some(error.into())))?;
        Ok(Self {
            place,
            store,
            carrier,
        })
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// What the store's clock shows, going by its newest answer: to be asked after a request.
    pub(super) fn now(&self) -> Result<SystemTime, S3Error> {
        let shown = self.carrier.store_time();
        shown.ok_or_else(|| self.lies(Lie::NoDate))
    }

    pub(super) fn lies(&self, lie: Lie) -> S3Error {
        S3Error::of(&self.place, Fault::Lying(lie))
    }

    /// None if there is nothing.
    pub(super) async fn read(&self, path: &str) -> Result<Option<Found>, S3Error> {
        let location = self.location(path);
        let reading = async {
            let found = match self.store.get_opts(&location, GetOptions::default()).await {
                Ok(found) => found,
                Err(error) if is_absence(&error) => return Ok(None),
                Err(error) => return Err(error),
            };
            let (tag, size) = (found.meta.e_tag.clone(), found.meta.size);
            let opened = if size > FILE_BYTES_MAX + HEAD_BYTES as u64 {
                (Content::TooLarge(size), None)
            } else {
                envelope::opened(&found.bytes().await?)
            };
            Ok(Some((tag, opened)))
        };
        let Some((tag, (content, nonce))) = self.in_time(reading).await? else {
            return Ok(None);
        };
        let tag = Tag(tag.ok_or_else(|| self.lies(Lie::NoTag))?);
        Ok(Some(Found {
            content,
            tag,
            nonce,
        }))
    }

    /// Writes if the object is still the one with this tag, or with none if there is no object.
    ///
    /// # Errors
    /// Then it may have taken effect, or may yet.
    pub(super) async fn swap(
        &self,
        path: &str,
        content: Option<&[u8]>,
        was: Option<&Tag>,
    ) -> Result<Swap, S3Error> {
        let nonce = Nonce::fresh();
        let payload = PutPayload::from(envelope::enveloped(&nonce, content));
        let Err(error) = self.put(path, payload, was).await else {
            return Ok(Swap::Done);
        };
        // The first try may have been it, and its answer lost.
        match self.read(path).await {
            Ok(Some(found)) if found.nonce == Some(nonce) => Ok(Swap::Done),
            Ok(_) if is_conflict(&error) => Ok(Swap::Conflict),
            Err(unread) if is_conflict(&error) => Err(unread),
            Ok(_) | Err(_) => Err(self.failed(error)),
        }
    }

    /// One write as it is answered, for who wants to know how the store answers.
    pub(super) async fn put(
        &self,
        path: &str,
        payload: PutPayload,
        was: Option<&Tag>,
    ) -> Result<Option<Tag>, Error> {
        let mode = was.map_or(PutMode::Create, |tag| {
            PutMode::Update(UpdateVersion {
                e_tag: Some(tag.0.clone()),
                version: None,
            })
        });
        let options = PutOptions::from(mode);
        let location = self.location(path);
        let putting = self.store.put_opts(&location, payload, options);
        let put = within(putting).await?;
        Ok(put.e_tag.map(Tag))
    }

    /// Whether anything lies below this folder.
    pub(super) async fn is_folder(&self, path: &str) -> Result<bool, S3Error> {
        let below = format!("{path}/");
        let mut page = None;
        loop {
            let (listed, next) = self.page(&below, page).await?;
            let alive = |found: &Listed| found.size != envelope::TOMBSTONE_BYTES as u64;
            if listed.iter().any(alive) {
                return Ok(true);
            }
            if next.is_none() {
                return Ok(false);
            }
            page = next;
        }
    }

    /// All whose paths begin with `prefix`.
    pub(super) async fn list(&self, prefix: &str) -> Result<Vec<Listed>, S3Error> {
        let mut found = Vec::new();
        let mut page = None;
        loop {
            let (listed, next) = self.page(prefix, page).await?;
            found.extend(listed);
            if found.len() > LISTED_MAX {
                return Err(S3Error::of(&self.place, Fault::TooMany));
            }
            if next.is_none() {
                return Ok(found);
            }
            page = next;
        }
    }

    async fn page(
        &self,
        prefix: &str,
        page: Option<String>,
    ) -> Result<(Vec<Listed>, Option<String>), S3Error> {
        let root = self.root();
        let whole = format!("{root}{prefix}");
        let options = PaginatedListOptions {
            page_token: page,
            ..PaginatedListOptions::default()
        };
        let listing = self.store.list_paginated(Some(&whole), options);
        let answer = self.in_time(listing).await?;
        let listed = answer.result.objects.into_iter();
        let listed = listed.filter_map(|meta| Listed::below(&root, meta));
        Ok((listed.collect(), answer.page_token))
    }

    /// Removes for good, if the object is still the one with this tag; a store that does not know this condition removes it all the same.
    pub(super) async fn remove(&self, path: &str, was: Option<&Tag>) -> Result<(), S3Error> {
        let location = self.location(path);
        let signing = self
            .store
            .signed_url(Method::DELETE, &location, REMOVAL_TIME);
        let url = self.in_time(signing).await?;
        let mut headers = HeaderMap::new();
        if let Some(tag) = was.and_then(|tag| HeaderValue::from_str(&tag.0).ok()) {
            headers.insert(IF_MATCH, tag);
        }
        let asking = self.carrier.ask(Method::DELETE, url.as_str(), headers);
        match asking.await {
            Ok(status) if status.is_success() => Ok(()),
            Ok(_) => Err(S3Error::of(&self.place, Fault::Other)),
            Err(error) => {
                let source = Some(error.into());
                Err(S3Error::with(&self.place, Fault::Unreachable, source))
            }
        }
    }

    async fn in_time<T>(
        &self,
        request: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, S3Error> {
        within(request).await.map_err(|error| self.failed(error))
    }

    pub(super) fn failed(&self, error: Error) -> S3Error {
        S3Error::new(&self.place, error)
    }

    fn root(&self) -> String {
        match &*self.place.prefix {
            "" => String::new(),
            prefix => format!("{prefix}/"),
        }
    }

    fn location(&self, path: &str) -> Path {
        Path::from(format!("{}{path}", self.root()))
    }
}

impl Listed {
    fn below(root: &str, meta: ObjectMeta) -> Option<Self> {
        Some(Self {
            path: meta.location.as_ref().strip_prefix(root)?.to_owned(),
            size: meta.size,
            tag: meta.e_tag.map(Tag),
            written: meta.last_modified.into(),
        })
    }
}

async fn within<T>(request: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let answered = tokio::time::timeout(REQUEST_TIME, request).await;
    answered.unwrap_or_else(|elapsed| {
        let kind = object_store::client::HttpErrorKind::Timeout;
        let source = object_store::client::HttpError::new(kind, elapsed);
        Err(Error::Generic {
            store: "S3",
            source: source.into(),
        })
    })
}

fn is_absence(error: &Error) -> bool {
    matches!(error, Error::NotFound { .. })
        && error::code(&error.to_string()) != Some("NoSuchBucket")
}

pub(super) fn is_conflict(error: &Error) -> bool {
    matches!(
        error,
        Error::AlreadyExists { .. } | Error::Precondition { .. } | Error::NotModified { .. }
    ) && error::code(&error.to_string()) != Some("NoSuchBucket")
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Bucket").field(&self.place).finish()
    }
}

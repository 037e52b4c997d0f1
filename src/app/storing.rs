//! The storage that a configuration, or the environment, names: where it is, what it is called, and the ways into it.

use std::env;
use std::fmt;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};

use crate::certs::keeper::merging::MERGING;
use crate::certs::local_ca::safe::Safe;
use crate::clock::Clock;
use crate::config::Config;
use crate::config::secret::Secret;
use crate::config::storage::{BadUrl, Place, Reached, Redis as RedisPlace, S3, S3Keys};
use crate::storage;
use crate::storage::files::Storage;
use crate::storage::place::NoPlace;
use crate::storage::store::redis::{self, Redis};
use crate::storage::store::{self, Store, StoreError};

/// Overrules the usual places where no configuration names one.
const VARIABLE: &str = "ONEDOOR_STORAGE";
/// Below the folder of this machine; a copy for every shared store that was ever named.
const COPIES: &str = "copies";
/// Of the name of a store.
const DIGEST_BYTES: usize = 8;

/// A storage, found and not yet opened. A clone names the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Depot {
    place: Place,
    folder: PathBuf,
}

/// Why there is no storage.
#[derive(Debug)]
pub enum StoringError {
    NoPlace(NoPlace),
    /// What the environment says.
    Variable(BadUrl),
    /// What the configuration, or the environment, says of S3.
    S3(store::s3::BadPlace),
    /// It cannot even be tried.
    Unusable(StoreError),
}

impl Depot {
    /// The storage of a configuration; of none: that of the environment.
    ///
    /// # Errors
    /// When the environment is asked and names nothing that can be one.
    pub fn find(config: Option<&Config>) -> Result<Self, StoringError> {
        let storage = config.map(|config| &config.storage);
        let said = storage.and_then(|storage| storage.place.clone());
        let place = said.map_or_else(usual, Ok)?;
        let folder = match &place {
            Place::Folder(folder) => folder.clone(),
            Place::Redis(_) | Place::S3(_) => {
                let copy = storage.and_then(|storage| storage.local_copy.clone());
                copy.map_or_else(storage::default_place, Ok)
                    .map_err(StoringError::NoPlace)?
            }
        };
        let folder = absolute(folder);
        let place = match place {
            Place::Folder(_) => Place::Folder(folder.clone()),
            Place::Redis(redis) => Place::Redis(redis),
            Place::S3(s3) => Place::S3(complete(s3, &|name| env::var(name).ok())),
        };
        Ok(Self { place, folder })
    }

    /// A folder of this machine.
    #[must_use]
    pub fn at(folder: PathBuf) -> Self {
        let folder = absolute(folder);
        Self {
            place: Place::Folder(folder.clone()),
            folder,
        }
    }

    /// What an heir goes on with, whose own this is: a shared storage is the same from everywhere, a folder is the former holder's.
    #[must_use]
    pub fn heir_of(&self, folder: &Path) -> Self {
        let place = match &self.place {
            Place::Folder(_) => return Self::at(folder.to_owned()),
            Place::Redis(_) | Place::S3(_) => self.place.clone(),
        };
        Self {
            place,
            folder: folder.to_owned(),
        }
    }

    /// The folder of this machine: the storage itself, or beside a shared one what is of this machine alone, its copy among it.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether other machines may use it at the same time.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.place.is_shared()
    }

    /// What is kept here. Nothing is asked yet.
    ///
    /// # Errors
    /// When it cannot even be tried.
    pub fn open(&self, clock: &Clock) -> Result<Store, StoringError> {
        match &self.place {
            Place::Folder(_) => Ok(self.own(clock)),
            Place::Redis(redis) => {
                let opened = Redis::at(redis_place(redis)).map_err(StoreError::from)?;
                Ok(self.copied(Store::on(opened), clock))
            }
            Place::S3(s3) => {
                let opened = store::s3::S3::at(s3_place(s3)?).map_err(StoreError::from)?;
                Ok(self.copied(Store::on(opened), clock))
            }
        }
    }

    /// Where its local CA is. Nothing is asked yet.
    ///
    /// # Errors
    /// As for [`Depot::open`].
    pub fn safe(&self, clock: &Clock) -> Result<Safe, StoringError> {
        Ok(self.safe_of(self.open(clock)?))
    }

    /// The same in the store that was opened here.
    #[must_use]
    pub fn safe_of(&self, store: Store) -> Safe {
        Safe::new(store, self.to_string(), Storage::at(self.folder.clone()))
    }

    fn copied(&self, shared: Store, clock: &Clock) -> Store {
        let folder = self.folder.join(COPIES).join(digest_of(&self.to_string()));
        Store::copied(shared, folder, clock.clone(), MERGING)
    }

    /// What `name` of that kind is called there, for people.
    #[must_use]
    pub fn of(&self, kind: &str, name: &str) -> String {
        match &self.place {
            Place::Folder(folder) => folder.join(kind).join(name).display().to_string(),
            Place::Redis(_) | Place::S3(_) => format!("{kind}/{name} in {self}"),
        }
    }

    /// What is kept for this machine alone.
    #[must_use]
    pub fn own(&self, clock: &Clock) -> Store {
        Store::files(self.folder.clone(), clock.clone())
    }
}

/// As people know it, without secrets.
impl fmt::Display for Depot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.place.fmt(f)
    }
}

/// Where nobody says.
fn usual() -> Result<Place, StoringError> {
    let url = env::var(VARIABLE).ok().filter(|text| text.contains("://"));
    match url {
        Some(url) => Place::parse(&url, Path::new("")).map_err(StoringError::Variable),
        None => storage::default_place()
            .map(Place::Folder)
            .map_err(StoringError::NoPlace),
    }
}

/// With what the usual variables say where the configuration says nothing.
fn complete(s3: S3, variable: &dyn Fn(&str) -> Option<String>) -> S3 {
    let of = |names: &[&str]| {
        let mut said = names.iter().filter_map(|name| variable(name));
        said.find(|text| !text.is_empty())
    };
    let secret = |name| of(&[name]).map(|text| Secret::new(&text));
    let keys = || {
        Some(S3Keys {
            access_key: secret("AWS_ACCESS_KEY_ID")?,
            secret_key: secret("AWS_SECRET_ACCESS_KEY")?,
            session_token: secret("AWS_SESSION_TOKEN"),
        })
    };
    let text = |names: &[&str]| of(names).map(String::into_boxed_str);
    S3 {
        endpoint: s3
            .endpoint
            .or_else(|| text(&["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"])),
        region: s3
            .region
            .or_else(|| text(&["AWS_REGION", "AWS_DEFAULT_REGION"])),
        keys: s3.keys.or_else(keys),
        ..s3
    }
}

fn redis_place(said: &RedisPlace) -> redis::Place {
    redis::Place {
        reached: match &said.reached {
            Reached::Plain { host, port } => redis::Reached::Plain {
                host: host.clone(),
                port: *port,
            },
            Reached::Tls { host, port } => redis::Reached::Tls {
                host: host.clone(),
                port: *port,
                roots: said.roots.as_ref().map(|roots| roots.pem.clone()),
            },
            Reached::Socket(path) => redis::Reached::Socket(path.clone()),
        },
        database: said.database,
        prefix: said.prefix.clone(),
        user: said.user.clone(),
        password: said.password.as_ref().map(|secret| secret.reveal().into()),
        name: said.to_string().into(),
    }
}

fn s3_place(said: &S3) -> Result<store::s3::Place, StoringError> {
    let url = format!("s3://{}/{}", said.bucket, said.prefix);
    let mut place = store::s3::Place::parse(&url).map_err(StoringError::S3)?;
    if let Some(endpoint) = &said.endpoint {
        place = place.at_endpoint(endpoint).map_err(StoringError::S3)?;
    }
    if let Some(region) = &said.region {
        place = place.in_region(region);
    }
    if let Some(keys) = &said.keys {
        let session = keys.session_token.as_ref().map(Secret::reveal);
        place = place.with_keys(keys.access_key.reveal(), keys.secret_key.reveal(), session);
    }
    if let Some(roots) = &said.roots {
        place = place.trusting(&roots.pem);
    }
    Ok(place)
}

/// Tells the copies of two stores apart.
fn digest_of(name: &str) -> String {
    let digest = digest(&SHA256, name.as_bytes());
    let octets = digest.as_ref().iter().take(DIGEST_BYTES);
    octets.map(|octet| format!("{octet:02x}")).collect()
}

fn absolute(folder: PathBuf) -> PathBuf {
    std::path::absolute(&folder).unwrap_or(folder)
}

impl fmt::Display for StoringError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPlace(error) => error.fmt(f),
            Self::Variable(error) => {
                write!(f, "the variable `{VARIABLE}` names no storage: {error}")
            }
            Self::S3(error) => write!(f, "the storage in S3 cannot be asked: {error}"),
            Self::Unusable(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for StoringError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            // Their own text is shown in place of ours.
            Self::NoPlace(error) => error.source(),
            Self::Variable(_) | Self::S3(_) => None,
            Self::Unusable(error) => error.source(),
        }
    }
}

impl From<StoreError> for StoringError {
    fn from(error: StoreError) -> Self {
        Self::Unusable(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    #[test]
    fn a_configuration_names_the_storage_and_the_folder_of_this_machine() {
        let folder = found("storage = \"/srv/onedoor\"");
        assert_eq!(folder.to_string(), "/srv/onedoor");
        assert_eq!(folder.folder(), Path::new("/srv/onedoor"));
        assert_eq!(folder.of("certs", "a.test"), "/srv/onedoor/certs/a.test");
        let shared = found(SHARED);
        assert_eq!(shared.to_string(), "redis://redis.test:6379/0");
        assert_eq!(shared.folder(), Path::new("/var/copy"));
        assert_eq!(
            shared.of("certs", "a.test"),
            "certs/a.test in redis://redis.test:6379/0"
        );
        assert!(shared.is_shared() && !folder.is_shared());
        assert!(!format!("{shared:?}").contains("secret"));
    }

    #[test]
    fn an_heir_goes_on_with_the_folder_of_the_former_holder() {
        let former = Path::new("/var/former");
        let folder = found("storage = \"/srv/onedoor\"").heir_of(former);
        assert_eq!(folder, Depot::at(former.to_owned()));
        let shared = found(SHARED).heir_of(former);
        assert_eq!(shared.to_string(), "redis://redis.test:6379/0");
        assert_eq!(shared.folder(), former);
    }

    #[test]
    fn the_usual_variables_complete_what_is_said_of_s3() {
        let variables = |name: &str| {
            let value = match name {
                "AWS_ENDPOINT_URL" => "https://all.test",
                "AWS_ENDPOINT_URL_S3" => "https://s3.test",
                "AWS_REGION" => "",
                "AWS_DEFAULT_REGION" => "eu-central-1",
                "AWS_ACCESS_KEY_ID" => "id",
                "AWS_SECRET_ACCESS_KEY" => "key",
                "AWS_SESSION_TOKEN" => "lent",
                _ => return None,
            };
            Some(value.to_owned())
        };
        let bare = complete(bucket(), &variables);
        assert_eq!(bare.endpoint.as_deref(), Some("https://s3.test"));
        assert_eq!(bare.region.as_deref(), Some("eu-central-1"));
        let keys = bare.keys.unwrap();
        assert_eq!(keys.secret_key.reveal(), "key");
        assert_eq!(keys.session_token, Some(Secret::new("lent")));
        let own = S3Keys {
            access_key: Secret::new("own"),
            secret_key: Secret::new("own"),
            session_token: None,
        };
        let said = S3 {
            endpoint: Some("http://own.test".into()),
            region: Some("here".into()),
            keys: Some(own),
            ..bucket()
        };
        assert_eq!(complete(said.clone(), &variables), said);
        assert_eq!(complete(bucket(), &|_name| None), bucket());
    }

    const SHARED: &str =
        "storage = { url = \"redis://:secret@redis.test\", local_copy = \"/var/copy\" }";

    fn bucket() -> S3 {
        match Place::parse("s3://bucket", Path::new("")) {
            Ok(Place::S3(s3)) => s3,
            other => panic!("{other:?}"),
        }
    }

    fn found(line: &str) -> Depot {
        let text = format!("{line}\n[sites]\n\"a.test\" = \"3000\"\n");
        let loaded = config::read(Path::new("proxy.toml"), &text).unwrap();
        Depot::find(Some(&loaded.config)).unwrap()
    }
}

//! Reads `storage`.

use super::{BadUrl, Ephemeral, Place, Reached, Redis, S3, S3Keys, Storage};
use crate::config::keys;
use crate::config::problem::{At, Problem};
use crate::config::problems::Problems;
use crate::config::read::Files;
use crate::config::reader::{Item, Table};
use crate::config::roots::Roots;
use crate::config::secret::Secret;
use crate::config::url::{self, Plain};

const EPHEMERAL: &[(&str, Ephemeral)] =
    &[("refuse", Ephemeral::Refuse), ("allow", Ephemeral::Allow)];
/// Keys that only some places have, and which.
const FOR_SHARED: (&[&str], &str) = (&["local_copy"], "a `url` of Redis or S3");
const FOR_REDIS: (&[&str], &str) = (&["password"], "a `url` that begins with `redis`");
const FOR_S3: (&[&str], &str) = (
    &[
        "endpoint",
        "region",
        "access_key",
        "secret_key",
        "session_token",
    ],
    "a `url` that begins with `s3://`",
);
const FOR_TLS: (&[&str], &str) = (
    &["roots"],
    "a `url` that begins with `rediss://`, or an S3 that is reached by `https://`",
);
const SECRETS: &[&str] = &["password", "access_key", "secret_key", "session_token"];
const REGION_BYTES_MAX: usize = 64;

impl Storage {
    pub(in crate::config) fn read(
        item: &Item<'_>,
        files: &mut dyn Files,
        problems: &mut Problems,
    ) -> Self {
        let Some(table) = item.as_table() else {
            let place = item.text("a path, a URL or a table", problems);
            return Self {
                place: place.and_then(|text| place_of(text, item, problems)),
                ..Self::default()
            };
        };
        hide_secrets(&table, problems);
        table.check_keys(&keys::STORAGE, problems);
        let ephemeral = table
            .get("ephemeral")
            .and_then(|item| item.choice(EPHEMERAL, problems));
        Self {
            place: read_place(&table, files, problems),
            local_copy: table
                .get("local_copy")
                .and_then(|item| item.path(problems))
                .map(|path| path.value),
            ephemeral: ephemeral.unwrap_or_default(),
        }
    }
}

/// Before anything else is said of them.
fn hide_secrets(table: &Table<'_>, problems: &mut Problems) {
    for item in table.in_order() {
        // What is not known may be a secret under a misspelt name.
        if SECRETS.contains(&item.key) || !keys::STORAGE.known.contains(&item.key) {
            problems.hide(item.at());
        }
    }
}

fn read_place(table: &Table<'_>, files: &mut dyn Files, problems: &mut Problems) -> Option<Place> {
    let Some(item) = table.get("url") else {
        for keys in [FOR_SHARED, FOR_REDIS, FOR_S3, FOR_TLS] {
            refuse(table, keys, problems);
        }
        return None;
    };
    let place = match item.as_text() {
        Some(text) => place_of(text, &item, problems),
        // The text stands alone where it is empty: nobody knows which keys go with it.
        None => Secret::read(&item, files, problems)
            .filter(|secret| !secret.reveal().is_empty())
            .and_then(|secret| place_of(secret.reveal(), &item, problems)),
    };
    match place? {
        Place::Folder(path) => {
            for keys in [FOR_SHARED, FOR_REDIS, FOR_S3, FOR_TLS] {
                refuse(table, keys, problems);
            }
            Some(Place::Folder(path))
        }
        Place::Redis(redis) => read_redis(redis, table, files, problems).map(Place::Redis),
        Place::S3(s3) => read_s3(s3, table, files, problems).map(Place::S3),
    }
}

/// What a text names, whose problems do not repeat it.
fn place_of(text: &str, item: &Item<'_>, problems: &mut Problems) -> Option<Place> {
    if text.contains('@') {
        problems.hide(item.at());
    }
    match Place::parse(text, item.folder()) {
        Ok(place) => Some(place),
        Err(why) => {
            let problem = Problem::error("bad-url", "`storage` takes a path or a URL")
                .at(item.at(), why.to_string());
            problems.push(match why {
                BadUrl::Empty | BadUrl::Scheme(_) | BadUrl::Host | BadUrl::Parameter => problem.help(
                    "\"/var/lib/onedoor\", \"redis://user:password@host:6379/0?prefix=onedoor\", \"rediss://…\" or \"s3://bucket/prefix\"",
                ),
                BadUrl::Database | BadUrl::Prefix | BadUrl::Percent | BadUrl::Bucket | BadUrl::Folder | BadUrl::User => problem,
            });
            None
        }
    }
}

fn read_redis(
    redis: Redis,
    table: &Table<'_>,
    files: &mut dyn Files,
    problems: &mut Problems,
) -> Option<Redis> {
    refuse(table, FOR_S3, problems);
    let mut redis = redis;
    if let Some(item) = table.get("password") {
        if redis.password.is_some() {
            let message = "`password` and the one in `url` do not go together";
            let help = "leave one of them out";
            problems.error(
                "conflicting-keys",
                message,
                item.key_at,
                "a second one",
                help,
            );
        }
        redis.password = Secret::read(&item, files, problems);
    }
    match &redis.reached {
        Reached::Tls { .. } => redis.roots = roots(table, files, problems),
        Reached::Plain { .. } | Reached::Socket(_) => refuse(table, FOR_TLS, problems),
    }
    Some(redis)
}

fn read_s3(
    s3: S3,
    table: &Table<'_>,
    files: &mut dyn Files,
    problems: &mut Problems,
) -> Option<S3> {
    refuse(table, FOR_REDIS, problems);
    let endpoint = table
        .get("endpoint")
        .and_then(|item| endpoint(&item, problems));
    if endpoint
        .as_deref()
        .is_some_and(|url| url.starts_with("http://"))
    {
        refuse(table, FOR_TLS, problems);
    }
    let region = table.get("region").and_then(|item| region(&item, problems));
    Some(S3 {
        endpoint,
        region,
        keys: read_keys(table, files, problems),
        roots: roots(table, files, problems),
        ..s3
    })
}

fn read_keys(table: &Table<'_>, files: &mut dyn Files, problems: &mut Problems) -> Option<S3Keys> {
    let mut secret = |key| {
        Some((
            table.get(key)?,
            Secret::read(&table.get(key)?, files, problems),
        ))
    };
    let (access, own, token) = (
        secret("access_key"),
        secret("secret_key"),
        secret("session_token"),
    );
    let lone = |key: &str, missing: &str, at: At| {
        Problem::error("missing-key", format!("`{key}` needs `{missing}`"))
            .at(at, "half of who we are")
            .help("without both, those of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are used")
    };
    match (access, own) {
        (Some((_, access_key)), Some((_, secret_key))) => Some(S3Keys {
            access_key: access_key?,
            secret_key: secret_key?,
            session_token: token.and_then(|(_item, token)| token),
        }),
        (Some((item, _)), None) => {
            problems.push(lone("access_key", "secret_key", item.key_at));
            None
        }
        (None, Some((item, _))) => {
            problems.push(lone("secret_key", "access_key", item.key_at));
            None
        }
        (None, None) => {
            if let Some((item, _)) = token {
                problems.push(lone("session_token", "access_key", item.key_at));
            }
            None
        }
    }
}

fn roots(table: &Table<'_>, files: &mut dyn Files, problems: &mut Problems) -> Option<Roots> {
    Roots::read(&table.get("roots")?, files, problems)
}

/// Whatever is behind its host would be taken for a part of every object's name.
fn endpoint(item: &Item<'_>, problems: &mut Problems) -> Option<Box<str>> {
    let url = url::read(item, Plain::Anywhere, problems)?;
    let bare = url.strip_suffix('/').unwrap_or(&url);
    let host = bare.split_once("://").map_or(bare, |(_scheme, host)| host);
    if host.contains(['/', '?']) {
        let message = "`endpoint` takes the URL of a server";
        problems.push(
            Problem::error("bad-url", message)
                .at(item.at(), "there is more behind its host")
                .help("bucket and prefix stand in `url`: \"s3://bucket/prefix\""),
        );
        return None;
    }
    Some(bare.into())
}

fn region(item: &Item<'_>, problems: &mut Problems) -> Option<Box<str>> {
    let text = item.text("a region such as \"eu-central-1\"", problems)?;
    let allowed = |octet: u8| octet.is_ascii_alphanumeric() || b"-_".contains(&octet);
    if text.is_empty() || text.len() > REGION_BYTES_MAX || !text.bytes().all(allowed) {
        let message = "`region` takes a region such as \"eu-central-1\"";
        problems.push(Problem::error("bad-word", message).at(item.at(), "this is none"));
        return None;
    }
    Some(text.into())
}

/// Reports keys that the place has no use for.
fn refuse(table: &Table<'_>, keys: (&[&str], &str), problems: &mut Problems) {
    let (keys, place) = keys;
    for item in keys.iter().filter_map(|key| table.get(key)) {
        problems.error(
            "conflicting-keys",
            format!("`{}` goes with {place}", item.key),
            item.key_at,
            "nothing would come of it",
            "leave it out, or give `storage` such a `url`",
        );
    }
}

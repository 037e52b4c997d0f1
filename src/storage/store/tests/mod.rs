//! What every store promises, and what each kind does.

mod agreement;
mod copied;
mod faults;
mod files;
mod following;
mod forgetting;
mod full_disk;
mod killed;
mod leases;
mod putting_back;
mod redis;
pub(crate) mod s3;

use std::fs::File;
use std::io::Write;
use std::path::Path;

use super::{Key, Store};
use crate::clock::Clock;

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

fn store(folder: &Path) -> Store {
    Store::files(folder.to_owned(), Clock::system())
}

/// A file that is not written by a store.
fn scribble(path: &Path, bytes: &[u8]) {
    File::create(path).unwrap().write_all(bytes).unwrap();
}

async fn content(store: &Store, name: &str) -> Option<Vec<u8>> {
    let found = store.get(&key(name)).await.unwrap();
    found.map(|object| object.bytes)
}

async fn names(store: &Store, prefix: &str) -> Vec<String> {
    let keys = store.list(prefix).await.unwrap();
    keys.iter().map(ToString::to_string).collect()
}

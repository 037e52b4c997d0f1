//! Archives as `caddy storage export` writes them, packed or not, taken apart in memory.

use std::io::Read as _;

use flate2::read::GzDecoder;
use tar::Archive;

use crate::certs::import::tree::{Content, Tree};
use crate::certs::import::walk::{ENTRIES_MAX, FILE_BYTES_MAX, TREE_BYTES_MAX};

/// What an archive holds, with `base` as its place. None if the bytes are no archive; one that breaks off is read as far as it goes, and
/// a remark tells it.
#[must_use]
pub fn unpack(bytes: &[u8], base: String) -> Option<Tree> {
    let mut tree = Tree::new(base);
    if bytes.starts_with(GZIP) {
        let mut plain = Vec::new();
        let read = GzDecoder::new(bytes)
            .take(TREE_BYTES_MAX)
            .read_to_end(&mut plain);
        if !is_tar(&plain) {
            return None;
        }
        if read.is_err() {
            let place = tree.place("");
            tree.remark(format!("{place} is damaged: read as far as it goes"));
        }
        entries(&plain, &mut tree);
        return Some(tree);
    }
    is_tar(bytes).then(|| {
        entries(bytes, &mut tree);
        tree
    })
}

const GZIP: &[u8] = &[0x1f, 0x8b];

/// POSIX and GNU archives say so in each header.
fn is_tar(bytes: &[u8]) -> bool {
    bytes.get(257..262) == Some(b"ustar")
}

fn entries(bytes: &[u8], tree: &mut Tree) {
    let mut archive = Archive::new(bytes);
    let Ok(entries) = archive.entries() else {
        return;
    };
    for (number, entry) in entries.enumerate() {
        let Ok(mut entry) = entry else {
            let place = tree.place("");
            tree.remark(format!("{place} is damaged: read as far as it goes"));
            return;
        };
        if number >= ENTRIES_MAX {
            let place = tree.place("");
            tree.remark(format!(
                "{place} holds more than {ENTRIES_MAX} files: the others are left out"
            ));
            return;
        }
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let parts = path
            .split('/')
            .filter(|part| !matches!(*part, "" | "." | ".."));
        let path = parts.collect::<Vec<&str>>().join("/");
        if path.is_empty() || !entry.header().entry_type().is_file() {
            continue;
        }
        let mut content = Vec::new();
        let read = entry
            .by_ref()
            .take(FILE_BYTES_MAX)
            .read_to_end(&mut content);
        tree.insert(
            path,
            match read {
                Ok(_) => Content::Bytes(content),
                Err(_broken) => Content::Unreadable("breaks off".to_owned()),
            },
        );
    }
}

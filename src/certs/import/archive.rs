//! Archives as `caddy storage export` writes them, packed or not, taken apart in memory.

use std::io::Read as _;

use flate2::read::GzDecoder;
use tar::Archive;

use crate::certs::import::tree::{Content, Tree};
use crate::certs::import::walk::{ENTRIES_MAX, FILE_BYTES_MAX, TREE_BYTES_MAX};

/// What an archive holds, with `base` as its place. None if the bytes are no archive; one that breaks off is read as far as it goes, and
/// a remark tells it.
#[must_use]
pub(super) fn unpack(bytes: &[u8], base: String) -> Option<Tree> {
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

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;
    use tar::{Builder, Header};

    use super::*;
    use crate::certs::import::findings::Tool;
    use crate::certs::import::fixture::{Ca, LETS_ENCRYPT, now, p256, sound};
    use crate::certs::import::recognise;

    fn tar_of(files: &[(&str, &str)]) -> Vec<u8> {
        let mut builder = Builder::new(Vec::new());
        for (path, text) in files {
            let mut header = Header::new_gnu();
            header.set_size(text.len() as u64);
            header.set_mode(0o600);
            header.set_cksum();
            builder
                .append_data(&mut header, path, text.as_bytes())
                .unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn export() -> Vec<u8> {
        let pair = Ca::new().pair(&["a.test"]);
        let (_, sec1) = p256();
        let at = "certificates/acme-v02.api.letsencrypt.org-directory/a.test/a.test";
        let user = "acme/acme-v02.api.letsencrypt.org-directory/users/default/default";
        tar_of(&[
            (&format!("{user}.key"), &sec1),
            (&format!("{user}.json"), "{}"),
            (&format!("{at}.crt"), &pair.chain),
            (&format!("{at}.key"), &pair.key),
        ])
    }

    fn alone(name: &str, bytes: Vec<u8>) -> Tree {
        let mut tree = Tree::new("/base".to_owned());
        tree.insert(name.to_owned(), Content::Bytes(bytes));
        tree
    }

    #[test]
    fn an_export_of_caddy_is_read_packed_or_not() {
        let export = export();
        let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
        packer.write_all(&export).unwrap();
        for (name, bytes) in [("a.tar", export), ("a.tar.gz", packer.finish().unwrap())] {
            let findings = recognise(&alone(name, bytes), now());
            let certificate = sound(&findings);
            assert_eq!(findings.tools, [Tool::Caddy]);
            assert!(
                certificate
                    .place
                    .starts_with(&format!("/base/{name}/certificates/"))
            );
            assert_eq!(certificate.directory.as_deref(), Some(LETS_ENCRYPT));
            assert_eq!(certificate.account, Some(0));
        }
    }

    #[test]
    fn an_archive_that_breaks_off_is_read_as_far_as_it_goes() {
        let export = export();
        for end in (0..export.len()).step_by(301) {
            drop(recognise(&alone("a.tar", export[..end].to_vec()), now()));
        }
        let cut = recognise(&alone("a.tar", export[..1100].to_vec()), now());
        assert!(
            cut.remarks.iter().any(|remark| remark.contains("a.tar")),
            "{cut:?}"
        );
    }

    #[test]
    fn paths_in_archives_lead_nowhere_else() {
        let mut bytes = tar_of(&[("aa/aa/secret.pem", "x")]);
        bytes[..6].copy_from_slice(b"../../");
        let header = Header::from_byte_slice(&bytes[..512]).clone();
        let mut header = header;
        header.set_cksum();
        bytes[..512].copy_from_slice(header.as_bytes());
        let tree = unpack(&bytes, String::new()).unwrap();
        assert!(tree.has("secret.pem"), "{tree:?}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(mut bytes in prop::collection::vec(any::<u8>(), 0..1500), flip in 0..600_usize) {
            drop(unpack(&bytes, String::new()));
            if bytes.len() > 600 {
                bytes[257..262].copy_from_slice(b"ustar");
                drop(unpack(&bytes, String::new()));
            }
            let mut export = tar_of(&[("a", "b")]);
            export[flip] ^= 0x11;
            drop(unpack(&export, String::new()));
            drop(unpack(&[GZIP, &bytes].concat(), String::new()));
        }
    }
}

//! Archives as `caddy storage export` writes them, packed or not, taken apart in memory.

use std::io::Read;

use flate2::read::GzDecoder;
use tar::{Archive, Entry};

use crate::certs::import::tree::{Content, Tree};
use crate::certs::import::walk::{ENTRIES_MAX, FILE_BYTES_MAX, IMPORT_BYTES_MAX};

/// What an archive holds, with `base` as its place, as far as `budget` goes: it is lowered by as many octets as were unpacked. None if the
/// bytes are no archive; of one that is not read to its end a remark tells it.
#[must_use]
pub(super) fn unpack(bytes: &[u8], base: String, budget: &mut u64) -> Option<Tree> {
    let is_packed = bytes.starts_with(GZIP);
    let plain = || -> Box<dyn Read + '_> {
        if is_packed {
            Box::new(GzDecoder::new(bytes))
        } else {
            Box::new(bytes)
        }
    };
    let mut head = Vec::new();
    let _damaged = plain().take(HEAD_BYTES).read_to_end(&mut head);
    if !is_tar(&head) {
        return None;
    }
    let mut tree = Tree::new(base);
    let place = tree.place("");
    let mut reader = plain().take(*budget);
    let end = entries(&mut reader, &mut tree);
    *budget = reader.limit();
    match end {
        _ if *budget == 0 => tree.remark(format!(
            "{place} is not read to its end: with it there are more than {IMPORT_BYTES_MAX} octets to look through; name it alone, or unpack it first"
        )),
        End::Whole => {}
        End::Damaged => tree.remark(format!("{place} is damaged: read as far as it goes")),
        End::TooMany => tree.remark(format!(
            "{place} holds more than {ENTRIES_MAX} files: the others are left out"
        )),
    }
    Some(tree)
}

const GZIP: &[u8] = &[0x1f, 0x8b];
/// Of an archive's first header.
const HEAD_BYTES: u64 = 512;

/// POSIX and GNU archives say so in each header.
fn is_tar(bytes: &[u8]) -> bool {
    bytes.get(257..262) == Some(b"ustar")
}

/// Why no more is read.
enum End {
    Whole,
    Damaged,
    TooMany,
}

fn entries(reader: impl Read, tree: &mut Tree) -> End {
    let mut archive = Archive::new(reader);
    let Ok(entries) = archive.entries() else {
        return End::Damaged;
    };
    for (number, entry) in entries.enumerate() {
        let Ok(mut entry) = entry else {
            return End::Damaged;
        };
        if number >= ENTRIES_MAX {
            return End::TooMany;
        }
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let parts = path
            .split('/')
            .filter(|part| !matches!(*part, "" | "." | ".."));
        let path = parts.collect::<Vec<&str>>().join("/");
        if !path.is_empty() && entry.header().entry_type().is_file() {
            tree.insert(path, content(&mut entry));
        }
    }
    End::Whole
}

fn content(entry: &mut Entry<'_, impl Read>) -> Content {
    let length = entry.size();
    if length > FILE_BYTES_MAX {
        return Content::Unreadable(format!("is larger than {FILE_BYTES_MAX} octets"));
    }
    let mut content = Vec::new();
    match entry.take(length).read_to_end(&mut content) {
        Ok(read) if read as u64 == length => Content::Bytes(content),
        Ok(_) | Err(_) => Content::Unreadable("breaks off".to_owned()),
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
    use crate::certs::import::recognise::recognise_within;

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

    fn unpacked(bytes: &[u8]) -> Option<Tree> {
        let mut budget = IMPORT_BYTES_MAX;
        unpack(bytes, String::new(), &mut budget)
    }

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
        packer.write_all(bytes).unwrap();
        packer.finish().unwrap()
    }

    #[test]
    fn all_archives_of_an_import_have_one_budget() {
        let mut tree = Tree::new("/base".to_owned());
        let names = ["a.tar.gz", "b.tar.gz", "c.tar.gz"];
        let export = export();
        for name in names {
            tree.insert(name.to_owned(), Content::Bytes(packed(&export)));
        }
        let left_out = |bytes_max: u64| {
            let found = recognise_within(tree.bytes() + bytes_max, &tree, now());
            let is_told = |name: &&str| {
                let place = format!("/base/{name} is not read to its end");
                found
                    .remarks
                    .iter()
                    .any(|remark| remark.starts_with(&place))
            };
            assert_eq!(found.certificates.is_empty(), bytes_max == 0);
            names.iter().filter(|name| is_told(name)).count()
        };
        let length = export.len() as u64;
        assert_eq!(left_out(3 * length + 1), 0);
        assert_eq!(left_out(5 * length / 2), 1);
        assert_eq!(left_out(3 * length / 2), 2);
        assert_eq!(left_out(0), 3);
    }

    #[test]
    fn little_that_unpacks_to_much_is_not_unpacked() {
        let zeros = String::from_utf8(vec![0; 4 << 20]).unwrap();
        let bomb = packed(&tar_of(&[("a.pem", &zeros), ("b.pem", "x")]));
        let mut budget = 1 << 20;
        let tree = unpack(&bomb, String::new(), &mut budget).unwrap();
        assert_eq!((budget, tree.bytes()), (0, 0));
        assert_eq!(tree.remarks().len(), 1, "{tree:?}");
    }

    #[test]
    fn a_file_above_the_limit_is_not_cut_in_silence() {
        let mut bytes = tar_of(&[("a.pem", "x"), ("b.pem", "y")]);
        let mut header = Header::from_byte_slice(&bytes[..512]).clone();
        header.set_size(FILE_BYTES_MAX + 1);
        header.set_cksum();
        bytes[..512].copy_from_slice(header.as_bytes());
        let tree = unpacked(&bytes).unwrap();
        let Some(Content::Unreadable(why)) = tree.content("a.pem") else {
            panic!("{tree:?}");
        };
        assert!(why.contains("larger than"), "{why}");
    }

    #[test]
    fn an_export_of_caddy_is_read_packed_or_not() {
        let export = export();
        let packed = packed(&export);
        for (name, bytes) in [("a.tar", export), ("a.tar.gz", packed)] {
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
        let tree = unpacked(&bytes).unwrap();
        assert!(tree.has("secret.pem"), "{tree:?}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(mut bytes in prop::collection::vec(any::<u8>(), 0..1500), flip in 0..600_usize) {
            drop(unpacked(&bytes));
            if bytes.len() > 600 {
                bytes[257..262].copy_from_slice(b"ustar");
                drop(unpacked(&bytes));
            }
            let mut export = tar_of(&[("a", "b")]);
            export[flip] ^= 0x11;
            drop(unpacked(&export));
            drop(unpacked(&[GZIP, &bytes].concat()));
        }
    }
}

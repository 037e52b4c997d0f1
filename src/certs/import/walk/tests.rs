use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use tempfile::TempDir;

use super::*;
use crate::certs::fixture::replace;
use crate::certs::import::fixture::{Ca, now, sound};
use crate::certs::import::read;

fn folder(paths: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for path in paths {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        replace(&path, "x");
    }
    folder
}

fn paths(tree: &Tree) -> Vec<String> {
    tree.files().map(|(path, _)| path.to_owned()).collect()
}

#[test]
fn links_are_followed_but_not_in_a_circle() {
    let folder = folder(&["archive/a.pem", "live/README"]);
    let at = |path: &str| folder.path().join(path);
    symlink("../archive/a.pem", at("live/b.pem")).unwrap();
    symlink("..", at("live/up")).unwrap();
    symlink("nowhere.pem", at("live/gone.pem")).unwrap();
    symlink("me.pem", at("live/me.pem")).unwrap();
    symlink("archive", at("other")).unwrap();
    let tree = tree(folder.path()).unwrap();
    assert_eq!(
        paths(&tree),
        [
            "archive/a.pem",
            "live/b.pem",
            "live/gone.pem",
            "live/me.pem",
            "other/a.pem"
        ]
    );
    assert_eq!(
        tree.content("live/b.pem"),
        Some(&Content::Bytes(b"x".to_vec()))
    );
    let gone = Content::Unreadable("is a link to nothing".to_owned());
    assert_eq!(tree.content("live/gone.pem"), Some(&gone));
    let [remark] = tree.remarks() else {
        panic!("{tree:?}");
    };
    assert!(
        remark.contains("live/up is a link that leads in a circle"),
        "{remark}"
    );
}

#[test]
fn what_lies_too_deep_is_told() {
    let deep = ["d"; DEPTH_MAX + 1].join("/");
    let folder = folder(&[&format!("{deep}/a.pem"), &format!("{}/b.pem", &deep[2..])]);
    let tree = tree(folder.path()).unwrap();
    assert_eq!(paths(&tree), [format!("{}/b.pem", &deep[2..])]);
    assert!(tree.remarks()[0].contains("folders deep"), "{tree:?}");
}

#[test]
fn what_is_too_large_is_told() {
    let folder = folder(&[]);
    let path = folder.path().join("a.json");
    File::create(&path)
        .unwrap()
        .set_len(FILE_BYTES_MAX + 1)
        .unwrap();
    let read = tree(folder.path()).unwrap();
    assert!(matches!(
        read.content("a.json"),
        Some(Content::Unreadable(_))
    ));
    assert!(matches!(tree(&path), Err(ImportError::TooLarge(_))));
}

#[test]
fn more_than_can_be_kept_is_refused_with_a_word() {
    let folder = folder(&["a.pem", "b.pem", "c/d.log"]);
    let within = |entries, bytes| tree_within(Limits { entries, bytes }, folder.path());
    assert!(within(4, 2).is_ok());
    let refused = within(3, 2).unwrap_err();
    assert!(matches!(refused, ImportError::TooMany(_)), "{refused}");
    assert!(refused.to_string().contains("name the tool's own folder"));
    let refused = within(4, 1).unwrap_err();
    assert!(matches!(refused, ImportError::TooMuch(_)), "{refused}");
}

#[test]
fn what_may_matter_is_told_from_the_rest() {
    for name in [
        "a.PEM",
        "x/acme.json",
        "x/cert",
        ".companion",
        "a.tar.gz",
        "secret.yml",
        "deactivated",
    ] {
        assert!(may_matter(name, 1), "{name}");
    }
    for name in ["a.log", "core", "a.gz", "a.test"] {
        assert!(!may_matter(name, 1), "{name}");
    }
    assert!(!may_matter("cert", BARE_FILE_BYTES_MAX + 1));
}

#[test]
fn odd_names_and_odd_files_are_no_trouble() {
    let folder = folder(&["..data/tls.pem"]);
    let name = std::ffi::OsStr::from_bytes(b"\xff\xfe\n.pem");
    replace(&folder.path().join(name), "x");
    let pipe = folder.path().join("pipe.pem");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let tree = tree(folder.path()).unwrap();
    assert_eq!(paths(&tree), ["\u{fffd}\u{fffd}\n.pem"]);
    let pipe = super::tree(&pipe);
    assert!(matches!(pipe, Err(ImportError::NotAFile(_))));
    let nothing = super::tree(&folder.path().join("none"));
    assert!(matches!(nothing, Err(ImportError::Missing(_))));
}

#[test]
fn what_may_not_be_read_is_told() {
    let folder = folder(&["live/a.pem", "b.pem"]);
    let lock = |path: &str| {
        let path = folder.path().join(path);
        fs::set_permissions(path, fs::Permissions::from_mode(0o000)).unwrap();
    };
    lock("live");
    lock("b.pem");
    if File::open(folder.path().join("b.pem")).is_ok() {
        // Root reads everything.
        return;
    }
    let tree = tree(folder.path()).unwrap();
    assert!(
        tree.remarks()[0].contains("live may not be read"),
        "{tree:?}"
    );
    assert!(matches!(
        tree.content("b.pem"),
        Some(Content::Unreadable(_))
    ));
    let denied = super::tree(&folder.path().join("live")).unwrap_err();
    assert!(denied.to_string().contains("sudo"), "{denied}");
}

#[test]
fn a_file_named_alone_brings_its_other_half() {
    let pair = Ca::new().pair(&["a.test"]);
    let folder = folder(&[]);
    let at = |name: &str| folder.path().join(name);
    replace(&at("a.crt"), &pair.chain);
    replace(&at("a.key"), &pair.key);
    let other = Ca::new().pair(&["b.test"]);
    replace(&at("b.crt"), &other.chain);
    let findings = read(&at("a.crt"), now()).unwrap();
    assert_eq!(sound(&findings).names, ["a.test"]);
    let findings = read(&at("a.key"), now()).unwrap();
    assert_eq!(sound(&findings).names, ["a.test"]);
}

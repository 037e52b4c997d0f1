//! Loading from real folders: included files, isolation, what is watched, and how it grows.

use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::*;
use crate::config::Unknown;
use crate::config::problem::{self, Color};
use crate::config::site::{Rule, Service, Site};

const MAIN: &str = "include = [\"sites/*.toml\"]\n[sites]\n\"main.test\" = \"3000\"\n";

struct Folder(TempDir);

impl Folder {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = Self(TempDir::new().unwrap());
        std::fs::create_dir(folder.0.path().join("sites")).unwrap();
        for (name, text) in files {
            folder.put(name, text);
        }
        folder
    }

    fn put(&self, name: &str, text: &str) {
        let mut file = File::create(self.0.path().join(name)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn load(&self, previous: Option<&Loaded>) -> Loaded {
        match load(&self.0.path().join(FILE_NAME), previous) {
            Ok(loaded) => loaded,
            Err(refused) => panic!(
                "{}",
                problem::render(&refused.problems, &refused.sources, Color::Never)
            ),
        }
    }
}

fn names(loaded: &Loaded) -> Vec<String> {
    let sites = loaded.config.sites.iter();
    sites.map(|site| site.names[0].to_string()).collect()
}

fn codes(problems: &[Problem]) -> Vec<&'static str> {
    problems.iter().map(|problem| problem.code).collect()
}

#[test]
fn included_files_add_their_sites_in_order() {
    let folder = Folder::new(&[
        (FILE_NAME, MAIN),
        ("sites/b.toml", "[sites]\n\"b.test\" = \"1\""),
        (
            "sites/a.toml",
            "[sites]\n\"a.test\" = { to = \"1\", cert = \"a.pem\", key = \"a.key\" }",
        ),
        ("sites/readme.txt", "not included"),
    ]);
    let loaded = folder.load(None);
    assert_eq!(names(&loaded), ["main.test", "a.test", "b.test"]);
    let shown = format!("{:?}", loaded.config.sites[1]);
    assert!(shown.contains("sites/a.pem"), "{shown}");
    let watched = |name: &str| loaded.watched.contains(&folder.0.path().join(name));
    for name in [FILE_NAME, "sites/a.toml", "sites/b.toml", "sites"] {
        assert!(watched(name), "{name}");
    }
    assert!(!watched("sites/readme.txt"));
}

#[test]
fn a_bad_included_file_keeps_its_last_good_sites() {
    let folder = Folder::new(&[
        (FILE_NAME, MAIN),
        (
            "sites/a.toml",
            "[sites]\n\"a.test\" = \"1\"\n\"moved.test\" = \"1\"",
        ),
        ("sites/b.toml", "[sites]\n\"b.test\" = \"1\""),
    ]);
    let first = folder.load(None);
    folder.put(
        "sites/a.toml",
        "[sites]\n\"a.test\" = \"1/x\"\n\"new.test\" = \"1\"",
    );
    folder.put(
        "sites/b.toml",
        "[sites]\n\"b.test\" = \"1\"\n\"moved.test\" = \"2\"",
    );
    let second = folder.load(Some(&first));
    assert_eq!(codes(&second.isolated), ["target-path"]);
    assert_eq!(
        names(&second),
        ["main.test", "b.test", "moved.test", "a.test"]
    );
    let third = folder.load(Some(&second));
    assert_eq!(names(&third), names(&second));
    let kept = third.config.sites[3].at;
    assert_eq!(
        third.sources.path(kept),
        Some(folder.0.path().join("sites/a.toml").as_path())
    );
    std::fs::remove_file(folder.0.path().join("sites/a.toml")).unwrap();
    assert_eq!(
        names(&folder.load(Some(&third))),
        ["main.test", "b.test", "moved.test"]
    );
}

#[test]
fn what_a_bad_file_named_is_free_for_others() {
    let folder = Folder::new(&[
        (FILE_NAME, MAIN),
        (
            "sites/a.toml",
            "[sites]\n\"x.test:8443\" = \"1\"\n\"y.test\" = \"oops\"",
        ),
        (
            "sites/b.toml",
            "[sites]\n\"x.test\" = { to = \"2\", tls = \"off\", listen = 8443 }",
        ),
    ]);
    let loaded = folder.load(None);
    assert_eq!(codes(&loaded.isolated), ["bad-target"]);
    assert_eq!(names(&loaded), ["main.test", "x.test"]);
}

#[test]
fn a_name_of_two_files_is_shown_in_both() {
    let folder = Folder::new(&[
        (FILE_NAME, MAIN),
        ("sites/a.toml", "[sites]\n\"main.test\" = \"1\""),
    ]);
    let loaded = folder.load(None);
    assert_eq!(codes(&loaded.isolated), ["duplicate-host"]);
    let text = problem::render(&loaded.isolated, &loaded.sources, Color::Never);
    assert!(text.contains("sites/a.toml:2:1"), "{text}");
    assert!(text.contains("proxy.toml:3:1"), "{text}");
}

#[test]
fn included_files_have_sites_only() {
    let folder = Folder::new(&[
        (FILE_NAME, MAIN),
        (
            "sites/a.toml",
            "include = []\nlisten = [1]\nfoo = 1\n[sites]",
        ),
        ("sites/b.toml", "[sites"),
        ("sites/c.toml", "[sites]\n\"c.test\" = \"1\""),
    ]);
    let loaded = folder.load(None);
    assert_eq!(
        codes(&loaded.isolated),
        ["misplaced-key", "misplaced-key", "unknown-key", "syntax"]
    );
    assert_eq!(names(&loaded), ["main.test", "c.test"]);
}

#[test]
fn a_missing_file_or_one_that_is_no_text_is_isolated() {
    let main =
        "unknown = \"gone.test\"\ninclude = [\"gone.toml\", \"sites/*.toml\", \"proxy.toml*\"]";
    let folder = Folder::new(&[(FILE_NAME, main)]);
    let mut file = File::create(folder.0.path().join("sites/a.toml")).unwrap();
    file.write_all(b"[sites]\n\"\xff\" = 1").unwrap();
    let loaded = folder.load(None);
    assert_eq!(codes(&loaded.isolated), ["unreadable", "unreadable"]);
    assert!(loaded.isolated[1].message.ends_with("line 2 is not UTF-8"));
    assert_eq!(loaded.config.unknown, Unknown::Reject);
    assert_eq!(codes(&loaded.warnings), ["unknown-site", "no-sites"]);
}

#[test]
fn a_missing_main_file_is_a_problem_without_a_place() {
    let refused = load(Path::new("/nonexistent/proxy.toml"), None).unwrap_err();
    assert_eq!(codes(&refused.problems), ["unreadable"]);
}

#[test]
fn arguments_join_the_sites_of_the_file() {
    let main = "listen = [8443]\n[defaults]\nhsts = \"1d\"\n[sites]\n\"a.test\" = \"1\"";
    let folder = Folder::new(&[(FILE_NAME, main)]);
    let path = folder.0.path().join(FILE_NAME);
    let arguments = ["b.test=3000".to_owned()];
    let loaded = load_with_arguments(&path, &arguments, None).unwrap();
    assert_eq!(names(&loaded), ["a.test", "b.test"]);
    assert_eq!(loaded.config.sites[1].listen[0].port, 8443);
    let again = ["a.test=3000".to_owned()];
    let refused = load_with_arguments(&path, &again, None).unwrap_err();
    assert_eq!(codes(&refused.problems), ["duplicate-host"]);
}

#[test]
fn many_sites_are_read_in_linear_time_and_share_what_is_equal() {
    const FILES: usize = 20;
    const SITES: usize = 500;
    let folder = Folder::new(&[(FILE_NAME, MAIN)]);
    for file in 0..FILES {
        let lines =
            (0..SITES).map(|site| format!("\"h{file}-{site}.test\" = \"localhost:3000\"\n"));
        let text: String = lines.collect();
        folder.put(&format!("sites/{file}.toml"), &format!("[sites]\n{text}"));
    }
    let begin = Instant::now();
    let loaded = folder.load(None);
    assert!(begin.elapsed() < Duration::from_secs(20));
    assert_eq!(loaded.config.sites.len(), FILES * SITES + 1);
    let shared = |site: &Site| format!("{:p} {:p}", site.listen, root(site));
    let first = shared(&loaded.config.sites[1]);
    assert!(
        loaded.config.sites[1..]
            .iter()
            .all(|site| shared(site) == first)
    );
    assert!(size_of::<Site>() <= 256);
}

fn root(site: &Site) -> *const Rule {
    match &site.service {
        Service::Secure(_, http) => Arc::as_ptr(http.root.as_ref().unwrap()),
        Service::Plain(_) | Service::Passthrough(_) | Service::Tcp(..) => panic!("{site:?}"),
    }
}

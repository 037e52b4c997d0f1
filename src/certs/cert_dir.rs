//! A folder of pairs, matched by the names in the certificates. Lists what is there; keys are not parsed here.
//!
//! Beside each other: `NAME.pem`, `.crt` or `.cer` with `NAME.key`, `NAME-key.pem`, `NAME.key.pem` or inside the same file; `fullchain.pem`
//! with `privkey.pem`. One level deeper only the latter.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::certs::facts::Facts;
use crate::certs::pem::{self, Contents, Key};
use crate::certs::stamp::Files;
use crate::hostname::HostPattern;

/// How many entries of the folder are looked at.
pub const ENTRIES_MAX: usize = 200_000;

/// The pairs of a folder by their names.
#[derive(Debug, Default)]
pub struct CertDir {
    pairs: Vec<Files>,
    /// Sorted; among equals the one that lasts longest comes first.
    names: Vec<(HostPattern, Reverse<SystemTime>, usize)>,
}

/// A file that was stepped over, and why.
#[derive(Debug)]
pub enum Problem {
    /// The folder itself cannot be listed.
    Unreadable { folder: PathBuf, source: io::Error },
    /// The folder has more than [`ENTRIES_MAX`] entries; the rest was not looked at.
    TooMany(PathBuf),
    /// It cannot be read, or is not well-formed.
    Damaged(pem::Error),
    /// Its first certificate cannot be parsed.
    BrokenCertificate(PathBuf),
    /// Nothing that belongs here.
    Foreign(PathBuf),
    /// A certificate whose key is nowhere.
    NoKey(PathBuf),
    /// A key whose certificate is nowhere.
    NoCertificate(PathBuf),
    /// The certificate names no host.
    NoNames(PathBuf),
}

impl CertDir {
    /// Lists a folder. What is damaged or foreign is stepped over and told.
    #[must_use]
    pub fn scan(folder: &Path) -> (Self, Vec<Problem>) {
        let mut scan = Scan::default();
        let entries = match entries(folder) {
            Ok(entries) => entries,
            Err(source) => {
                scan.problems.push(Problem::Unreadable {
                    folder: folder.to_owned(),
                    source,
                });
                Vec::new()
            }
        };
        if entries.len() > ENTRIES_MAX {
            scan.problems.push(Problem::TooMany(folder.to_owned()));
        }
        let (mut certs, mut keys) = (Vec::new(), Vec::new());
        for path in entries.into_iter().take(ENTRIES_MAX) {
            if path.is_dir() {
                certs.extend(Some(path.join("fullchain.pem")).filter(|path| path.exists()));
                continue;
            }
            match extension(&path) {
                "pem" | "crt" | "cer" => certs.push(path),
                "key" => keys.push(path),
                _ => scan.problems.push(Problem::Foreign(path)),
            }
        }
        for cert in certs {
            scan.take(cert, &mut keys);
        }
        let Scan {
            mut found,
            claimed,
            mut problems,
        } = scan;
        let orphans = keys.into_iter().filter(|key| !claimed.contains(key));
        problems.extend(orphans.map(Problem::NoCertificate));
        found.names.sort();
        (found, problems)
    }

    /// All of them, in the order of their files.
    #[must_use]
    pub fn pairs(&self) -> &[Files] {
        &self.pairs
    }

    /// The pairs for a pattern, best first: those that name it exactly before wildcards, later expiry before earlier.
    pub fn candidates<'a>(&'a self, pattern: &HostPattern) -> impl Iterator<Item = &'a Files> {
        let wildcard = match pattern {
            HostPattern::Exact(name) => name
                .parent()
                .and_then(|parent| HostPattern::parse(&format!("*.{parent}")).ok()),
            HostPattern::Wildcard(_) | HostPattern::CatchAll => None,
        };
        let exact = self.named(pattern);
        let wildcard = wildcard.map_or(&[][..], |wildcard| self.named(&wildcard));
        exact
            .iter()
            .chain(wildcard)
            .filter_map(|(_, _, index)| self.pairs.get(*index))
    }

    fn named(&self, pattern: &HostPattern) -> &[(HostPattern, Reverse<SystemTime>, usize)] {
        let start = self.names.partition_point(|(name, ..)| name < pattern);
        let rest = &self.names[start..];
        &rest[..rest.partition_point(|(name, ..)| name == pattern)]
    }
}

/// In the order of their names; hidden ones are left out, for they are temporary or the system's.
fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)?.take(ENTRIES_MAX + 1) {
        let entry = entry?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

fn extension(path: &Path) -> &str {
    path.extension()
        .and_then(|extension| extension.to_str())
        .unwrap_or_default()
}

#[derive(Default)]
struct Scan {
    found: CertDir,
    claimed: HashSet<PathBuf>,
    problems: Vec<Problem>,
}

impl Scan {
    /// Sorts a PEM file in: a pair, or a key for `keys`, or a problem.
    fn take(&mut self, path: PathBuf, keys: &mut Vec<PathBuf>) {
        let contents = match Contents::read(&path) {
            Ok(contents) => contents,
            Err(error) => return self.problems.push(Problem::Damaged(error)),
        };
        let Some(der) = contents.certificates.first() else {
            match contents.key {
                Key::Plain(_) | Key::Encrypted => keys.push(path),
                Key::Absent => self.problems.push(Problem::Foreign(path)),
            }
            return;
        };
        let Ok((_rest, leaf)) = x509_parser::parse_x509_certificate(der) else {
            return self.problems.push(Problem::BrokenCertificate(path));
        };
        let facts = Facts::of(&leaf);
        let key = match contents.key {
            Key::Plain(_) | Key::Encrypted => path.clone(),
            Key::Absent => match key_beside(&path) {
                Some(key) => key,
                None => return self.problems.push(Problem::NoKey(path)),
            },
        };
        self.claimed.insert(key.clone());
        if facts.names.is_empty() {
            return self.problems.push(Problem::NoNames(path));
        }
        let index = self.found.pairs.len();
        self.found.pairs.push(Files { cert: path, key });
        let until = Reverse(facts.not_after);
        let names = facts.names.into_iter().map(|name| (name, until, index));
        self.found.names.extend(names);
    }
}

fn key_beside(cert: &Path) -> Option<PathBuf> {
    let name = cert.file_stem()?.to_str()?;
    let mut candidates = vec![
        format!("{name}.key"),
        format!("{name}-key.pem"),
        format!("{name}.key.pem"),
    ];
    if name == "fullchain" {
        candidates.push("privkey.pem".to_owned());
    }
    candidates
        .into_iter()
        .map(|candidate| cert.with_file_name(candidate))
        .find(|candidate| candidate.is_file())
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { folder, .. } => write!(f, "cannot list {}", folder.display()),
            Self::TooMany(folder) => write!(
                f,
                "{} has more than {ENTRIES_MAX} entries: the rest is not used",
                folder.display()
            ),
            Self::Damaged(error) => error.fmt(f),
            Self::BrokenCertificate(path) => {
                write!(f, "the certificate in {} cannot be parsed", path.display())
            }
            Self::Foreign(path) => {
                write!(f, "{} has neither certificate nor key", path.display())
            }
            Self::NoKey(path) => write!(
                f,
                "no key for {}: put it beside, with the extension `key`",
                path.display()
            ),
            Self::NoCertificate(path) => write!(f, "no certificate for {}", path.display()),
            Self::NoNames(path) => write!(
                f,
                "the certificate in {} names no host (subject alternative names)",
                path.display()
            ),
        }
    }
}

impl std::error::Error for Problem {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unreadable { source, .. } => Some(source),
            Self::Damaged(error) => error.source(),
            Self::TooMany(_)
            | Self::BrokenCertificate(_)
            | Self::Foreign(_)
            | Self::NoKey(_)
            | Self::NoCertificate(_)
            | Self::NoNames(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::certs::fixture::{Authority, days, noon, replace};

    struct Place {
        folder: TempDir,
        authority: Authority,
    }

    impl Place {
        fn new() -> Self {
            Self {
                folder: tempfile::tempdir().unwrap(),
                authority: Authority::new(),
            }
        }

        fn pair(&self, names: &[&str], lasting: u64, cert: &str, key: &str) {
            self.authority.write_pair(
                names,
                noon()..noon() + days(lasting),
                &self.folder.path().join(cert),
                &self.folder.path().join(key),
            );
        }

        fn put(&self, name: &str, text: &str) {
            replace(&self.folder.path().join(name), text);
        }

        #[track_caller]
        fn check(&self, pattern: &str, expected: &[(&str, &str)]) {
            let (found, _) = CertDir::scan(self.folder.path());
            let pattern = HostPattern::parse(pattern).unwrap();
            let relative = |path: &Path| {
                let path = path.strip_prefix(self.folder.path()).unwrap();
                path.to_str().unwrap().to_owned()
            };
            let names: Vec<_> = found
                .candidates(&pattern)
                .map(|files| (relative(&files.cert), relative(&files.key)))
                .collect();
            let expected: Vec<_> = expected
                .iter()
                .map(|(cert, key)| ((*cert).to_owned(), (*key).to_owned()))
                .collect();
            assert_eq!(names, expected, "{pattern}");
        }
    }

    #[test]
    fn common_layouts_are_recognised() {
        let place = Place::new();
        place.pair(&["a.test"], 90, "a.pem", "a.key");
        place.pair(&["b.test"], 90, "b.crt", "b-key.pem");
        place.pair(&["c.test"], 90, "c.cer", "c.key.pem");
        fs::create_dir(place.folder.path().join("d.test")).unwrap();
        place.pair(
            &["d.test"],
            90,
            "d.test/fullchain.pem",
            "d.test/privkey.pem",
        );
        let both = place.authority.leaf(&["e.test"], noon()..noon() + days(90));
        place.put("e.pem", &format!("{}{}", both.key_pem, both.pem));
        place.check("a.test", &[("a.pem", "a.key")]);
        place.check("b.test", &[("b.crt", "b-key.pem")]);
        place.check("c.test", &[("c.cer", "c.key.pem")]);
        place.check("d.test", &[("d.test/fullchain.pem", "d.test/privkey.pem")]);
        place.check("e.test", &[("e.pem", "e.pem")]);
        let (_, problems) = CertDir::scan(place.folder.path());
        assert!(problems.is_empty(), "{problems:?}");
    }

    #[test]
    fn an_exact_name_beats_a_wildcard_and_later_expiry_wins() {
        let place = Place::new();
        place.pair(&["*.x.test"], 900, "wild.pem", "wild.key");
        place.pair(&["a.x.test"], 30, "old.pem", "old.key");
        place.pair(&["a.x.test"], 60, "young.pem", "young.key");
        let wild = ("wild.pem", "wild.key");
        place.check(
            "a.x.test",
            &[("young.pem", "young.key"), ("old.pem", "old.key"), wild],
        );
        place.check("b.x.test", &[wild]);
        place.check("*.x.test", &[wild]);
        place.check("x.test", &[]);
        place.check("*", &[]);
    }

    #[test]
    fn damaged_and_foreign_files_are_named_and_stepped_over() {
        let place = Place::new();
        place.pair(&["a.test"], 90, "a.pem", "a.key");
        place.pair(&["b.test"], 90, "lonely.pem", "elsewhere.key");
        place.pair(&[], 90, "nameless.pem", "nameless.key");
        place.put("broken.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n");
        place.put("notes.pem", "nothing");
        place.put("README", "nothing");
        place.put(".hidden.pem", "nothing");
        place.check("a.test", &[("a.pem", "a.key")]);
        place.check("b.test", &[]);
        let (_, problems) = CertDir::scan(place.folder.path());
        let mut words: Vec<_> = problems
            .iter()
            .map(|problem| {
                problem
                    .to_string()
                    .replace(place.folder.path().to_str().unwrap(), "")
            })
            .collect();
        words.sort();
        assert_eq!(
            words,
            [
                "/README has neither certificate nor key",
                "/broken.pem is not well-formed PEM",
                "/notes.pem has neither certificate nor key",
                "no certificate for /elsewhere.key",
                "no key for /lonely.pem: put it beside, with the extension `key`",
                "the certificate in /nameless.pem names no host (subject alternative names)",
            ]
        );
    }

    #[test]
    fn a_folder_that_is_not_there_is_a_problem() {
        let (found, problems) = CertDir::scan(Path::new("/nowhere-at-all"));
        assert!(found.pairs.is_empty());
        assert!(matches!(problems[..], [Problem::Unreadable { .. }]));
    }
}

//! Making an offer: loading as ever, and keeping all that was read and will be.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::include::Globs;
use crate::config::named::files_of;
use crate::config::offer::{Contents, OFFERED_BYTES_MAX, OFFERED_FILES_MAX, Offer, OfferedText};
use crate::config::outcome::{Loaded, Refused};
use crate::config::problem::{Located, Problem, Source, Sources};
use crate::config::problems::Problems;
use crate::config::read::{self, Files, Included, Unread};

/// Entries of a folder of pairs that are looked at.
const ENTRIES_MAX: usize = 200_000;
/// What a folder of pairs has in a folder of its own for each certificate.
const IN_SUBFOLDER: &[&str] = &[
    "fullchain.pem",
    "privkey.pem",
    "fullchain.key",
    "fullchain-key.pem",
    "fullchain.key.pem",
];

impl Offer {
    /// Loads the file `main`, if there is one, and the sites `HOST=TARGET` of a command line, and offers it with all that it names. A
    /// certificate that cannot be read is left out, for whoever would serve it to tell.
    ///
    /// # Errors
    /// As [`super::load`]; or it is more than one offer may hold.
    pub fn of(
        main: Option<&Path>,
        arguments: &[String],
        previous: Option<&Loaded>,
    ) -> Result<(Self, Loaded), Refused> {
        let arguments: Vec<String> = arguments.iter().map(|text| absolute_target(text)).collect();
        let (mut offer, mut loaded) = match main {
            Some(main) => offer_of_file(main, &arguments, previous)?,
            None => (Self::default(), read::from_arguments(&arguments)?),
        };
        offer.arguments = arguments;
        offer.take_files(&mut loaded)?;
        offer.within_limits()?;
        Ok((offer, loaded))
    }

    /// Takes in the files that are read later.
    fn take_files(&mut self, loaded: &mut Loaded) -> Result<(), Refused> {
        let mut paths: Vec<PathBuf> = Vec::new();
        files_of(&mut loaded.config, &mut |path| paths.push(path.clone()));
        if let Some(folder) = &loaded.config.cert_dir {
            paths.extend(pairs_in(&folder.value).unwrap_or_default());
        }
        for path in paths {
            if self.files.len() > OFFERED_FILES_MAX || self.files.contains_key(&path) {
                continue;
            }
            let most = u64::try_from(OFFERED_BYTES_MAX).unwrap_or(u64::MAX);
            if let Ok(bytes) = super::bytes(&path, most) {
                self.files.insert(path, Contents(bytes));
                self.within_limits()?;
            }
        }
        Ok(())
    }
}

fn offer_of_file(
    main: &Path,
    arguments: &[String],
    previous: Option<&Loaded>,
) -> Result<(Offer, Loaded), Refused> {
    let (main, text) = std::path::absolute(main)
        .and_then(|path| super::text(&path).map(|text| (path, text)))
        .map_err(|error| {
            let message = format!("cannot read {}: {error}", main.display());
            Refused {
                problems: vec![Problem::error("unreadable", message)],
                sources: Sources::default(),
            }
        })?;
    let offered = OfferedText {
        path: main.clone(),
        text: text.clone(),
        unreadable: None,
    };
    let offer = Offer {
        main: Some(offered),
        ..Offer::default()
    };
    let mut recorder = Recorder {
        globs: Globs::beside(&main),
        offer,
    };
    let source = Source { path: main, text };
    let mut loaded = read::assemble(Some(source), arguments, &mut recorder, previous)?;
    loaded.watched = recorder.globs.watched();
    Ok((recorder.offer, loaded))
}

/// The relative path of a socket means the folder that this process is in.
fn absolute_target(argument: &str) -> String {
    let absolute = || {
        let (host, target) = argument.split_once('=')?;
        let path = target.strip_prefix("unix:")?;
        let path = path.strip_prefix("//").unwrap_or(path);
        let path = std::path::absolute(path).ok()?;
        Some(format!("{host}=unix:{}", path.to_str()?))
    };
    absolute().unwrap_or_else(|| argument.to_owned())
}

/// All that may be a pair in a folder of pairs, or one level deeper in it.
fn pairs_in(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)?.take(ENTRIES_MAX) {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let path = entry.path();
        if path.is_dir() {
            found.extend(IN_SUBFOLDER.iter().map(|name| path.join(name)));
        } else if path.extension().is_some_and(|extension| {
            ["pem", "crt", "cer", "key"]
                .iter()
                .any(|known| extension == *known)
        }) {
            found.push(path);
        }
    }
    found.retain(|path| path.is_file());
    found.sort();
    Ok(found)
}

/// Looks at the file system, and keeps what it saw.
struct Recorder {
    globs: Globs,
    offer: Offer,
}

impl Files for Recorder {
    fn find(&mut self, patterns: &[Located<PathBuf>], problems: &mut Problems) -> Vec<Included> {
        let found = self.globs.find(patterns, problems);
        let offered = found.iter().map(|included| OfferedText {
            path: included.source.path.clone(),
            text: included.source.text.clone(),
            unreadable: included
                .unreadable
                .as_ref()
                .map(|problem| problem.message.clone()),
        });
        self.offer.included.extend(offered);
        found
    }

    fn content(&mut self, path: &Path) -> Result<Vec<u8>, Unread> {
        let bytes = self.globs.content(path)?;
        self.offer
            .files
            .insert(path.to_owned(), Contents(bytes.clone()));
        Ok(bytes)
    }

    fn variable(&mut self, name: &str) -> Result<String, Unread> {
        let value = self.globs.variable(name)?;
        self.offer.variables.insert(name.to_owned(), value.clone());
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::config::site::Service;

    struct Folder(TempDir);

    impl Folder {
        fn new(files: &[(&str, &str)]) -> Self {
            let folder = Self(TempDir::new().unwrap());
            for (name, text) in files {
                let path = folder.path(name);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                folder.put(name, text);
            }
            folder
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn put(&self, name: &str, text: &str) {
            use std::io::Write as _;
            let mut file = fs::File::create(self.path(name)).unwrap();
            file.write_all(text.as_bytes()).unwrap();
        }

        fn offer(&self, previous: Option<&Loaded>) -> Result<(Offer, Loaded), Refused> {
            Offer::of(Some(&self.path("proxy.toml")), &[], previous)
        }
    }

    /// What is there after the way over the wire.
    fn carried(offer: &Offer) -> Offer {
        serde_json::from_str(&serde_json::to_string(offer).unwrap()).unwrap()
    }

    fn shown(loaded: &Loaded) -> String {
        format!("{:?}", loaded.config)
    }

    const MAIN: &str = r#"
        include = ["sites/*.toml"]
        acme = { email = "ada@example.com", eab = { kid = "k", hmac = { file = "hmac" } } }
        [tls]
        cert_dir = "pairs"
        [sites]
        "own.example.com" = { to = "3000", cert = "own.pem", key = "gone.key" }
        "up.test" = { to = { url = "https://up.test", ca = "ca.pem" } }
        "local.test" = "unix:app.sock"
    "#;

    fn whole() -> Folder {
        Folder::new(&[
            ("proxy.toml", MAIN),
            ("hmac", "c2VjcmV0LXNlY3JldC1zZWNyZXQ="),
            ("own.pem", "a certificate"),
            ("ca.pem", "roots"),
            ("pairs/a.pem", "a"),
            ("pairs/a.key", "a's key"),
            ("pairs/b.test/fullchain.pem", "b"),
            ("pairs/b.test/privkey.pem", "b's key"),
            ("pairs/b.test/notes.txt", "no pair"),
            ("pairs/.hidden.pem", "no pair"),
            (
                "sites/c.toml",
                "[sites]\n\"c.test\" = { to = \"1\", tls = \"internal\" }",
            ),
            ("sites/bad.toml", "[sites]\n\"d.test\" = \"oops\""),
        ])
    }

    #[test]
    fn what_is_offered_is_read_as_it_was_here_without_a_look_at_any_file() {
        let folder = whole();
        let (offer, loaded) = folder.offer(None).unwrap();
        let carried = carried(&offer);
        assert!(carried == offer);
        let expected = shown(&loaded);
        drop(folder);
        let read = carried.read(None).unwrap();
        assert_eq!(shown(&read), expected);
        assert_eq!(read.isolated, loaded.isolated);
        assert_eq!(read.isolated.len(), 1);
    }

    #[test]
    fn what_guards_and_pages_name_is_offered_and_read_the_same_elsewhere() {
        let named = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/named");
        let text = |name: &str| fs::read_to_string(named.join(name)).unwrap();
        let main = r#"
            [defaults]
            errors = { 5xx = "down.html" }
            [sites."a.test"]
            to = "3000"
            auth = { basic = "users" }
            client_ca = "clients.pem"
        "#;
        let folder = Folder::new(&[
            ("proxy.toml", main),
            ("users", &text("users")),
            ("down.html", &text("down.html")),
            ("clients.pem", &text("clients.pem")),
        ]);
        let (offer, loaded) = folder.offer(None).unwrap();
        assert!(loaded.watched.contains(&folder.path("users")));
        let carried = carried(&offer);
        drop(folder);
        let read = carried.read(None).unwrap();
        assert_eq!(
            read.config.sites[0]
                .service
                .http()
                .unwrap()
                .root
                .as_ref()
                .unwrap()
                .guard,
            {
                let http = loaded.config.sites[0].service.http();
                http.unwrap().root.as_ref().unwrap().guard.clone()
            }
        );
        assert_eq!(shown(&read), shown(&loaded));
        assert!(!shown(&read).contains("$2y$"));
        let mut without = offer;
        without.files.clear();
        let codes: Vec<_> = without.read(None).unwrap_err().problems;
        let codes: Vec<_> = codes.iter().map(|problem| problem.code).collect();
        assert_eq!(codes, ["unreadable"; 3]);
    }

    #[test]
    fn everything_that_is_read_later_is_in_the_offer_if_it_is_there() {
        let folder = whole();
        let (offer, loaded) = folder.offer(None).unwrap();
        let names: Vec<_> = offer
            .within(folder.0.path())
            .map(|(path, _)| path.to_str().unwrap())
            .collect();
        let expected = [
            "ca.pem",
            "hmac",
            "own.pem",
            "pairs/a.key",
            "pairs/a.pem",
            "pairs/b.test/fullchain.pem",
            "pairs/b.test/privkey.pem",
        ];
        assert_eq!(names, expected);
        assert!(loaded.watched.contains(&folder.path("proxy.toml")));
        let debug = format!("{offer:?}");
        assert!(!debug.contains("c2VjcmV0"), "{debug}");
    }

    #[test]
    fn a_file_that_went_bad_keeps_its_sites_on_both_sides() {
        let folder = whole();
        let (first, loaded) = folder.offer(None).unwrap();
        let served = first.read(None).unwrap();
        folder.put("sites/c.toml", "[sites");
        let (second, loaded) = folder.offer(Some(&loaded)).unwrap();
        let served = carried(&second).read(Some(&served)).unwrap();
        assert_eq!(shown(&served), shown(&loaded));
        assert_eq!(served.config.sites.len(), 4);
    }

    #[test]
    fn a_bad_file_is_refused_here() {
        let folder = Folder::new(&[("proxy.toml", "[sites]\n\"a.test\" = \"oops\"")]);
        assert_eq!(
            folder.offer(None).unwrap_err().problems[0].code,
            "bad-target"
        );
        let gone = Offer::of(Some(&folder.path("gone.toml")), &[], None);
        assert_eq!(gone.unwrap_err().problems[0].code, "unreadable");
    }

    #[test]
    fn arguments_mean_the_folder_they_were_typed_in() {
        let arguments = ["a.test=unix:app.sock", "b.test=3000"].map(str::to_owned);
        let (offer, loaded) = Offer::of(None, &arguments, None).unwrap();
        let expected = std::path::absolute("app.sock").unwrap();
        let typed = format!("a.test=unix:{}", expected.display());
        assert_eq!(offer.arguments, [typed, "b.test=3000".to_owned()]);
        let Service::Secure(_, http) = &loaded.config.sites[0].service else {
            panic!("{loaded:?}");
        };
        assert!(format!("{http:?}").contains(expected.to_str().unwrap()));
        assert_eq!(shown(&offer.read(None).unwrap()), shown(&loaded));
    }

    #[test]
    fn too_much_is_refused_on_both_sides() {
        let folder = whole();
        folder.put("pairs/huge.pem", &"x".repeat(OFFERED_BYTES_MAX));
        let refused = folder.offer(None).unwrap_err();
        assert_eq!(refused.problems[0].code, "offer-too-large");
        let mut offer = Offer::default();
        for number in 0..=OFFERED_FILES_MAX {
            let path = PathBuf::from(format!("/{number}"));
            offer.files.insert(path, Contents(Vec::new()));
        }
        let refused = offer.read(None).unwrap_err();
        assert!(refused.problems[0].message.contains("4097 files"));
    }

    #[test]
    fn every_file_that_is_read_later_can_be_put_elsewhere() {
        let folder = whole();
        let (offer, _) = folder.offer(None).unwrap();
        let mut loaded = offer.read(None).unwrap();
        files_of(&mut loaded.config, &mut |path| {
            *path = Path::new("/kept").join(path.file_name().unwrap());
        });
        let mut paths = Vec::new();
        files_of(&mut loaded.config, &mut |path| paths.push(path.clone()));
        let expected = ["/kept/own.pem", "/kept/gone.key", "/kept/ca.pem"].map(PathBuf::from);
        assert_eq!(paths, expected);
    }
}

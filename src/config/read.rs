//! Texts in, configuration or problems out: the pure part of loading.

use std::path::{Path, PathBuf};

use super::arguments::ARGUMENTS_NAME;
use super::document::{Document, Origin};
use super::doorway::Doorway;
use super::keys;
use super::names::Key;
use super::outcome::{Loaded, Read, Refused};
use super::problem::{Located, Problem, Source, Sources};
use super::problems::Problems;
use super::reader::Table;
use super::settings::Settings;
use super::site::Site;
use super::unquoted;
use super::walk::Walk;
use super::{Config, Unknown};

/// A file that `include` names.
#[derive(Debug)]
pub(super) struct Included {
    /// Empty if it could not be read.
    pub(super) source: Source,
    pub(super) unreadable: Option<Problem>,
}

/// What the texts only name: other files, and variables.
pub(super) trait Files {
    /// The files that the patterns name, in order, each once.
    fn find(&mut self, patterns: &[Located<PathBuf>], problems: &mut Problems) -> Vec<Included>;

    /// What is in a small file.
    fn content(&mut self, path: &Path) -> Result<Vec<u8>, Unread>;

    /// The value of an environment variable.
    fn variable(&mut self, name: &str) -> Result<String, Unread>;
}

/// Why something that a text names was not read.
#[derive(Debug)]
pub(super) enum Unread {
    /// The text stands alone.
    NobodyLooks,
    Because(String),
}

/// Knows nothing else, for texts that stand alone.
#[derive(Debug)]
struct NoFiles;

impl Files for NoFiles {
    fn find(&mut self, _patterns: &[Located<PathBuf>], _problems: &mut Problems) -> Vec<Included> {
        Vec::new()
    }

    fn content(&mut self, _path: &Path) -> Result<Vec<u8>, Unread> {
        Err(Unread::NobodyLooks)
    }

    fn variable(&mut self, _name: &str) -> Result<String, Unread> {
        Err(Unread::NobodyLooks)
    }
}

/// Reads a text as the file `path` would be read, without looking at any file or variable: `include` finds nothing, and secrets that
/// are kept elsewhere stay empty.
///
/// # Errors
/// All problems of the text at once.
pub fn read(path: &Path, text: &str) -> Result<Loaded, Refused> {
    let source = Source {
        path: path.to_owned(),
        text: text.to_owned(),
    };
    assemble(Some(source), &[], &mut NoFiles, None)
}

/// Reads sites from a command line, each `HOST=TARGET`; everything else has its default.
///
/// # Errors
/// All problems of the arguments at once.
pub fn from_arguments(arguments: &[String]) -> Result<Loaded, Refused> {
    assemble(None, arguments, &mut NoFiles, None)
}

/// Reads the main file, the arguments, and what the file includes.
pub(super) fn assemble(
    main: Option<Source>,
    arguments: &[String],
    files: &mut dyn Files,
    previous: Option<&Loaded>,
) -> Result<Loaded, Refused> {
    assemble_at(None, main, arguments, files, previous)
}

/// The same for a door that is there already, and whose sockets are the defaults.
pub(super) fn assemble_at(
    doorway: Option<&Doorway>,
    main: Option<Source>,
    arguments: &[String],
    files: &mut dyn Files,
    previous: Option<&Loaded>,
) -> Result<Loaded, Refused> {
    let mut own: Vec<Source> = main.into_iter().collect();
    let has_main = !own.is_empty();
    if !arguments.is_empty() {
        own.push(Source {
            path: PathBuf::from(ARGUMENTS_NAME),
            text: arguments.join("\n"),
        });
    }
    let arguments = (!arguments.is_empty()).then(|| own.len() - 1);
    let main = has_main.then_some(0);
    let (read, included, earlier) = {
        let main = main.map(|index| document(index, &own[index]));
        let arguments = arguments.map(|index| origin(index, &own[index]));
        let mut reading = Reading::begin(doorway, main.as_ref(), arguments.as_ref(), files);
        let included = reading.find(main.as_ref());
        let documents: Vec<_> = included
            .iter()
            .enumerate()
            .map(|(index, file)| document(own.len() + index, &file.source))
            .collect();
        reading.own_sites(main.as_ref(), arguments.as_ref());
        let earlier = reading.included_sites(&included, &documents, previous);
        let read = reading.end(main.as_ref());
        drop(documents);
        (read, included, earlier)
    };
    let mut sources = Sources { files: own };
    sources
        .files
        .extend(included.into_iter().map(|file| file.source));
    sources.files.extend(earlier);
    read.sort_out(sources)
}

fn origin(index: usize, source: &Source) -> Origin<'_> {
    let index = u32::try_from(index).unwrap_or(u32::MAX);
    Origin::new(index, &source.path, &source.text)
}

fn document(index: usize, source: &Source) -> Document<'_> {
    Document::parse(origin(index, source))
}

/// The walk, and what it has found.
struct Reading<'a> {
    walk: Walk<'a>,
    sites: Vec<Site>,
    isolated: Vec<Problem>,
    /// The first source that is an included file.
    first_included: u32,
}

impl<'a> Reading<'a> {
    fn begin(
        doorway: Option<&Doorway>,
        main: Option<&'a Document<'a>>,
        arguments: Option<&Origin<'_>>,
        files: &'a mut dyn Files,
    ) -> Self {
        let mut problems = Problems::default();
        let top = main.map(Document::top);
        if let Some(main) = main {
            main.report_syntax(&mut problems);
        }
        let mut settings = Settings::at(doorway);
        if let Some(top) = &top {
            check_top(top, &mut problems);
            settings = settings.read(top, files, &mut problems);
        }
        let defaults = top
            .and_then(|top| top.get("defaults"))
            .and_then(|item| item.table("a table", &mut problems));
        if let Some(defaults) = defaults {
            defaults.check_keys(&keys::DEFAULTS, &mut problems);
        }
        let first_included = u32::from(main.is_some()) + u32::from(arguments.is_some());
        Self {
            walk: Walk::new(settings, defaults, files, problems),
            sites: Vec::new(),
            isolated: Vec::new(),
            first_included,
        }
    }

    fn find(&mut self, main: Option<&'a Document<'a>>) -> Vec<Included> {
        let Some(item) = main.and_then(|main| main.top().get("include")) else {
            return Vec::new();
        };
        let Some(list) = item.as_list() else {
            item.wrong_type(
                "a list of paths such as [\"sites/*.toml\"]",
                &mut self.walk.problems,
            );
            return Vec::new();
        };
        let problems = &mut self.walk.problems;
        let patterns: Vec<_> = list.iter().filter_map(|item| item.path(problems)).collect();
        self.walk.enclosed.files.find(&patterns, problems)
    }

    fn own_sites(&mut self, main: Option<&'a Document<'a>>, arguments: Option<&Origin<'a>>) {
        if let Some(table) = main.and_then(|main| sites(&main.top(), &mut self.walk.problems)) {
            self.sites.extend(self.walk.sites(&table));
        }
        if let Some(arguments) = arguments {
            self.sites.extend(self.walk.arguments(arguments));
        }
        self.walk.keep();
    }

    /// Reads the included files one by one; the sites of bad ones are taken from `previous`, whose texts are returned.
    fn included_sites(
        &mut self,
        included: &[Included],
        documents: &'a [Document<'a>],
        previous: Option<&Loaded>,
    ) -> Vec<Source> {
        let mut bad = Vec::new();
        for (file, document) in included.iter().zip(documents) {
            if let Some(problem) = &file.unreadable {
                self.isolated.push(problem.clone());
                bad.push(file);
            } else if !self.included_file(document) {
                bad.push(file);
            }
        }
        let mut earlier = Vec::new();
        for file in bad {
            let next = self.first_included as usize + included.len() + earlier.len();
            earlier.extend(self.earlier_sites(&file.source.path, next, previous));
        }
        earlier
    }

    /// Whether the file was good and its sites are taken.
    fn included_file(&mut self, document: &'a Document<'a>) -> bool {
        let walk = &mut self.walk;
        document.report_syntax(&mut walk.problems);
        let top = document.top();
        check_included(&top, &mut walk.problems);
        let sites = match sites(&top, &mut walk.problems) {
            Some(table) => walk.sites(&table),
            None => Vec::new(),
        };
        walk.problems.forget_echoes(document);
        let good = !walk.problems.is_faulty(document.origin.file);
        if good {
            walk.keep();
            self.sites.extend(sites);
        } else {
            walk.give_back();
        }
        good
    }

    fn earlier_sites(
        &mut self,
        path: &Path,
        next: usize,
        previous: Option<&Loaded>,
    ) -> Option<Source> {
        let previous = previous?;
        let index = u32::try_from(next).ok()?;
        let mut source = None;
        for site in &previous.config.sites {
            if previous.sources.path(site.at) == Some(path) {
                source = source.or_else(|| previous.sources.source(site.at));
                self.sites.extend(self.walk.keep_earlier(site, index));
            }
        }
        source.cloned()
    }

    fn end(mut self, main: Option<&Document<'_>>) -> Read {
        self.walk.finish(&self.sites);
        if let Some(main) = main {
            self.walk.problems.forget_echoes(main);
        }
        let unknown = self.unknown();
        let settings = self.walk.settings;
        Read {
            config: Config {
                listen: settings.listen.list,
                http: settings.http.list.to_vec(),
                storage: settings.storage,
                acme: settings.acme.map(|(acme, _places)| acme),
                alerts: settings.alerts,
                control: settings.control,
                unknown,
                workers: settings.workers,
                drain: settings.drain,
                cert_dir: settings.cert_dir,
                local_suffixes: settings.local_suffixes,
                keep_root_key: settings.keep_root_key,
                limits: settings.limits,
                trust: settings.trust,
                resolver: settings.resolver,
                log: settings.log,
                sites: self.sites,
            },
            hidden: self.walk.problems.hidden().to_vec(),
            problems: self.walk.problems.into_sorted(),
            isolated: self.isolated,
            first_included: self.first_included,
        }
    }

    /// Finds the site that `unknown` names. If it may stand in a file that is bad, this is no fault of the main one.
    fn unknown(&mut self) -> Unknown {
        let Some(named) = self.walk.settings.unknown.clone() else {
            return Unknown::Reject;
        };
        let found = Key::parse(&named.value).ok().and_then(|key| {
            self.sites.iter().position(|site| {
                let port = key.port;
                site.names.contains(&key.name)
                    && port.is_none_or(|port| site.listen.iter().any(|listen| listen.port == port))
            })
        });
        if let Some(index) = found {
            return Unknown::Serve(index);
        }
        let message = format!("there is no site `{}`", named.value);
        let problems = &mut self.walk.problems;
        let problem = if self.isolated.is_empty() && !problems.has_errors() {
            Problem::error("unknown-site", message)
        } else {
            Problem::warning("unknown-site", message)
        };
        problems.push(
            problem
                .at(named.at, "names nobody")
                .help("`unknown` is \"reject\" or the name of a site"),
        );
        Unknown::Reject
    }
}

fn sites<'a>(top: &Table<'a>, problems: &mut Problems) -> Option<Table<'a>> {
    top.get("sites")?.table(
        "a table: [sites], and under it \"host\" = \"target\"",
        problems,
    )
}

fn check_top(top: &Table<'_>, problems: &mut Problems) {
    for item in top.in_order() {
        let Some(problem) = keys::TOP.problem(item.key, item.key_at) else {
            continue;
        };
        if unquoted::report(item.origin, item.key_at, item.value(), problems) {
            continue;
        }
        problems.push(
            if problem.code == "unknown-key" && item.key.contains(['.', '*']) {
                problem.help(format!(
                    "sites stand under `[sites]`:\n[sites]\n\"{}\" = …",
                    item.key
                ))
            } else {
                problem
            },
        );
    }
}

fn check_included(top: &Table<'_>, problems: &mut Problems) {
    for item in top.in_order() {
        if item.key == "sites" {
            continue;
        }
        if keys::TOP.known.contains(&item.key) || keys::TOP.unbuilt.contains(&item.key) {
            problems.error(
                "misplaced-key",
                format!("`{}` cannot be set in an included file", item.key),
                item.key_at,
                "included files have `[sites]` only",
                "move it to the main file",
            );
        } else if let Some(problem) = keys::INCLUDED.problem(item.key, item.key_at) {
            problems.push(problem);
        }
    }
}

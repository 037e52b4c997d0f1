//! One TOML text, parsed as far as it goes, with what its syntax errors say.

use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::DeTable;

use super::problem::{At, Problem};
use super::problems::Problems;
use super::reader::Table;

/// Which text a value comes from, and the folder its relative paths start at.
#[derive(Debug)]
pub(super) struct Origin<'a> {
    pub(super) file: u32,
    pub(super) folder: PathBuf,
    pub(super) text: &'a str,
}

/// A parsed text.
#[derive(Debug)]
pub(super) struct Document<'a> {
    pub(super) origin: Origin<'a>,
    pub(super) root: Spanned<DeTable<'a>>,
    syntax: Vec<toml::de::Error>,
    /// The lines with syntax errors, in order.
    broken: Vec<Range<usize>>,
}

/// The syntax errors of one file that are reported.
const SYNTAX_ERRORS_MAX: usize = 100;
/// How the parser names a key that is there twice.
const DUPLICATE: &str = "duplicate key";
const SYNTAX_CODES: &[&str] = &["syntax", "duplicate-key", "duplicate-host"];
/// Keys whose values are mostly secrets.
const SECRET_KEYS: &[&str] = &[
    "hmac",
    "secret",
    "token",
    "password",
    "webhook",
    "access_key",
];
const MISSING_CODES: &[&str] = &[
    "no-action",
    "missing-key",
    "incomplete-pair",
    "unknown-site",
];

impl<'a> Origin<'a> {
    pub(super) fn new(file: u32, path: &Path, text: &'a str) -> Self {
        Self {
            file,
            folder: path.parent().map(Path::to_owned).unwrap_or_default(),
            text,
        }
    }

    pub(super) fn at(&self, span: Range<usize>) -> At {
        At::new(self.file, span)
    }

    /// The text of a span, empty if it lies outside.
    pub(super) fn slice(&self, at: At) -> &'a str {
        let start = usize::try_from(at.start).unwrap_or(usize::MAX);
        let end = usize::try_from(at.end).unwrap_or(usize::MAX);
        self.text.get(start..end).unwrap_or_default()
    }

    /// What follows a span.
    pub(super) fn after(&self, at: At) -> &'a str {
        let end = usize::try_from(at.end).unwrap_or(usize::MAX);
        self.text.get(end..).unwrap_or_default()
    }
}

impl<'a> Document<'a> {
    pub(super) fn parse(origin: Origin<'a>) -> Self {
        let (root, mut syntax) = DeTable::parse_recoverable(origin.text);
        syntax.sort_by_key(|error| error.span().map_or(0, |span| span.start));
        let mut broken: Vec<Range<usize>> = syntax
            .iter()
            .map(|error| line(origin.text, error.span().map_or(0, |span| span.start)))
            .collect();
        broken.dedup();
        Self {
            origin,
            root,
            syntax,
            broken,
        }
    }

    pub(super) fn top(&'a self) -> Table<'a> {
        Table {
            origin: &self.origin,
            entries: self.root.get_ref(),
            at: self.origin.at(0..0),
        }
    }

    /// Whether a problem only repeats what a syntax error says: it is on the same line, or something is missing that may well be there.
    pub(super) fn is_echo(&self, problem: &Problem) -> bool {
        let Some((at, _)) = &problem.at else {
            return false;
        };
        if at.file != self.origin.file || SYNTAX_CODES.contains(&problem.code) {
            return false;
        }
        let lacks = self.lacks_something() && MISSING_CODES.contains(&problem.code);
        lacks || self.is_on_broken_line(*at)
    }

    fn lacks_something(&self) -> bool {
        self.syntax.iter().any(|error| error.message() != DUPLICATE)
    }

    /// Reports the syntax errors, one a line: what follows the first of a line is mostly its echo.
    pub(super) fn report_syntax(&self, problems: &mut Problems) {
        let mut errors = self.syntax.iter().peekable();
        for broken in self.broken.iter().take(SYNTAX_ERRORS_MAX) {
            if let Some(secret) = secret_part(self.origin.text, broken) {
                problems.hide(self.origin.at(secret));
            }
            let mut first = true;
            while let Some(error) = errors.next_if(|error| starts_by(error, broken.end)) {
                if first {
                    problems.push(self.syntax_problem(error, broken.clone()));
                }
                first = false;
            }
        }
    }

    fn is_on_broken_line(&self, at: At) -> bool {
        let start = usize::try_from(at.start).unwrap_or(usize::MAX);
        let behind = self.broken.partition_point(|line| line.end < start);
        self.broken
            .get(behind)
            .is_some_and(|line| line.start <= start)
    }

    fn syntax_problem(&self, error: &toml::de::Error, line: Range<usize>) -> Problem {
        let span = error.span().unwrap_or(0..0);
        let at = self.origin.at(span.clone());
        if error.message() == DUPLICATE {
            return self.duplicate_key(at, span.start);
        }
        let line = self.origin.text.get(line).unwrap_or_default();
        let mut lines = error.message().lines();
        let message = lines.next().unwrap_or("this is no TOML");
        let problem = Problem::error("syntax", message).at(at, "");
        match super::unquoted::help_on_line(line) {
            Some(help) => problem.help(help),
            None => problem,
        }
    }

    fn duplicate_key(&self, at: At, offset: usize) -> Problem {
        let key = self.origin.slice(at);
        let bare = key.trim_matches(['"', '\'']);
        let is_host = self
            .root
            .get_ref()
            .get("sites")
            .and_then(|sites| sites.get_ref().as_table())
            .is_some_and(|sites| sites.contains_key(bare));
        let problem = if is_host {
            Problem::error("duplicate-host", format!("`{bare}` is there twice"))
                .help("keep one of them, or join them into one site")
        } else {
            Problem::error("duplicate-key", format!("`{bare}` is there twice"))
                .help("keep one of them")
        };
        let problem = problem.at(at, "again here");
        match first_of(self.root.get_ref(), bare, offset) {
            Some(span) => problem.also(self.origin.at(span), "first here"),
            None => problem,
        }
    }
}

/// The rest of a line behind a key whose value is mostly a secret; what is no TOML cannot be told apart any better.
fn secret_part(text: &str, line: &Range<usize>) -> Option<Range<usize>> {
    let shown = text.get(line.clone())?;
    let ends = SECRET_KEYS.iter().filter_map(|key| {
        let end = shown.find(key)? + key.len();
        Some(line.start + end)
    });
    ends.min().map(|start| start..line.end)
}

fn starts_by(error: &toml::de::Error, end: usize) -> bool {
    error.span().map_or(0, |span| span.start) <= end
}

fn line(text: &str, offset: usize) -> Range<usize> {
    let offset = text.floor_char_boundary(offset);
    let start = text[..offset].rfind('\n').map_or(0, |newline| newline + 1);
    let end = text[offset..]
        .find('\n')
        .map_or(text.len(), |length| offset + length);
    start..end
}

/// The last key of this name before `offset`, at any depth.
fn first_of(table: &DeTable<'_>, key: &str, offset: usize) -> Option<Range<usize>> {
    let own = table
        .get_key_value(key)
        .map(|(key, _)| key.span())
        .filter(|span| span.end <= offset);
    table
        .iter()
        .filter_map(|(_, value)| value.get_ref().as_table())
        .filter_map(|inner| first_of(inner, key, offset))
        .chain(own)
        .max_by_key(|span| span.start)
}

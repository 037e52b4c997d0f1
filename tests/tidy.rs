//! The shape of the source as data: who may know whom, which files are pure, how long and how named files may be.

use std::fs;

#[path = "tidy/paths.rs"]
mod paths;
#[path = "tidy/tree.rs"]
mod tree;

use paths::{blank, paths_from, paths_from_super, without_tests};
use tree::{files, relative, root, rust_files};

/// What each top-level module may import besides itself, as path prefixes. A module that does not exist is no fault; one that
/// is not listed is.
const IMPORTS: &[(&str, &[&str])] = &[
    ("hostname", &[]),
    ("clock", &[]),
    ("causes", &[]),
    ("shutdown", &[]),
    ("deadline", &[]),
    ("framing", &[]),
    ("system", &[]),
    ("proxy_protocol", &[]),
    ("ports", &["system"]),
    ("relay", &["deadline"]),
    ("config", &["hostname"]),
    ("routing", &["hostname", "config", "system"]),
    ("storage", &["shutdown", "clock", "system"]),
    (
        "certs",
        &[
            "hostname",
            "clock",
            "causes",
            "storage",
            "shutdown",
            "observe::events",
        ],
    ),
    (
        "upstream",
        &[
            "hostname",
            "causes",
            "config",
            "shutdown",
            "observe",
            "deadline",
            "framing",
            "proxy_protocol",
        ],
    ),
    (
        "proxy",
        &[
            "hostname", "config", "routing", "upstream", "shutdown", "observe", "deadline",
            "framing", "relay", "system",
        ],
    ),
    (
        "door",
        &[
            "hostname",
            "config",
            "routing",
            "proxy",
            "upstream::dial",
            "upstream::UpstreamError",
            "upstream::group",
            "upstream::seating",
            "shutdown",
            "observe",
            "deadline",
            "relay",
            "proxy_protocol",
            "certs::plan",
            "certs::resolver",
            "certs::tickets",
        ],
    ),
    ("control", &["hostname", "config", "shutdown"]),
    ("observe", &["hostname", "causes"]),
    ("app", EVERYTHING),
    ("cli", EVERYTHING),
    ("main", EVERYTHING),
    ("lib", EVERYTHING),
];
const EVERYTHING: &[&str] = &[""];

/// Pure files, as prefixes of their paths in `src/`, and what is excepted among them.
const PURE: &[&str] = &[
    "hostname.rs",
    "causes.rs",
    "framing.rs",
    "system.rs",
    "config/",
    "ports/strict.rs",
    "routing/",
    "door/client_certificate",
    "door/hello",
    "door/subject",
    "proxy/guard/",
    "proxy/headers",
    "proxy/local_network",
    "proxy/compress/choice",
    "proxy/compress/fitness",
    "proxy/compress/media",
    "proxy/accept.rs",
    "proxy/pages/",
    "proxy/path",
    "proxy_protocol/",
    "upstream/balance",
    "upstream/names/finding",
    "upstream/health/message",
    "upstream/health/news",
    "upstream/health/rhythm",
    "upstream/health/verdict",
    "proxy/retry.rs",
    "upstream/replay.rs",
    "upstream/resend.rs",
    "upstream/http1/head",
    "upstream/http1/chunks",
    "certs/export/",
    "certs/import/",
    "certs/adopt/choice",
    "certs/adopt/origin",
    "certs/adopt/wishes",
    "certs/adopt/account_fate",
    "certs/adopt/fate",
    "certs/schedule",
    "certs/backup/damage",
    "certs/backup/format",
    "certs/backup/judge",
    "certs/backup/part",
    "certs/backup/seal",
    "certs/ledger",
    "certs/alerts/event",
    "certs/alerts/notices",
    "certs/alerts/told",
    "certs/alerts/unsaved",
    "certs/retry",
    "certs/tickets/keys.rs",
    "certs/utc.rs",
    "certs/local_ca/authority.rs",
    "certs/local_ca/error.rs",
    "certs/local_ca/leaves.rs",
    "certs/local_ca/making.rs",
    "certs/local_ca/scope.rs",
    "certs/local_ca/stored.rs",
    "app/narrow.rs",
    "control/leases",
    "cli/run/adapt.rs",
    "cli/run/name.rs",
    "cli/run/variables.rs",
    "observe/record.rs",
    "observe/text.rs",
    "observe/json.rs",
    "observe/combined.rs",
    "observe/escape.rs",
    "observe/decimal.rs",
    "observe/stamp.rs",
    "observe/taps/filter.rs",
    "cli/certs/import/entry",
    "cli/certs/import/farewell",
    "cli/certs/import/report",
    "cli/certs/import/words",
    "cli/doctor/finding",
    "cli/doctor/judge/",
    "cli/hosts/block",
    "cli/service/agent",
    "cli/service/plan",
    "cli/service/systemd",
    "cli/service/wanted",
    "cli/trust/listing",
    "cli/trust/place",
    "cli/trust/plan",
    "cli/trust/root",
    "cli/trust/step",
    "cli/trust/store",
    "cli/trust/undo",
    "cli/trust/words",
];
const NOT_PURE: &[&str] = &[
    "certs/import/walk/",
    "config/load",
    "control/leases/table_tests",
    "proxy/guard/auth/passwords",
];
const NAMED_BY_NO_PURE_FILE: &[&str] = &["fs", "env"];
const CLOCK: &str = "::now()";

/// Lines of any Rust file, its tests included.
const LINES_MAX: usize = 400;
/// Longer files, each with the reason why it is one subject.
const LONG: &[(&str, &str)] = &[];

const BAD_NAMES: &[&str] = &[
    "util", "utils", "helper", "helpers", "common", "types", "misc", "manager", "globals",
];

/// What ties a file to one machine. Written apart, so that this file does not contain it.
const FOREIGN_PATHS: &[&str] = &[
    concat!("/ho", "me/"),
    concat!("/ro", "ot/"),
    concat!("/Us", "ers/"),
];
/// Whose homes may serve as examples.
const INVENTED_PEOPLE: &[&str] = &["ada", "ana", "you"];
const NOT_OURS: &[&str] = &[
    "target",
    ".git",
    "__pycache__",
    "node_modules",
    "Cargo.lock",
];

#[test]
fn modules_import_only_whom_they_may_know() {
    let faults = source()
        .into_iter()
        .flat_map(|file| foreign_imports(&file.module, &file.code));
    assert_none("imports outside the table in tests/tidy.rs", faults);
}

#[test]
fn pure_files_touch_nothing() {
    let pure = source().into_iter().filter(|file| {
        let begins = |prefix: &&str| file.path.starts_with(prefix);
        PURE.iter().any(begins) && !NOT_PURE.iter().any(begins)
    });
    let faults = pure.flat_map(|file| {
        let named = impurities(without_tests(&file.code));
        named
            .into_iter()
            .map(move |name| format!("{}: {name}", file.path))
    });
    assert_none(
        "pure files that name a runtime, the file system, the environment or a clock",
        faults,
    );
}

#[test]
fn files_are_short() {
    let long = rust_files().into_iter().filter_map(|(path, text)| {
        let lines = text.lines().count();
        let excused = LONG.iter().any(|(excused, _reason)| *excused == path);
        (lines > LINES_MAX && !excused).then(|| format!("{path}: {lines} lines"))
    });
    assert_none("files that are too long", long);
}

#[test]
fn files_are_named_after_what_they_are_about() {
    let vague = rust_files().into_iter().filter_map(|(path, _text)| {
        let parts = path.trim_end_matches(".rs").split('/');
        parts
            .into_iter()
            .any(|part| BAD_NAMES.contains(&part))
            .then(|| path.clone())
    });
    assert_none("names that say nothing", vague);
}

#[test]
fn modules_say_what_they_are_for() {
    let silent = rust_files().into_iter().filter_map(|(path, text)| {
        let exempt = path == "src/main.rs" || path.ends_with("/tests.rs");
        (path.starts_with("src/") && !exempt && !text.starts_with("//!")).then_some(path)
    });
    assert_none("files without a `//!` on top", silent);
}

#[test]
fn no_file_names_somebodys_home() {
    let faults = files(&root()).into_iter().filter_map(|path| {
        let text = fs::read_to_string(&path).ok()?;
        let found = FOREIGN_PATHS.iter().find(|foreign| {
            text.match_indices(**foreign).any(|(at, found)| {
                let inside_a_path =
                    text[..at].ends_with(|c: char| c.is_alphanumeric() || "_.-}".contains(c));
                let owner = &text[at + found.len()..];
                !inside_a_path && !INVENTED_PEOPLE.iter().any(|name| owner.starts_with(name))
            })
        })?;
        Some(format!("{}: {found}", relative(&path)))
    });
    assert_none("paths of one machine", faults);
}

#[test]
fn the_reader_of_sources_is_not_fooled() {
    let code = blank(
        "use crate::{a::{B, c::D}, e}; // crate::x\nlet s = \"crate::y\"; let q = '\"'; r#\"crate::\"z\"# crate::f::g();",
    );
    assert_eq!(paths_from(&code, "crate"), ["a::B", "a::c::D", "e", "f::g"]);
    let module = ["door".to_owned(), "hello".to_owned()];
    let check = |code| foreign_imports(&module, &blank(code)).len();
    assert_eq!(
        check("use crate::routing::Routes; use super::tls; use crate::upstream::dial::Dial;"),
        0
    );
    assert_eq!(check("use crate::upstream::pool::Pool;"), 1);
    assert_eq!(check("use crate::{hostname::HostName, control};"), 1);
    assert_eq!(check("fn f() { crate::cli::run(); }"), 1);
    assert_eq!(check("use super::super::control::Server;"), 1);
    assert_eq!(
        check("mod tests { use super::super::tls; use super::super::super::control; }"),
        1
    );
    assert_eq!(foreign_imports(&["stranger".to_owned()], "").len(), 1);
    assert_eq!(
        impurities("use std::{fmt, fs::File}; tokio::spawn(x); Instant::now(); std::env::var(k);")
            .len(),
        4
    );
    assert!(impurities("use std::fmt; let envy = know(); nowhere::nowt();").is_empty());
    assert_eq!(without_tests("a #[cfg(test)]\nmod tests {\n b }"), "a ");
}

struct Source {
    /// Below `src/`.
    path: String,
    module: Vec<String>,
    /// Without comments and literals.
    code: String,
}

fn source() -> Vec<Source> {
    let files = rust_files().into_iter().filter_map(|(path, text)| {
        let path = path.strip_prefix("src/")?.to_owned();
        let mut module: Vec<String> = path
            .trim_end_matches(".rs")
            .split('/')
            .map(str::to_owned)
            .collect();
        if module.last().is_some_and(|last| last == "mod") {
            module.pop();
        }
        Some(Source {
            path,
            module,
            code: blank(&text),
        })
    });
    files.collect()
}

fn foreign_imports(module: &[String], code: &str) -> Vec<String> {
    let own = module[0].as_str();
    let here = module.join("::");
    let Some((_, allowed)) = IMPORTS.iter().find(|(name, _)| *name == own) else {
        return vec![format!("{here} is not in the table")];
    };
    let mut imported = paths_from(code, "crate");
    imported.extend(paths_from_super(module, code));
    imported.retain(|path| {
        let within = |prefix: &str| {
            prefix.is_empty()
                || path
                    .strip_prefix(prefix)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        };
        !within(own) && !allowed.iter().any(|prefix| within(prefix))
    });
    imported
        .iter()
        .map(|path| format!("{here} imports {path}"))
        .collect()
}

fn impurities(code: &str) -> Vec<String> {
    let mut found: Vec<String> = paths_from(code, "std")
        .into_iter()
        .filter(|path| NAMED_BY_NO_PURE_FILE.contains(&path.split("::").next().unwrap_or_default()))
        .map(|path| format!("std::{path}"))
        .collect();
    let words = code.split(|c: char| !(c.is_alphanumeric() || c == '_'));
    found.extend(
        words
            .filter(|word| *word == "tokio" || word.starts_with("tokio_"))
            .map(str::to_owned),
    );
    found.extend(code.match_indices(CLOCK).map(|(_, clock)| clock.to_owned()));
    found
}

#[track_caller]
fn assert_none(what: &str, faults: impl IntoIterator<Item = String>) {
    let faults: Vec<String> = faults.into_iter().collect();
    assert!(faults.is_empty(), "{what}:\n{}", faults.join("\n"));
}

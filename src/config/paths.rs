//! `paths`: which rule serves which part of a site.

use super::problem::{At, Problem};
use super::problems::Problems;
use super::reader::{Item, Table};
use super::site::{Http, Matching, PathRule, Rule};

/// A prefix as it is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Prefix {
    pub(super) text: Box<str>,
    pub(super) matching: Matching,
}

/// Reads the prefix that an entry stands under.
pub(super) fn prefix(item: &Item<'_>, problems: &mut Problems) -> Option<Prefix> {
    let key = item.key;
    let (path, matching) = match key.strip_suffix('$') {
        Some(path) => (path, Matching::Exact),
        None => (key, Matching::Prefix),
    };
    if !path.starts_with('/') {
        let help = format!("write \"/{}\"", key.trim_start_matches('*'));
        let message = format!("`{key}` is no path");
        problems.error(
            "bad-path",
            message,
            item.key_at,
            "a path starts with `/`",
            help,
        );
        return None;
    }
    if let Some(why) = never_asked_for(path) {
        let message = format!("no request can match `{key}`");
        problems.push(Problem::error("unreachable-path", message).at(item.key_at, why));
        return None;
    }
    let text = match matching {
        Matching::Exact => path,
        Matching::Prefix if path.len() > 1 => path.strip_suffix('/').unwrap_or(path),
        Matching::Prefix => path,
    };
    Some(Prefix {
        text: text.into(),
        matching,
    })
}

/// Requests are compared without query and fragment, in ASCII, with dot segments resolved.
fn never_asked_for(path: &str) -> Option<&'static str> {
    if path.contains(['?', '#']) {
        return Some("the query is no part of the path");
    }
    if path.contains('*') {
        return Some("a prefix matches whatever follows; there are no wildcards in paths");
    }
    if path.split('/').any(|segment| matches!(segment, "." | "..")) {
        return Some("dot segments are resolved before paths are compared");
    }
    if path.bytes().any(|byte| !byte.is_ascii_graphic()) {
        return Some("such characters are percent-encoded in requests");
    }
    None
}

/// Reports entries that stand for the same paths as an earlier one.
pub(super) fn report_repeated(prefixes: &[(Prefix, At)], problems: &mut Problems) {
    let mut sorted: Vec<&(Prefix, At)> = prefixes.iter().collect();
    sorted.sort_by(|(one, at), (other, other_at)| {
        (&one.text, one.matching == Matching::Exact, at).cmp(&(
            &other.text,
            other.matching == Matching::Exact,
            other_at,
        ))
    });
    for pair in sorted.windows(2) {
        let [(first, first_at), (second, second_at)] = pair else {
            continue;
        };
        if first == second {
            let message = format!("`{}` is there twice", second.text);
            problems.push(
                Problem::error("unreachable-path", message)
                    .at(*second_at, "never reached")
                    .also(*first_at, "this matches the same paths"),
            );
        }
    }
}

/// The entries of a `paths` table in their order.
pub(super) fn entries<'a>(item: &Item<'a>, problems: &mut Problems) -> Vec<Item<'a>> {
    let table: Option<Table<'a>> =
        item.table("a table of paths: { \"/api\" = \"3001\" }", problems);
    table.map(|table| table.in_order()).unwrap_or_default()
}

/// The rule that serves a path.
pub(super) fn find<'r>(http: &'r Http, path: &str) -> Option<&'r Rule> {
    http.paths
        .iter()
        .filter(|rule| matches(rule, path))
        .max_by_key(|rule| (rule.prefix.len(), rule.matching == Matching::Exact))
        .map(|rule| rule.rule.as_ref())
        .or(http.root.as_deref())
}

fn matches(rule: &PathRule, path: &str) -> bool {
    match rule.matching {
        Matching::Exact => *rule.prefix == *path,
        Matching::Prefix if *rule.prefix == *"/" => true,
        Matching::Prefix => path
            .strip_prefix(&*rule.prefix)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
    }
}

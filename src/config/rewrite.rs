//! `rewrite`: regular expressions on the path.

use regex::bytes::Regex;

use super::keys;
use super::problem::Problem;
use super::problems::Problems;
use super::reader::Item;
use super::site::Rewrite;

const FORM: &str = r#"{ from = "regex", to = "replacement" }, or a list of them"#;

/// Reads one rewrite or a list of them.
pub(super) fn rewrites(item: &Item<'_>, problems: &mut Problems) -> Box<[Rewrite]> {
    item.one_or_more()
        .iter()
        .filter_map(|item| rewrite(item, problems))
        .collect()
}

fn rewrite(item: &Item<'_>, problems: &mut Problems) -> Option<Rewrite> {
    let table = item.table(FORM, problems)?;
    table.check_keys(&keys::REWRITE, problems);
    let (Some(from), Some(to)) = (table.get("from"), table.get("to")) else {
        problems.push(
            Problem::error("missing-key", "a rewrite needs `from` and `to`")
                .at(table.at, "one of them is missing")
                .help(format!("rewrite = {FORM}")),
        );
        return None;
    };
    let regex = regex(&from, problems);
    let replacement = to.text("a replacement", problems)?;
    let regex = regex?;
    if let Some(bad) = replacement.find(['?', '#']) {
        let sign = &replacement[bad..=bad];
        problems.error(
            "bad-rewrite",
            format!("a path cannot contain `{sign}`"),
            to.at(),
            "this would be part of the path",
            "the query is kept as it is",
        );
        return None;
    }
    if let Some(group) = unknown_group(replacement, &regex) {
        problems.error(
            "bad-rewrite",
            format!("`from` has no group `{group}`"),
            to.at(),
            format!("`${group}` would be empty"),
            "groups are $1, $2, …, or ${name}; write ${1}a for a group with a letter behind it, and $$ for a dollar sign",
        );
        return None;
    }
    Some(Rewrite {
        from: regex,
        to: replacement.as_bytes().into(),
    })
}

fn regex(item: &Item<'_>, problems: &mut Problems) -> Option<Regex> {
    let text = item.text("a regular expression", problems)?;
    match Regex::new(text) {
        Ok(regex) => Some(regex),
        Err(error) => {
            let explanation = error.to_string();
            let why = explanation
                .lines()
                .last()
                .unwrap_or_default()
                .trim_start_matches("error: ")
                .to_owned();
            problems.error(
                "bad-regex",
                "this is no regular expression",
                item.at(),
                why,
                "single quotes keep backslashes as they are: from = '^/v(\\d+)/'",
            );
            None
        }
    }
}

/// The first group that the replacement names and the expression lacks.
fn unknown_group<'a>(replacement: &'a str, regex: &Regex) -> Option<&'a str> {
    let mut rest = replacement;
    while let Some(dollar) = rest.find('$') {
        rest = &rest[dollar + 1..];
        if let Some(behind) = rest.strip_prefix('$') {
            rest = behind;
            continue;
        }
        let name = match rest.strip_prefix('{') {
            Some(inside) => inside.split_once('}').map_or("", |(name, _)| name),
            None => {
                let length = rest
                    .bytes()
                    .take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
                    .count();
                &rest[..length]
            }
        };
        let known = match name.parse::<usize>() {
            Ok(number) => number < regex.captures_len(),
            Err(_) => name.is_empty() || regex.capture_names().flatten().any(|known| known == name),
        };
        if !known {
            return Some(name);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_that_do_not_exist_are_found() {
        let regex = Regex::new("^/(?<user>[^/]+)/(.*)$").unwrap();
        assert_eq!(unknown_group("/$user/$2/$0", &regex), None);
        assert_eq!(unknown_group("/${user}s/$$9", &regex), None);
        assert_eq!(unknown_group("/$3", &regex), Some("3"));
        assert_eq!(unknown_group("/$2a", &regex), Some("2a"));
        assert_eq!(unknown_group("costs $", &regex), None);
    }
}

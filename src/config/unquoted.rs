//! Host names that lost their quotes: `dao.example.com = "3000"` is three nested tables to TOML.

use toml::de::{DeTable, DeValue};

use super::document::Origin;
use super::keys;
use super::problem::{At, Problem};
use super::problems::Problems;

/// What to say about a line that is no TOML because a host stands in it without quotes.
pub(super) fn help_on_line(line: &str) -> Option<String> {
    let line = line.trim_start();
    let key = line.split('=').next()?.trim();
    let key = key
        .strip_prefix("[sites.")
        .map_or(key, |rest| rest.trim_end_matches(']'));
    let looks_like_a_host = !key.is_empty()
        && !key.starts_with('[')
        && key.contains(['*', ':', '.'])
        && key
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '*' | ':' | '[' | ']'));
    let first = key.split('.').next().unwrap_or_default();
    let is_key = [
        &keys::TOP,
        &keys::SITE,
        &keys::LIMITS,
        &keys::LOG,
        &keys::TLS,
    ]
    .iter()
    .any(|keys| keys.known.contains(&first));
    (looks_like_a_host && !is_key).then(|| format!("a host name needs quotes: \"{key}\""))
}

/// Whether this bare key is the first label of an unquoted host; if so, every host below it is reported.
pub(super) fn report(
    origin: &Origin<'_>,
    key_at: At,
    value: &DeValue<'_>,
    problems: &mut Problems,
) -> bool {
    let DeValue::Table(table) = value else {
        return false;
    };
    if !is_bare_and_dotted(origin, key_at) || is_a_site(table) {
        return false;
    }
    for leaf in leaves(origin, table) {
        let (at, name) = whole_name(origin, leaf);
        let is_header = origin.after(at).trim_start().starts_with(']');
        let name = name.strip_prefix("sites.").unwrap_or(&name);
        let help = if is_header {
            format!("write [sites.\"{name}\"]")
        } else {
            format!("write \"{name}\" = …")
        };
        problems.push(
            Problem::error("unquoted-host", "a host name needs quotes")
                .at(at, "without quotes these are nested tables")
                .help(help),
        );
    }
    true
}

fn is_bare_and_dotted(origin: &Origin<'_>, key_at: At) -> bool {
    !origin.slice(key_at).starts_with(['"', '\'']) && is_dotted(origin, key_at)
}

fn is_dotted(origin: &Origin<'_>, key_at: At) -> bool {
    origin
        .after(key_at)
        .trim_start_matches([' ', '\t'])
        .starts_with('.')
}

fn is_a_site(table: &DeTable<'_>) -> bool {
    table.keys().any(|key| {
        let key = key.get_ref().as_ref();
        keys::SITE.known.contains(&key) || keys::SITE.unbuilt.contains(&key)
    })
}

fn leaves(origin: &Origin<'_>, table: &DeTable<'_>) -> Vec<At> {
    let mut found = Vec::new();
    for (key, value) in table.iter() {
        let at = origin.at(key.span());
        match value.get_ref() {
            DeValue::Table(inner) if is_dotted(origin, at) && !is_a_site(inner) => {
                found.extend(leaves(origin, inner));
            }
            DeValue::Table(_)
            | DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_) => found.push(at),
        }
    }
    found
}

/// Goes back from the last label to the first one, which TOML remembers for one host only.
fn whole_name(origin: &Origin<'_>, leaf: At) -> (At, String) {
    let end = usize::try_from(leaf.end).unwrap_or(usize::MAX);
    let head = origin.text.get(..end).unwrap_or_default();
    let name = head
        .rsplit(['\n', '[', '{', ',', '='])
        .next()
        .unwrap_or_default()
        .trim_start();
    let at = origin.at(end - name.len()..end);
    let joined = name
        .chars()
        .filter(|c| !matches!(c, ' ' | '\t' | '"' | '\''))
        .collect();
    (at, joined)
}

#[cfg(test)]
mod tests {
    use super::help_on_line;

    #[test]
    fn lines_with_bare_hosts_get_the_quoted_form() {
        let quoted = |name: &str| Some(format!("a host name needs quotes: \"{name}\""));
        assert_eq!(help_on_line("*.dev = \"3000\""), quoted("*.dev"));
        assert_eq!(
            help_on_line("a.test:8443 = \"3000\""),
            quoted("a.test:8443")
        );
        assert_eq!(help_on_line("[sites.*.dev]"), quoted("*.dev"));
        assert_eq!(help_on_line("to = "), None);
        assert_eq!(help_on_line("to.url = "), None);
        assert_eq!(help_on_line("= 4"), None);
        assert_eq!(help_on_line(""), None);
    }
}

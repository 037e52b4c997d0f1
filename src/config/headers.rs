//! `headers`: edits of fields, with placeholders found.

use http::{HeaderName, HeaderValue};
use toml::de::DeValue;

use super::keys;
use super::problem::Problem;
use super::problems::Problems;
use super::reader::{Item, Layers};
use super::site::{HeaderEdit, HeaderRule, Piece, Template};
use super::suggest;

const VALUE_FORM: &str = "a string, a list of strings, or `false`";
const PLACEHOLDERS: &[(&str, Piece)] = &[
    ("client_ip", Piece::ClientIp),
    ("host", Piece::Host),
    ("scheme", Piece::Scheme),
    ("request_id", Piece::RequestId),
    ("tls_version", Piece::TlsVersion),
];

/// Fields that say where a message ends or belong to one connection: the proxy writes them itself.
const FRAMING: &[&str] = &[
    "connection",
    "content-length",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Reads the edits of one direction, `request` or `response`: outer tables first, and what an inner one says of a name wins.
pub(super) fn rules(
    layers: &Layers<'_>,
    direction: &str,
    problems: &mut Problems,
) -> Box<[HeaderRule]> {
    let mut rules: Vec<HeaderRule> = Vec::new();
    for table in layers.outer_first() {
        let edits = table
            .get("headers")
            .and_then(|item| item.table("a table with `request` and `response`", problems))
            .and_then(|headers| {
                headers.check_keys(&keys::HEADERS, problems);
                headers.get(direction)?.table("a table of fields", problems)
            });
        for item in edits.iter().flat_map(super::reader::Table::in_order) {
            let Some(rule) = rule(&item, problems) else {
                continue;
            };
            match rule.edit {
                HeaderEdit::Set(_) | HeaderEdit::Remove => {
                    rules.retain(|other| other.name != rule.name);
                }
                HeaderEdit::Append(_) => {}
            }
            rules.push(rule);
        }
    }
    rules.into()
}

fn rule(item: &Item<'_>, problems: &mut Problems) -> Option<HeaderRule> {
    let (text, appends) = match item.key.strip_prefix('+') {
        Some(rest) => (rest, true),
        None => (item.key, false),
    };
    let name = name(text, item, problems)?;
    if item.as_flag() == Some(false) && !appends {
        let edit = HeaderEdit::Remove;
        return Some(HeaderRule { name, edit });
    }
    let lines: Option<Box<[Template]>> = match item.value() {
        DeValue::String(_) | DeValue::Array(_) => item
            .one_or_more()
            .iter()
            .map(|line| template(line, problems))
            .collect(),
        DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Table(_) => {
            item.wrong_type(VALUE_FORM, problems);
            None
        }
    };
    let lines = lines?;
    if lines.is_empty() {
        let message = format!("`{}` has no value", item.key);
        let help = format!("`{text} = false` removes the field");
        problems.error("empty-list", message, item.at(), "empty", help);
        return None;
    }
    let edit = if appends {
        HeaderEdit::Append(lines)
    } else {
        HeaderEdit::Set(lines)
    };
    Some(HeaderRule { name, edit })
}

fn name(text: &str, item: &Item<'_>, problems: &mut Problems) -> Option<HeaderName> {
    let Ok(name) = HeaderName::from_bytes(text.as_bytes()) else {
        let message = format!("`{text}` is no name of a field");
        problems.error(
            "bad-header",
            message,
            item.key_at,
            "not a field name",
            r#"names look like "X-Frame-Options", or "+Set-Cookie" to add a line"#,
        );
        return None;
    };
    is_editable(&name, item, problems).then_some(name)
}

/// Whether a field may be set by a configuration; if not, that is reported.
pub(super) fn is_editable(name: &HeaderName, item: &Item<'_>, problems: &mut Problems) -> bool {
    let help = if *name == http::header::HOST {
        "the site's `host` key chooses what is sent upstream"
    } else if FRAMING.contains(&name.as_str()) {
        "it belongs to one connection and is written for each anew"
    } else {
        return true;
    };
    let message = format!("`{name}` cannot be edited");
    problems.error("forbidden-header", message, item.key_at, "not here", help);
    false
}

fn template(item: &Item<'_>, problems: &mut Problems) -> Option<Template> {
    let text = item.text(VALUE_FORM, problems)?;
    let Ok(value) = HeaderValue::from_bytes(text.as_bytes()) else {
        let message = format!("the value of `{}` has a control character", item.key);
        problems.push(
            Problem::error("bad-header", message)
                .at(item.at(), "line ends and control characters cannot be sent"),
        );
        return None;
    };
    let pieces = match pieces(text) {
        Ok(pieces) => pieces,
        Err(unknown) => {
            let words = PLACEHOLDERS.iter().map(|(word, _)| *word);
            let label = match suggest::nearest(unknown, words.clone()) {
                Some(near) => format!("did you mean {{{near}}}?"),
                None => "unknown placeholder".to_owned(),
            };
            let known: Vec<String> = words.map(|word| format!("{{{word}}}")).collect();
            problems.error(
                "unknown-placeholder",
                format!("{{{unknown}}} stands for nothing"),
                item.at(),
                label,
                format!("the placeholders are {}", known.join(", ")),
            );
            return None;
        }
    };
    let fixed = pieces.iter().all(|piece| matches!(piece, Piece::Text(_)));
    Some(if fixed {
        Template::Fixed(value)
    } else {
        Template::Pieces(pieces.into())
    })
}

/// Splits at placeholders. Braces around anything but a lower-case word are text, so that JSON values need no escapes.
fn pieces(text: &str) -> Result<Vec<Piece>, &str> {
    let mut pieces = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        let (before, behind) = rest.split_at(open);
        plain.push_str(before);
        let Some(word) = word(behind) else {
            plain.push('{');
            rest = &behind[1..];
            continue;
        };
        let (_, piece) = PLACEHOLDERS
            .iter()
            .find(|(name, _)| *name == word)
            .ok_or(word)?;
        if !plain.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut plain).into()));
        }
        pieces.push(piece.clone());
        rest = &behind[word.len() + 2..];
    }
    plain.push_str(rest);
    if !plain.is_empty() {
        pieces.push(Piece::Text(plain.into()));
    }
    Ok(pieces)
}

fn word(behind: &str) -> Option<&str> {
    let (word, _) = behind.strip_prefix('{')?.split_once('}')?;
    let is_word = word
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    (is_word && !word.is_empty()).then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(piece: &str) -> Piece {
        Piece::Text(piece.into())
    }

    #[test]
    fn placeholders_are_found_between_text() {
        assert_eq!(
            pieces("for={client_ip};proto={scheme}"),
            Ok(vec![
                text("for="),
                Piece::ClientIp,
                text(";proto="),
                Piece::Scheme
            ])
        );
    }

    #[test]
    fn braces_of_json_are_text() {
        let json = r#"{"group":"a","endpoints":[{"url":"b"}]} {}"#;
        assert_eq!(pieces(json), Ok(vec![text(json)]));
    }

    #[test]
    fn unknown_words_are_named() {
        assert_eq!(pieces("{client_ip} {port}"), Err("port"));
    }
}

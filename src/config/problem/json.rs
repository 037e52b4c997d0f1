//! Problems for programs: what `check --json` prints.

use serde_json::{Value, json};

use super::{At, Problem, Severity, Sources};

/// An array with one object a problem. Lines and columns count from one, columns in characters; `end` is behind the last one.
#[must_use]
pub fn to_json(problems: &[Problem], sources: &Sources) -> Value {
    problems
        .iter()
        .map(|problem| object(problem, sources))
        .collect()
}

fn object(problem: &Problem, sources: &Sources) -> Value {
    let (at, label) = problem
        .at
        .as_ref()
        .map_or((Value::Null, None), |(at, label)| {
            (place(*at, sources), Some(label))
        });
    let also: Vec<Value> = problem
        .also
        .iter()
        .map(|(at, label)| {
            let mut other = place(*at, sources);
            other["label"] = json!(label);
            other
        })
        .collect();
    json!({
        "code": problem.code,
        "severity": match problem.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        },
        "message": problem.message,
        "file": at["file"],
        "line": at["line"],
        "column": at["column"],
        "end": at["end"],
        "label": label,
        "also": also,
        "help": problem.help,
    })
}

fn place(at: At, sources: &Sources) -> Value {
    let Some(source) = sources.source(at) else {
        return Value::Null;
    };
    let (line, column) = position(&source.text, at.start);
    let (end_line, end_column) = position(&source.text, at.end);
    json!({
        "file": source.path.to_string_lossy(),
        "line": line,
        "column": column,
        "end": { "line": end_line, "column": end_column },
    })
}

fn position(text: &str, offset: u32) -> (usize, usize) {
    let offset = usize::try_from(offset).unwrap_or(usize::MAX);
    let before = text
        .get(..text.floor_char_boundary(offset))
        .unwrap_or_default();
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    (line, before[line_start..].chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::position;

    #[test]
    fn positions_count_characters_from_one() {
        let text = "a\nbü = 1\n";
        assert_eq!(position(text, 0), (1, 1));
        assert_eq!(position(text, 2), (2, 1));
        assert_eq!(position(text, 5), (2, 3));
        assert_eq!(position(text, 4_000), (3, 1));
    }
}

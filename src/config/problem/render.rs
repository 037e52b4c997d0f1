//! Problems for people, in the manner of rustc: title, snippet with labels, help.

use std::ops::Range;

use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Renderer, Snippet};

use super::{At, Problem, Severity, Sources};

/// The problems that are shown; more are only counted.
const PROBLEMS_SHOWN_MAX: usize = 50;
/// The octets of a line that are kept on either side of what is underlined.
const LINE_BYTES_KEPT: usize = 1024;
/// Places of one problem that are further apart get snippets of their own.
const SNIPPET_BYTES_MAX: usize = 4096;

/// Whether the text carries terminal colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Color {
    Always,
    Never,
}

/// The problems one after another, each followed by an empty line, and a last line that counts them.
#[must_use]
pub fn render(problems: &[Problem], sources: &Sources, color: Color) -> String {
    let renderer = match color {
        Color::Always => Renderer::styled(),
        Color::Never => Renderer::plain(),
    };
    let mut out = String::new();
    for problem in problems.iter().take(PROBLEMS_SHOWN_MAX) {
        out.push_str(&renderer.render(&[group(problem, sources)]));
        out.push_str("\n\n");
    }
    if problems.len() > PROBLEMS_SHOWN_MAX {
        let hidden = problems.len() - PROBLEMS_SHOWN_MAX;
        out.push_str(&format!("… and {hidden} more\n"));
    }
    out
}

fn group<'a>(problem: &'a Problem, sources: &'a Sources) -> Group<'a> {
    let level = match problem.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(&problem.message).id(problem.code);
    let mut group = Group::with_title(title);
    for snippet in snippets(problem, sources) {
        group = group.element(snippet);
    }
    if let Some(help) = &problem.help {
        group = group.element(Level::HELP.message(help));
    }
    group
}

struct Mark<'a> {
    at: At,
    kind: AnnotationKind,
    label: &'a str,
}

fn snippets<'a>(problem: &'a Problem, sources: &'a Sources) -> Vec<Snippet<'a, Annotation<'a>>> {
    let primary = problem.at.iter().map(|(at, label)| Mark {
        at: *at,
        kind: AnnotationKind::Primary,
        label,
    });
    let others = problem.also.iter().map(|(at, label)| Mark {
        at: *at,
        kind: AnnotationKind::Context,
        label,
    });
    let mut near: Vec<Vec<Mark<'_>>> = Vec::new();
    for mark in primary.chain(others) {
        match near.iter_mut().find(|marks| is_near(&marks[0], &mark)) {
            Some(marks) => marks.push(mark),
            None => near.push(vec![mark]),
        }
    }
    near.iter()
        .filter_map(|marks| snippet(marks, sources))
        .collect()
}

fn is_near(one: &Mark<'_>, other: &Mark<'_>) -> bool {
    let distance = one.at.start.abs_diff(other.at.start);
    one.at.file == other.at.file
        && usize::try_from(distance).is_ok_and(|bytes| bytes <= SNIPPET_BYTES_MAX)
}

fn snippet<'a>(marks: &[Mark<'a>], sources: &'a Sources) -> Option<Snippet<'a, Annotation<'a>>> {
    let source = sources.source(marks.first()?.at)?;
    let text = source.text.as_str();
    let spans: Vec<Range<usize>> = marks
        .iter()
        .map(|mark| on_one_line(text, mark.at))
        .collect();
    let first = spans.iter().map(|span| span.start).min()?;
    let last = spans.iter().map(|span| span.end).max()?;
    let start = line_start(text, first);
    let end = line_end(text, last);
    let line = text[..start].bytes().filter(|byte| *byte == b'\n').count() + 1;
    let mut snippet = Snippet::source(&text[start..end])
        .line_start(line)
        .path(source.path.to_string_lossy());
    for (mark, span) in marks.iter().zip(spans) {
        let inside = span.start - start..span.end - start;
        let annotation = mark.kind.span(inside);
        snippet = snippet.annotation(if mark.label.is_empty() {
            annotation
        } else {
            annotation.label(mark.label)
        });
    }
    Some(snippet)
}

/// The part of a span on its first line, within the text and on character boundaries.
fn on_one_line(text: &str, at: At) -> Range<usize> {
    let bound =
        |offset: u32| text.floor_char_boundary(usize::try_from(offset).unwrap_or(usize::MAX));
    let start = bound(at.start);
    let end = bound(at.end).max(start);
    let line = &text[start..end];
    let length = line.find('\n').unwrap_or(line.len());
    start..text.floor_char_boundary(start + length.min(LINE_BYTES_KEPT))
}

/// Where the line begins, or a place in it if it is very long.
fn line_start(text: &str, offset: usize) -> usize {
    let start = text[..offset].rfind('\n').map_or(0, |newline| newline + 1);
    start.max(text.floor_char_boundary(offset.saturating_sub(LINE_BYTES_KEPT)))
}

/// Where the line ends, or a place in it if it is very long.
fn line_end(text: &str, offset: usize) -> usize {
    let end = text[offset..]
        .find('\n')
        .map_or(text.len(), |length| offset + length);
    end.min(text.floor_char_boundary(offset + LINE_BYTES_KEPT))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::problem::Source;

    #[test]
    fn a_huge_line_prints_little() {
        let text = format!("x = \"{}\"\n", "a".repeat(2_000_000));
        let sources = Sources {
            files: vec![Source {
                path: "big.toml".into(),
                text,
            }],
        };
        let problem = Problem::error("some-code", "too much").at(At::new(0, 4..1_000_000), "here");
        let text = render(&[problem], &sources, Color::Never);
        assert!(text.len() < 4096, "{} octets", text.len());
    }

    #[test]
    fn spans_outside_the_text_do_not_panic() {
        let sources = Sources {
            files: vec![Source {
                path: "small.toml".into(),
                text: "ü".to_owned(),
            }],
        };
        for (start, end) in [(1, 1), (5, 9), (9, 5), (0, 1), (2, 2)] {
            let problem = Problem::error("some-code", "odd").at(At::new(0, start..end), "");
            assert!(render(&[problem], &sources, Color::Never).contains("some-code"));
        }
    }

    #[test]
    fn thousands_of_problems_are_counted_not_shown() {
        let problems = vec![Problem::error("some-code", "again"); 10_000];
        let text = render(&problems, &Sources::default(), Color::Never);
        assert!(text.contains("9950 more"));
    }
}

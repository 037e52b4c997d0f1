//! A program that is run, with its arguments. No shell is asked.

use std::path::PathBuf;

use super::problem::Problem;
use super::problems::Problems;
use super::reader::Item;

/// A program and what it is called with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// A path, or a bare name that is looked up in `PATH`.
    pub program: PathBuf,
    pub arguments: Box<[Box<str>]>,
}

const COMMAND_FORM: &str = r#"a list such as ["program", "argument"]"#;

impl Command {
    /// Reads a list; a program with a `/` is a path from the folder of the file that names it.
    pub(super) fn read(item: &Item<'_>, problems: &mut Problems) -> Option<Self> {
        let Some(list) = item.as_list() else {
            if let Some(text) = item.as_text() {
                let words: Vec<_> = text.split_whitespace().collect();
                problems.error(
                    "wrong-type",
                    format!("`{}` takes {COMMAND_FORM}", item.key),
                    item.at(),
                    "this is a string, and no shell would take it apart",
                    format!("write {words:?}"),
                );
            } else {
                item.wrong_type(COMMAND_FORM, problems);
            }
            return None;
        };
        let mut words = Vec::with_capacity(list.len());
        for word in &list {
            words.push(word.text(COMMAND_FORM, problems)?);
        }
        let bad = words.iter().any(|word| word.contains('\0'));
        let Some((program, arguments)) = words.split_first().filter(|(program, _)| {
            let named = !program.is_empty();
            named && !bad
        }) else {
            problems.push(
                Problem::error(
                    "bad-command",
                    format!("`{}` takes {COMMAND_FORM}", item.key),
                )
                .at(item.at(), "no program is named"),
            );
            return None;
        };
        let program = if program.contains('/') {
            item.origin.folder.join(program)
        } else {
            PathBuf::from(program)
        };
        let arguments = arguments.iter().map(|word| Box::from(*word)).collect();
        Some(Self { program, arguments })
    }
}

//! The user's own edits of a head.

use http::HeaderMap;

use super::edit::drop_where;
use super::facts::Facts;
use super::field::{classify, is_structural};
use crate::config::site::{HeaderEdit, HeaderRule};
use crate::proxy::template::expand;

/// Applies the rules in their order. Fields that frame the message or end at the next hop are not theirs to touch: such a rule does nothing.
pub(super) fn apply(headers: &mut HeaderMap, rules: &[HeaderRule], facts: &Facts<'_>) {
    for rule in rules {
        if is_structural(classify(&rule.name)) {
            continue;
        }
        match &rule.edit {
            HeaderEdit::Remove => drop_where(headers, |name| *name == rule.name),
            HeaderEdit::Append(lines) => {
                for value in lines.iter().filter_map(|line| expand(line, facts)) {
                    headers.append(rule.name.clone(), value);
                }
            }
            HeaderEdit::Set(lines) => {
                let mut values = lines.iter().filter_map(|line| expand(line, facts));
                match values.next() {
                    Some(first) => drop(headers.insert(rule.name.clone(), first)),
                    None => drop_where(headers, |name| *name == rule.name),
                }
                for value in values {
                    headers.append(rule.name.clone(), value);
                }
            }
        }
    }
}

//! `[control]`: which other users of this machine may have sites served here, and under which names.

use super::keys;
use super::problem::Problem;
use super::problems::Problems;
use super::reader::{Item, Table};
use crate::hostname::HostPattern;

/// Who is let in besides the user who runs the door, and root.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Control {
    /// The group whose members reach the control socket, by name or number; none: nobody does.
    pub group: Option<String>,
    /// What they may claim; whoever is not named may claim nothing.
    pub allow: Vec<Allowance>,
}

/// Names that some users may claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowance {
    pub who: Who,
    pub names: Vec<HostPattern>,
}

/// Whom an allowance is for, by name or number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    User(String),
    /// Every member of a group: `@GROUP`.
    Group(String),
}

impl Control {
    pub(super) fn read(table: &Table<'_>, problems: &mut Problems) -> Self {
        table.check_keys(&keys::CONTROL, problems);
        let group = table.get("group").and_then(|item| group(&item, problems));
        let allow = table
            .get("allow")
            .and_then(|item| item.table(ALLOW_FORM, problems));
        let allow = allow.map_or_else(Vec::new, |allow| {
            let allowances = allow.in_order();
            let allowances = allowances.iter();
            allowances
                .filter_map(|item| Allowance::read(item, problems))
                .collect()
        });
        if let Some(item) = table.get("allow")
            && !table.has("group")
        {
            problems.push(
                Problem::error("no-group", "`allow` lets nobody in without `group`")
                    .at(item.at(), "the control socket is closed to them")
                    .help("name a group that they all are in: `group = \"onedoor\"`"),
            );
        }
        Self { group, allow }
    }
}

const ALLOW_FORM: &str = "users or @groups, each with its host names";

impl Allowance {
    fn read(item: &Item<'_>, problems: &mut Problems) -> Option<Self> {
        let who = match item.key.strip_prefix('@') {
            Some(group) => Who::Group(group.to_owned()),
            None => Who::User(item.key.to_owned()),
        };
        if !is_account(item.key.trim_start_matches('@')) {
            let message = format!("`{}` is no user and no @group", item.key);
            problems.push(Problem::error("bad-user", message).at(item.key_at, "this is none"));
            return None;
        }
        let Some(list) = item.as_list() else {
            item.wrong_type("a list of host names", problems);
            return None;
        };
        let names: Vec<HostPattern> = list
            .iter()
            .filter_map(|name| pattern(name, problems))
            .collect();
        Some(Self { who, names })
    }
}

/// What can stand in the files of users and groups (passwd(5)).
fn is_account(name: &str) -> bool {
    let is_odd = |character: char| {
        character.is_whitespace() || character.is_control() || ":,@/".contains(character)
    };
    !name.is_empty() && !name.contains(is_odd)
}

fn group(item: &Item<'_>, problems: &mut Problems) -> Option<String> {
    let name = item.text("the name of a group", problems)?;
    if is_account(name) {
        return Some(name.to_owned());
    }
    let message = format!("`{name}` is no name of a group");
    problems.push(Problem::error("bad-user", message).at(item.at(), "this is none"));
    None
}

fn pattern(item: &Item<'_>, problems: &mut Problems) -> Option<HostPattern> {
    let text = item.text("a list of host names", problems)?;
    match HostPattern::parse(text) {
        Ok(pattern) => Some(pattern),
        Err(error) => {
            let message = format!("`{text}` is no host name");
            problems.push(Problem::error("bad-host", message).at(item.at(), error.to_string()));
            None
        }
    }
}

//! `storage`: where certificates, accounts and the ledger live.

use std::path::PathBuf;

use super::keys;
use super::problem::Problem;
use super::problems::Problems;
use super::reader::Item;

/// What `storage` says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Storage {
    /// A folder; none: it is chosen from the environment.
    pub folder: Option<PathBuf>,
    pub ephemeral: Ephemeral,
}

/// Whether a public CA is asked for certificates that the next start would have lost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Ephemeral {
    #[default]
    Refuse,
    Allow,
}

const EPHEMERAL: &[(&str, Ephemeral)] =
    &[("refuse", Ephemeral::Refuse), ("allow", Ephemeral::Allow)];
/// The schemes of stores that replicas share.
const SHARED: &[&str] = &["redis", "rediss", "s3"];

impl Storage {
    pub(super) fn read(item: &Item<'_>, problems: &mut Problems) -> Self {
        let Some(table) = item.as_table() else {
            return Self {
                folder: folder(item, problems),
                ephemeral: Ephemeral::default(),
            };
        };
        for key in ["access_key", "secret_key"] {
            if let Some(secret) = table.get(key) {
                problems.hide(secret.at());
            }
        }
        table.check_keys(&keys::STORAGE, problems);
        let ephemeral = table
            .get("ephemeral")
            .and_then(|item| item.choice(EPHEMERAL, problems));
        Self {
            folder: table.get("url").and_then(|item| folder(&item, problems)),
            ephemeral: ephemeral.unwrap_or_default(),
        }
    }
}

fn folder(item: &Item<'_>, problems: &mut Problems) -> Option<PathBuf> {
    let Some((scheme, rest)) = item.as_text().and_then(|text| text.split_once("://")) else {
        return item.path(problems).map(|path| path.value);
    };
    if rest.contains('@') {
        problems.hide(item.at());
    }
    if SHARED.contains(&scheme) {
        item.not_built_yet(&format!("storage = \"{scheme}://…\""), problems);
    } else {
        problems.push(
            Problem::error("bad-url", "`storage` takes a path")
                .at(item.at(), format!("nothing is stored by `{scheme}`"))
                .help("for example \"/var/lib/onedoor\""),
        );
    }
    None
}

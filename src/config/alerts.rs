//! `[alerts]`: who is told of what happens to certificates and storage.

use super::command::Command;
use super::keys;
use super::problems::Problems;
use super::read::Files;
use super::reader::Table;
use super::secret::Secret;
use super::url::{self, Plain};

/// Where events go; nowhere without both.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Alerts {
    pub exec: Option<Command>,
    /// A URL. Many of them carry a token in their path, so it is as secret as that.
    pub webhook: Option<Secret>,
}

impl Alerts {
    pub(super) fn read(table: &Table<'_>, files: &mut dyn Files, problems: &mut Problems) -> Self {
        table.check_keys(&keys::ALERTS, problems);
        let exec = table
            .get("exec")
            .and_then(|item| Command::read(&item, problems));
        let webhook = table.get("webhook").and_then(|item| {
            let secret = Secret::read(&item, files, problems)?;
            let text = secret.reveal();
            if !text.is_empty() {
                url::parse(text, item.key, item.at(), Plain::Anywhere, problems)?;
            }
            Some(secret)
        });
        Self { exec, webhook }
    }
}

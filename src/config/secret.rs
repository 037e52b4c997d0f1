//! Secrets: a string, or the name of a file or a variable that holds it. Whoever prints one sees nothing.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::keys;
use super::problem::{At, Problem};
use super::problems::Problems;
use super::read::{Files, Unread};
use super::reader::Item;

/// A text that is never shown. Empty only if the text of the configuration stands alone, and the secret is elsewhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

/// Octets that are never shown; empty as a [`Secret`] is.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretBytes(Arc<[u8]>);

const SECRET_FORM: &str = r#"a string, { file = "path" } or { env = "NAME" }"#;

/// Both alphabets are read as this one, with or without `=`.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

impl Secret {
    /// The text itself, for whoever sends it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    pub(crate) fn new(text: &str) -> Self {
        Self(Arc::from(text))
    }

    /// Reads a secret, wherever it is.
    pub(super) fn read(
        item: &Item<'_>,
        files: &mut dyn Files,
        problems: &mut Problems,
    ) -> Option<Self> {
        let Some(table) = item.as_table() else {
            problems.hide(item.at());
            let text = item.text(SECRET_FORM, problems)?;
            return Self::of(text, item.at(), problems);
        };
        table.check_keys(&keys::SECRET, problems);
        let (kept, name) = match (table.get("file"), table.get("env")) {
            (Some(file), None) => {
                let path = file.path(problems)?;
                let kept = files.content(&path.value).and_then(text);
                (kept, path.value.display().to_string())
            }
            (None, Some(variable)) => {
                let name = variable.text("the name of a variable", problems)?;
                (files.variable(name), format!("the variable {name}"))
            }
            (Some(_), Some(_)) | (None, None) => {
                let message = format!("`{}` takes {SECRET_FORM}", item.key);
                problems.push(Problem::error("bad-secret", message).at(
                    item.at(),
                    "one of `file` and `env` says where the secret is",
                ));
                return None;
            }
        };
        match kept {
            Ok(text) => Self::of(&text, item.at(), problems),
            Err(Unread::NobodyLooks) => Some(Self(Arc::from(""))),
            Err(Unread::Because(why)) => {
                problems.push(
                    Problem::error("unreadable", format!("cannot read {name}: {why}"))
                        .at(item.at(), format!("`{}` is kept there", item.key)),
                );
                None
            }
        }
    }

    /// The end of a line behind a secret belongs to the file that keeps it.
    fn of(text: &str, at: At, problems: &mut Problems) -> Option<Self> {
        let text = text.strip_suffix('\n').unwrap_or(text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        if text.is_empty() {
            problems.push(Problem::error("bad-secret", "a secret cannot be empty").at(at, "empty"));
            return None;
        }
        Some(Self(Arc::from(text)))
    }

    /// The octets that the text stands for in base64, in either alphabet.
    pub(super) fn decoded(&self, item: &Item<'_>, problems: &mut Problems) -> Option<SecretBytes> {
        let folded: String = self
            .0
            .chars()
            .map(|c| match c {
                '+' => '-',
                '/' => '_',
                c => c,
            })
            .collect();
        match BASE64.decode(folded) {
            Ok(bytes) => Some(SecretBytes(Arc::from(bytes))),
            Err(_where) => {
                let message = format!("`{}` takes a secret in base64", item.key);
                problems
                    .push(Problem::error("bad-secret", message).at(item.at(), "this is no base64"));
                None
            }
        }
    }
}

impl SecretBytes {
    /// The octets themselves, for whoever signs with them.
    #[must_use]
    pub fn reveal(&self) -> &[u8] {
        &self.0
    }
}

fn text(bytes: Vec<u8>) -> Result<String, Unread> {
    String::from_utf8(bytes).map_err(|_bytes| Unread::Because("it is not UTF-8".to_owned()))
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretBytes")
    }
}

//! What a configuration was read from, whole, so that another process reads the same without looking at a file or a variable.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Component, Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::doorway::Doorway;
use super::outcome::{Loaded, Refused};
use super::problem::{Located, Problem, Source, Sources};
use super::problems::Problems;
use super::read::{self, Files, Included, Unread};

/// The files of one offer, besides configuration files.
pub const OFFERED_FILES_MAX: usize = 4096;
/// The octets of everything in one offer.
pub const OFFERED_BYTES_MAX: usize = 24 << 20;

/// The texts of a configuration and everything they name. Paths are absolute and mean nothing but names.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// The main file; none when there are arguments alone.
    pub main: Option<OfferedText>,
    /// Sites of the command line, each `HOST=TARGET`.
    #[serde(default)]
    pub arguments: Vec<String>,
    /// What `include` found, in order.
    #[serde(default)]
    pub included: Vec<OfferedText>,
    /// The contents of files that the texts name: certificates, keys, roots, secrets; Base64 on the wire.
    #[serde(default)]
    pub files: BTreeMap<PathBuf, Contents>,
    /// Environment variables that the texts name.
    #[serde(default)]
    pub variables: BTreeMap<String, String>,
}

/// A configuration file.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferedText {
    pub path: PathBuf,
    /// Empty if it could not be read.
    pub text: String,
    /// Why it could not be read.
    #[serde(default)]
    pub unreadable: Option<String>,
}

/// What is in a file; Base64 (RFC 4648 section 4) where it is written down.
#[derive(Clone, PartialEq, Eq)]
pub struct Contents(pub Vec<u8>);

impl Offer {
    /// Offers a text that names no file and no variable, as the file `path`.
    ///
    /// # Errors
    /// All problems of the text at once.
    pub fn of_text(path: &Path, text: &str) -> Result<(Self, Loaded), Refused> {
        let loaded = read::read(path, text)?;
        let main = OfferedText {
            path: path.to_owned(),
            text: text.to_owned(),
            unreadable: None,
        };
        let offer = Self {
            main: Some(main),
            ..Self::default()
        };
        Ok((offer, loaded))
    }

    /// Reads what was offered and nothing else. The sites of a bad included file are taken from `previous`.
    ///
    /// # Errors
    /// All problems at once; nothing of a refused configuration may be served.
    pub fn read(&self, previous: Option<&Loaded>) -> Result<Loaded, Refused> {
        self.read_at(None, previous)
    }

    /// The same for a door that is there already: where the texts say nothing of it, they are served at its sockets.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_at(
        &self,
        doorway: Option<&Doorway>,
        previous: Option<&Loaded>,
    ) -> Result<Loaded, Refused> {
        self.within_limits()?;
        let main = self.main.as_ref().map(OfferedText::source);
        let mut files = Offered(self);
        read::assemble_at(doorway, main, &self.arguments, &mut files, previous)
    }

    /// The offered files in a folder, each with its path from there, which leads nowhere else.
    pub fn within(&self, folder: &Path) -> impl Iterator<Item = (&Path, &Contents)> {
        self.files.iter().filter_map(move |(path, contents)| {
            let inside = path.strip_prefix(folder).ok()?;
            let mut parts = inside.components();
            let stays = parts.all(|part| matches!(part, Component::Normal(_)));
            stays.then_some((inside, contents))
        })
    }

    /// Whether another process may be asked to keep it all.
    pub(super) fn within_limits(&self) -> Result<(), Refused> {
        if self.files.len() > OFFERED_FILES_MAX {
            return Err(too_much(format!(
                "the configuration names {} files",
                self.files.len()
            )));
        }
        let bytes = self.bytes();
        if bytes > OFFERED_BYTES_MAX {
            let most = OFFERED_BYTES_MAX >> 20;
            return Err(too_much(format!(
                "the configuration and its files have more than {most} MiB"
            )));
        }
        Ok(())
    }

    fn bytes(&self) -> usize {
        let texts = self.main.iter().chain(&self.included);
        let texts: usize = texts.map(|text| text.text.len()).sum();
        let arguments: usize = self.arguments.iter().map(String::len).sum();
        let files: usize = self.files.values().map(|file| file.0.len()).sum();
        let variables: usize = self.variables.values().map(String::len).sum();
        texts + arguments + files + variables
    }
}

fn too_much(message: String) -> Refused {
    let help =
        "split it, or let it be served by a process of its own: `--no-join` with other ports";
    Refused {
        problems: vec![Problem::error("offer-too-large", message).help(help)],
        sources: Sources::default(),
    }
}

impl OfferedText {
    fn source(&self) -> Source {
        Source {
            path: self.path.clone(),
            text: self.text.clone(),
        }
    }
}

/// Answers from an offer alone.
struct Offered<'a>(&'a Offer);

impl Files for Offered<'_> {
    fn find(&mut self, patterns: &[Located<PathBuf>], _problems: &mut Problems) -> Vec<Included> {
        let included = self.0.included.iter().map(|text| {
            let unreadable = text.unreadable.as_ref().map(|message| {
                let problem = Problem::error("unreadable", message);
                match patterns.first() {
                    Some(pattern) => problem.at(pattern.at, "included here"),
                    None => problem,
                }
            });
            Included {
                source: text.source(),
                unreadable,
            }
        });
        included.collect()
    }

    fn content(&mut self, path: &Path) -> Result<Vec<u8>, Unread> {
        let contents = self.0.files.get(path);
        let contents = contents.map(|contents| contents.0.clone());
        contents.ok_or_else(|| Unread::Because("it was not offered".to_owned()))
    }

    fn variable(&mut self, name: &str) -> Result<String, Unread> {
        let value = self.0.variables.get(name).cloned();
        value.ok_or_else(|| Unread::Because("it was not offered".to_owned()))
    }
}

impl Serialize for Contents {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&BASE64_STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Contents {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        BASE64_STANDARD
            .decode(text)
            .map(Self)
            .map_err(D::Error::custom)
    }
}

/// Texts and files hold secrets.
impl fmt::Debug for OfferedText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OfferedText").field(&self.path).finish()
    }
}

impl fmt::Debug for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Contents({} octets)", self.0.len())
    }
}

impl fmt::Debug for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Offer")
            .field("main", &self.main.as_ref().map(|text| &text.path))
            .field("arguments", &self.arguments)
            .finish_non_exhaustive()
    }
}

//! What a configuration was read from, whole, so that another process reads the same without looking at a file or a variable.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

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
    pub text: String,
}

/// What is in a file; Base64 (RFC 4648 section 4) where it is written down.
#[derive(Clone, PartialEq, Eq)]
pub struct Contents(pub Vec<u8>);

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

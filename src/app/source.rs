//! Where the configuration comes from, so that a reload reads the same again.

use std::path::{Path, PathBuf};

use crate::config;
use crate::config::doorway::Doorway;
use crate::config::offer::Offer;
use crate::config::{Loaded, Refused};

/// What was named on the command line.
#[derive(Debug, Clone)]
pub enum Source {
    /// A file, and sites added as `HOST=TARGET`.
    File {
        path: PathBuf,
        arguments: Vec<String>,
    },
    /// Sites alone.
    Arguments(Vec<String>),
    /// A text that this program wrote itself.
    Text { name: PathBuf, text: String },
}

impl Source {
    /// Reads the configuration; sites of included files that went bad are taken from `previous`.
    ///
    /// # Errors
    /// All problems at once.
    pub fn load(&self, previous: Option<&Loaded>) -> Result<Loaded, Refused> {
        match self {
            Self::File { path, arguments } => {
                config::load_with_arguments(path, arguments, previous)
            }
            Self::Arguments(arguments) => config::from_arguments(arguments),
            Self::Text { name, text } => config::read(name, text),
        }
    }

    /// The same where there was a door before us: its sockets are the defaults.
    ///
    /// # Errors
    /// All problems at once.
    pub fn load_at(
        &self,
        doorway: Option<&Doorway>,
        previous: Option<&Loaded>,
    ) -> Result<Loaded, Refused> {
        let Some(doorway) = doorway else {
            return self.load(previous);
        };
        let (offer, plain) = self.offer(previous)?;
        let loaded = offer.read_at(Some(doorway), previous)?;
        Ok(Loaded {
            watched: plain.watched,
            ..loaded
        })
    }

    /// Reads the configuration together with everything that another process needs to read the same.
    ///
    /// # Errors
    /// All problems at once.
    pub fn offer(&self, previous: Option<&Loaded>) -> Result<(Offer, Loaded), Refused> {
        match self {
            Self::File { path, arguments } => Offer::of(Some(path), arguments, previous),
            Self::Arguments(arguments) => Offer::of(None, arguments, previous),
            Self::Text { name, text } => Offer::of_text(name, text),
        }
    }

    /// What the configuration is called in messages.
    #[must_use]
    pub fn name(&self) -> &Path {
        match self {
            Self::File { path, .. } => path,
            Self::Arguments(_) => Path::new("the command line"),
            Self::Text { name, .. } => name,
        }
    }
}

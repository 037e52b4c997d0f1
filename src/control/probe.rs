//! Whether a target is healthy before a saved lease is put into service. Who looks, and how, is told by `app`.

use std::fmt;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

/// What is looked at: a target as in `to`, the folder its relative paths mean, and a path that must answer well, if there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probed {
    pub target: String,
    pub folder: PathBuf,
    pub path: Option<String>,
}

/// The end of one look; else why the target is not healthy.
pub type Looking = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// Who looks. Cheap to clone.
#[derive(Clone)]
pub struct Probe(Arc<dyn Fn(Probed) -> Looking + Send + Sync>);

impl Probe {
    #[must_use]
    pub fn new(look: impl Fn(Probed) -> Looking + Send + Sync + 'static) -> Self {
        Self(Arc::new(look))
    }

    /// Looks once; takes as long as it takes.
    ///
    /// # Errors
    /// Why the target is not healthy, in words.
    pub(super) async fn look(&self, probed: Probed) -> Result<(), String> {
        (self.0)(probed).await
    }
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Probe")
    }
}

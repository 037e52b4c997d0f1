//! Where a door listens for those of its sites whose files do not say so.

use std::sync::Arc;

use super::Config;
use super::listen::Listen;

/// The `listen` and `http` of a door, which are the defaults of whoever joins it.
#[derive(Debug, Clone)]
pub struct Doorway {
    pub listen: Arc<[Listen]>,
    /// Empty: no plain HTTP.
    pub http: Arc<[Listen]>,
}

impl Doorway {
    /// The one of a door with this configuration.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        Self {
            listen: config.listen.clone(),
            http: config.http.as_slice().into(),
        }
    }
}

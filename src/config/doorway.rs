//! Where a door listens for those of its sites whose files do not say so.

use serde::{Deserialize, Serialize};

use super::Config;
use super::listen::Listen;

/// The `listen` and `http` of a door, which are the defaults of whoever joins it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doorway {
    pub listen: Vec<Listen>,
    /// Empty: no plain HTTP.
    pub http: Vec<Listen>,
}

impl Doorway {
    /// The one of a door with this configuration.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        Self {
            listen: config.listen.to_vec(),
            http: config.http.clone(),
        }
    }
}

//! Asking the directories of the configuration's CAs.

use std::time::Duration;

use crate::app::wall_clock;
use crate::certs::acme::reach::reach;
use crate::cli::doctor::judge::authority::Authority;
use crate::config::Config;

const PATIENCE: Duration = Duration::from_secs(5);

pub(in crate::cli::doctor) async fn authorities(config: &Config) -> Vec<Authority> {
    let Some(acme) = &config.acme else {
        return Vec::new();
    };
    let roots = acme.roots.as_ref().map(|roots| &*roots.pem);
    let mut found = Vec::new();
    for ca in acme.cas() {
        let url = ca.directory.url.to_string();
        let reached = reach(&url, roots, PATIENCE).await;
        let now = wall_clock();
        found.push(Authority { url, reached, now });
    }
    found
}

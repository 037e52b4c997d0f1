//! `roots`: who is trusted, besides the system's roots, to be a server that we call.

use std::path::PathBuf;
use std::sync::Arc;

use super::problem::Problem;
use super::problems::Problems;
use super::read::{Files, Unread};
use super::reader::Item;

/// Who is trusted, besides the system's roots, to be that server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roots {
    pub path: PathBuf,
    /// Certificates as PEM, with at least one in it; empty if the text of the configuration stands alone.
    pub pem: Arc<[u8]>,
}

const PEM: &[u8] = b"-----BEGIN CERTIFICATE-----";

impl Roots {
    pub(super) fn read(
        item: &Item<'_>,
        files: &mut dyn Files,
        problems: &mut Problems,
    ) -> Option<Self> {
        let path = item.path(problems)?.value;
        let shown = path.display();
        let why = match files.content(&path) {
            Ok(pem) if pem.windows(PEM.len()).any(|line| line == PEM) => {
                return Some(Self {
                    pem: pem.into(),
                    path,
                });
            }
            Err(Unread::NobodyLooks) => {
                return Some(Self {
                    pem: Arc::new([]),
                    path,
                });
            }
            Ok(_) => format!("there is no certificate in {shown}"),
            Err(Unread::Because(why)) => format!("cannot read {shown}: {why}"),
        };
        problems.push(Problem::error("unreadable", why).at(item.at(), "wanted as PEM"));
        None
    }
}

//! The keychains of macOS.

use std::path::Path;

use tokio::process::Command;

use super::said;
use crate::cli::trust::listing::names;
use crate::cli::trust::place::Found;
use crate::cli::trust::places::SYSTEM_KEYCHAIN;
use crate::cli::trust::store::Holds;

/// Whether this keychain has the certificate of this SHA-1.
pub(super) async fn find(keychain: &Path, sha1: &str) -> Found {
    let mut find = Command::new("security");
    find.args(["find-certificate", "-a", "-Z"]).arg(keychain);
    match said(&mut find).await {
        Some((true, out)) if names(&String::from_utf8_lossy(&out), sha1) => Found::Ours,
        Some((true | false, _out)) => Found::Nothing,
        None => Found::Unknown("`security` does not answer".to_owned()),
    }
}

pub(super) async fn held_by_system(sha1: &str) -> Holds {
    match find(Path::new(SYSTEM_KEYCHAIN), sha1).await {
        Found::Ours | Found::OursAlone => Holds::Ours,
        Found::Nothing | Found::TakenUp | Found::Another => Holds::Nothing,
        Found::Unknown(why) => Holds::Unknown { why, remedy: None },
    }
}

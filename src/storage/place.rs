//! Where the storage is when nobody says: a pure choice from facts about the process.

use std::fmt;
use std::path::PathBuf;

use crate::system::System;

/// What the choice depends on. An empty path counts as absent.
#[derive(Debug, Clone)]
pub struct Facts {
    /// `$ONEDOOR_STORAGE`.
    pub configured: Option<PathBuf>,
    /// Whether `/data` is a mount of its own, as containers have it.
    pub data_is_mount: bool,
    pub is_root: bool,
    pub system: System,
    /// `$XDG_DATA_HOME`; a relative one is ignored, as the specification of it demands.
    pub xdg_data_home: Option<PathBuf>,
    pub home: Option<PathBuf>,
}

/// Neither root, nor a mount, nor a home: no folder can be guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoPlace;

/// The first that applies: the configured folder, a mounted `/data`, the system's folder for root, the user's own folder.
///
/// # Errors
/// [`NoPlace`] for a user without a home.
pub fn choose(facts: &Facts) -> Result<PathBuf, NoPlace> {
    if let Some(configured) = named(facts.configured.as_ref()) {
        return Ok(configured.clone());
    }
    if facts.data_is_mount {
        return Ok("/data/onedoor".into());
    }
    if facts.is_root {
        return Ok("/var/lib/onedoor".into());
    }
    let home = named(facts.home.as_ref());
    let parent = match facts.system {
        System::Darwin => home.map(|home| home.join("Library/Application Support")),
        System::Linux | System::OtherUnix => named(facts.xdg_data_home.as_ref())
            .filter(|path| path.is_absolute())
            .cloned()
            .or_else(|| home.map(|home| home.join(".local/share"))),
    };
    Ok(parent.ok_or(NoPlace)?.join("onedoor"))
}

fn named(path: Option<&PathBuf>) -> Option<&PathBuf> {
    path.filter(|path| !path.as_os_str().is_empty())
}

impl fmt::Display for NoPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no folder for certificates: this user has no home; set `storage` in the configuration or the variable `ONEDOOR_STORAGE`")
    }
}

impl std::error::Error for NoPlace {}

#[cfg(test)]
mod tests {
    use super::*;

    fn user() -> Facts {
        Facts {
            configured: None,
            data_is_mount: false,
            is_root: false,
            system: System::Linux,
            xdg_data_home: None,
            home: Some("/home/ada".into()),
        }
    }

    #[track_caller]
    fn check(facts: &Facts, expected: Result<&str, NoPlace>) {
        assert_eq!(choose(facts), expected.map(PathBuf::from), "{facts:?}");
    }

    #[test]
    fn the_first_place_that_applies_is_chosen() {
        let mut facts = user();
        check(&facts, Ok("/home/ada/.local/share/onedoor"));
        facts.xdg_data_home = Some("/home/ada/share".into());
        check(&facts, Ok("/home/ada/share/onedoor"));
        facts.is_root = true;
        check(&facts, Ok("/var/lib/onedoor"));
        facts.data_is_mount = true;
        check(&facts, Ok("/data/onedoor"));
        facts.configured = Some("/srv/certificates".into());
        check(&facts, Ok("/srv/certificates"));
    }

    #[test]
    fn a_mac_user_has_the_folder_of_the_system() {
        let facts = Facts {
            system: System::Darwin,
            xdg_data_home: Some("/ignored".into()),
            home: Some("/Users/ada".into()),
            ..user()
        };
        check(&facts, Ok("/Users/ada/Library/Application Support/onedoor"));
    }

    #[test]
    fn empty_and_relative_variables_count_as_absent() {
        let facts = Facts {
            configured: Some("".into()),
            xdg_data_home: Some("share".into()),
            ..user()
        };
        check(&facts, Ok("/home/ada/.local/share/onedoor"));
    }

    #[test]
    fn a_user_without_a_home_is_told_so() {
        check(
            &Facts {
                home: None,
                ..user()
            },
            Err(NoPlace),
        );
    }
}

//! Writing to the storage, and taking it away again.

use std::path::Path;
use std::time::Duration;

use rustix::fs::{Access, access};

use crate::app;
use crate::app::storing::Depot;
use crate::causes;
use crate::cli::doctor::judge::storage::{Orders, Storage, Written};
use crate::clock::Clock;
use crate::config::Config;
use crate::ports::permission::quoted;
use crate::storage::ephemeral;
use crate::storage::files::Storage as Files;
use crate::storage::store::{Key, Store, StoreError, When};

/// What is written; nothing else is called so.
const PROBE: &str = "doctor-probe";
/// For a store on the network.
const PATIENCE: Duration = Duration::from_secs(10);

pub(in crate::cli::doctor) fn look(depot: &Depot, config: Option<&Config>) -> Storage {
    let folder = depot.folder();
    Storage {
        folder: quoted(folder),
        kind: ephemeral::kind(folder),
        written: written(folder),
        orders: orders(depot, config),
    }
}

/// The same in a store that machines share.
pub(in crate::cli::doctor) async fn shared(depot: &Depot) -> Written {
    let store = match depot.open(&Clock::system()) {
        Ok(store) => store,
        Err(error) => return Written::Refused(causes::one_line(&error)),
    };
    let tried = tokio::time::timeout(PATIENCE, probe(&store)).await;
    match tried {
        Ok(Ok(true)) => kept(&store).await,
        Ok(Ok(false)) => Written::Refused("what was written is not what is read".to_owned()),
        Ok(Err(error)) => Written::Refused(causes::one_line(&error)),
        Err(_late) => Written::Refused(format!("it does not answer within {PATIENCE:?}")),
    }
}

/// Whether leases can rest on it, as a start finds out too.
async fn kept(store: &Store) -> Written {
    match tokio::time::timeout(PATIENCE, store.try_out()).await {
        Ok(Ok(())) => Written::Well,
        Ok(Err(error)) => Written::Refused(causes::one_line(&error)),
        Err(_late) => Written::Refused(format!(
            "whether it keeps its word to several writers is not known within {PATIENCE:?}"
        )),
    }
}

/// Whether what is written is read.
async fn probe(store: &Store) -> Result<bool, StoreError> {
    let name = format!("{PROBE}-{:016x}", fastrand::u64(..));
    let Ok(key) = Key::new(&name) else {
        return Ok(false);
    };
    let version = store
        .put(&key, name.as_bytes(), &When::Absent, None)
        .await?;
    let read = store.get(&key).await;
    // Whatever came of it.
    store.delete(&key, &When::Is(version), None).await?;
    Ok(read?.is_some_and(|object| object.bytes == name.as_bytes()))
}

fn written(folder: &Path) -> Written {
    match folder.try_exists() {
        Ok(true) => {}
        Ok(false) => return parent(folder),
        Err(error) => return Written::Refused(error.to_string()),
    }
    let files = Files::at(folder.to_owned());
    let name = format!("{PROBE}-{:016x}", fastrand::u64(..));
    let text = name.as_bytes();
    let tried = files.write(&name, text).and_then(|()| files.read(&name));
    // Whatever came of it: it may be there.
    let removed = std::fs::remove_file(files.path(&name));
    match tried {
        Ok(Some(read)) if read == text => match removed {
            Ok(()) => Written::Well,
            Err(error) => Written::Refused(format!("nothing can be removed: {error}")),
        },
        Ok(_) => Written::Refused("what was written is not what is read".to_owned()),
        Err(error) => Written::Refused(error.to_string()),
    }
}

/// Nothing is made where a look is all that was asked for.
fn parent(folder: &Path) -> Written {
    let nearest = folder.ancestors().skip(1).find(|parent| parent.exists());
    let nearest = nearest
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or_else(|| Path::new("."));
    if !nearest.is_dir() {
        return Written::Refused(format!("{} is no folder", nearest.display()));
    }
    match access(nearest, Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) => Written::NotThereYet,
        Err(error) => Written::Refused(format!("{}: {error}", nearest.display())),
    }
}

fn orders(depot: &Depot, config: Option<&Config>) -> Orders {
    let Some(config) = config else {
        return Orders::None;
    };
    if app::held(config, depot).is_some() {
        return Orders::HeldBack;
    }
    let asks = config
        .acme
        .as_ref()
        .is_some_and(|acme| acme.asks_public_ca());
    if asks { Orders::Accepted } else { Orders::None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(written(folder.path()), Written::Well);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        assert_eq!(written(&folder.path().join("a/b")), Written::NotThereYet);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_file_in_the_folders_place_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("storage");
        std::fs::File::create(&file).unwrap();
        assert!(matches!(written(&file), Written::Refused(_)));
        assert!(matches!(written(&file.join("x")), Written::Refused(_)));
    }
}

//! Watching files: what is told is only that something changed, after it has been quiet for a moment.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;

use super::trails::Trails;
use crate::certs::cert_dir::ENTRIES_MAX;
use crate::config::Config;
use crate::config::Loaded;
use crate::config::site::{Certificate, Service};

/// Editors write a file in several steps; certificates come as two files.
const SETTLE_TIME: Duration = Duration::from_millis(250);
/// Files that never come to rest are read all the same.
const RESTLESS_TIME: Duration = Duration::from_secs(5);
/// Changes that wait to be looked at; more say nothing new.
const CHANGES_MAX: usize = 64;

/// Watches the files of a configuration, and the links that lead to them, through the folders they lie in: what is replaced is seen
/// too.
#[derive(Debug)]
pub(super) struct FileWatch {
    watcher: Option<RecommendedWatcher>,
    folders: BTreeSet<PathBuf>,
    files: BTreeSet<PathBuf>,
    /// Folders in which every file counts.
    whole: BTreeSet<PathBuf>,
    changes: mpsc::Receiver<Vec<PathBuf>>,
    /// Whether something has changed that nobody was told of: whoever waits may be interrupted before it is quiet.
    pending: bool,
}

impl Default for FileWatch {
    fn default() -> Self {
        Self::new()
    }
}

impl FileWatch {
    /// Watches nothing yet. Without a watcher of the system only signals reload, which is told once.
    #[must_use]
    pub(super) fn new() -> Self {
        let (told, changes) = mpsc::channel(CHANGES_MAX);
        let tell = move |event: notify::Result<notify::Event>| {
            if let Ok(event) = event
                && !matches!(event.kind, EventKind::Access(_))
            {
                // When the queue is full the reader has yet to look anyway.
                let _full = told.try_send(event.paths);
            }
        };
        let watcher = notify::recommended_watcher(tell);
        if let Err(error) = &watcher {
            tracing::warn!(%error, "files are not watched: SIGHUP reloads");
        }
        let empty = BTreeSet::new;
        Self {
            watcher: watcher.ok(),
            folders: empty(),
            files: empty(),
            whole: empty(),
            changes,
            pending: false,
        }
    }

    /// Watches this configuration, as [`Self::follow`] says.
    #[must_use]
    pub(super) fn of(loaded: &Loaded) -> Self {
        let mut watch = Self::new();
        watch.follow(loaded);
        watch
    }

    /// Watches what this configuration was read from and the certificates it names, by the ways that lead there now, and nothing
    /// else any more.
    pub(super) fn follow(&mut self, loaded: &Loaded) {
        let mut trails = Trails::default();
        let mut end_of = |path: &Path| trails.end_of(&absolute(path));
        let watched = loaded.watched.iter().map(|path| end_of(path));
        (self.whole, self.files) = watched.partition(|path| path.is_dir());
        for (cert, key) in pairs(&loaded.config) {
            self.files.extend([end_of(cert), end_of(key)]);
        }
        if let Some(folder) = &loaded.config.cert_dir {
            self.whole.insert(end_of(&folder.value));
            for place in ways_on(&folder.value) {
                let end = end_of(&place);
                let wholly = end.is_dir();
                if wholly {
                    &mut self.whole
                } else {
                    &mut self.files
                }
                .insert(end);
            }
        }
        self.files.append(&mut trails.links);
        let parents = self
            .files
            .iter()
            .filter_map(|file| file.parent())
            .map(Path::to_owned);
        let folders: BTreeSet<PathBuf> = parents.chain(self.whole.iter().cloned()).collect();
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        for gone in self.folders.difference(&folders) {
            // A folder that was deleted is not watched any more already.
            let _gone = watcher.unwatch(gone);
        }
        for fresh in folders.difference(&self.folders) {
            if let Err(error) = watcher.watch(fresh, RecursiveMode::NonRecursive) {
                tracing::warn!(folder = %fresh.display(), %error, "folder is not watched: SIGHUP reloads");
            }
        }
        self.folders = folders;
    }

    /// Returns when something that counts has changed and then been quiet.
    pub(super) async fn changed(&mut self) {
        if !self.pending {
            self.change_that_counts().await;
            self.pending = true;
        }
        // Others write into these folders too, perhaps all the time: a log beside the configuration.
        let rest = async {
            while tokio::time::timeout(SETTLE_TIME, self.change_that_counts())
                .await
                .is_ok()
            {}
        };
        let _restless = tokio::time::timeout(RESTLESS_TIME, rest).await;
        self.pending = false;
    }

    async fn change_that_counts(&mut self) {
        loop {
            let Some(paths) = self.changes.recv().await else {
                return std::future::pending().await;
            };
            if paths.iter().any(|path| self.counts(path)) {
                return;
            }
        }
    }

    fn counts(&self, path: &Path) -> bool {
        self.files.contains(path)
            || path
                .parent()
                .is_some_and(|folder| self.whole.contains(folder))
    }
}

fn pairs(config: &Config) -> impl Iterator<Item = (&PathBuf, &PathBuf)> {
    config.sites.iter().filter_map(|site| match &site.service {
        Service::Secure(tls, _) | Service::Tcp(tls, _) => match &tls.certificate {
            Certificate::Pair { cert, key } => Some((&cert.value, &key.value)),
            Certificate::LocalCa | Certificate::Auto => None,
        },
        Service::Plain(_) | Service::Passthrough(_) => None,
    })
}

/// What a folder of pairs has besides files: folders, which hold pairs too, and links.
fn ways_on(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let ways = entries.take(ENTRIES_MAX).flatten().filter(|entry| {
        let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        !is_hidden && entry.file_type().is_ok_and(|kind| !kind.is_file())
    });
    ways.map(|entry| entry.path())
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_error| path.to_owned())
}

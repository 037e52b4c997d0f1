//! A lock among processes that holds for a moment, while something is read, compared and written.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::StoreError;
use crate::storage::disk::{self, FILE_MODE};
use crate::storage::files;

/// The longest wait for others; each of them holds it for a few small reads and writes.
pub(super) const LOCK_WAIT: Duration = Duration::from_secs(10);
/// The longest pause between two attempts.
const PAUSE_MAX: Duration = Duration::from_millis(20);

/// The lock at `path`, waited for on this thread; it ends with the file that is returned. Its folder must be there.
pub(super) fn wait(path: &Path, longest: Duration) -> Result<File, StoreError> {
    let began = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(file) = attempt(path)? {
            return Ok(file);
        }
        if began.elapsed() >= longest {
            return Err(StoreError::Busy(path.to_owned()));
        }
        thread::sleep(pause);
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// The lock at `path`; none if another open file has it. Its folder must be there.
pub(super) fn attempt(path: &Path) -> Result<Option<File>, StoreError> {
    let unusable = |error| StoreError::Unusable(files::Error::new(path.to_owned(), error));
    let Some(file) = opened(path).map_err(unusable)? else {
        return Ok(None);
    };
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(unusable(error)),
    }
}

/// None: another has made it in this moment.
fn opened(path: &Path) -> io::Result<Option<File>> {
    let mut options = OpenOptions::new();
    options.write(true).mode(FILE_MODE);
    match options.open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        opened => return opened.map(Some),
    }
    match options.create_new(true).open(path) {
        Ok(file) => {
            disk::give(&file, path);
            Ok(Some(file))
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_has_the_lock_and_the_wait_has_an_end() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join(".lock");
        let held = wait(&path, Duration::ZERO).unwrap();
        assert!(attempt(&path).unwrap().is_none());
        let error = wait(&path, Duration::from_millis(5)).unwrap_err();
        assert!(matches!(&error, StoreError::Busy(named) if *named == path));
        assert!(error.to_string().contains("lslocks"), "{error}");
        drop(held);
        wait(&path, Duration::ZERO).unwrap();
    }
}

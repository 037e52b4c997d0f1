//! A small disk of its own, which can be filled; only root may mount it. Gone when dropped.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

const FILLER: &str = ".filler";
const PAGE: usize = 4096;

pub(crate) struct Tmpfs(TempDir);

impl Tmpfs {
    #[track_caller]
    pub(crate) fn of_kib(size: usize) -> Self {
        let disk = Self(TempDir::new().unwrap());
        let options = format!("size={size}k,mode=0700");
        disk.mount(&["-t", "tmpfs", "-o", &options, "tmpfs"]);
        disk
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Leaves no page.
    pub(crate) fn fill(&self) {
        let mut filler = File::create(self.filler()).unwrap();
        let full = loop {
            if let Err(error) = filler.write(&[0; PAGE]) {
                break error;
            }
        };
        assert_eq!(full.kind(), ErrorKind::StorageFull);
    }

    /// As much room as in the beginning.
    pub(crate) fn free(&self) {
        let _none = fs::remove_file(self.filler());
    }

    #[track_caller]
    pub(crate) fn remount(&self, how: &str) {
        self.mount(&["-o", &format!("remount,{how}")]);
    }

    fn filler(&self) -> PathBuf {
        self.path().join(FILLER)
    }

    #[track_caller]
    fn mount(&self, options: &[&str]) {
        let output = Command::new("mount")
            .args(options)
            .arg(self.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "a test that mounts a disk needs root: {said}"
        );
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _done = Command::new("umount")
            .arg("--lazy")
            .arg(self.path())
            .status();
    }
}

//! A wall clock that the test sets, for one process. Timers go on as they do.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::door::Home;

const LIBRARIES: [&str; 3] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/faketime/libfaketime.so.1",
];
const FILE: &str = "clock";

/// The clock of a process that is started with [`FalseClock::give_to`].
pub(crate) struct FalseClock(PathBuf);

impl FalseClock {
    /// Right, until it is set.
    pub(crate) fn of(home: &Home) -> Self {
        home.write(FILE, "+0");
        Self(home.path().to_owned())
    }

    /// How far it is off from now on, as in `+80d`, `-5m`.
    pub(crate) fn set(&self, offset: &str) {
        let fresh = self.0.join("clock.fresh");
        std::fs::write(&fresh, offset).unwrap();
        std::fs::rename(fresh, self.0.join(FILE)).unwrap();
    }

    #[track_caller]
    pub(crate) fn give_to(&self, command: &mut Command) {
        let library = LIBRARIES.iter().find(|path| Path::new(path).exists());
        command
            .env(
                "LD_PRELOAD",
                library.expect("`faketime` of Debian's packages: tests/run installs it"),
            )
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_TIMESTAMP_FILE", self.0.join(FILE));
    }
}

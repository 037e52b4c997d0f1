//! How many files and sockets this process may have open.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The limit on open descriptors; none: unlimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Descriptors {
    /// What holds now.
    pub soft: Option<u64>,
    /// How far the soft limit may be raised.
    pub hard: Option<u64>,
}

/// What Darwin allows at most while it calls the hard limit unlimited (`OPEN_MAX` of `sys/syslimits.h`).
const DARWIN_OPEN_MAX: u64 = 10_240;

/// Raises the soft limit to the hard one and says what holds afterwards.
///
/// # Errors
/// When the kernel refuses both the hard limit and what it is known to allow.
pub fn raise_descriptor_limit() -> io::Result<Descriptors> {
    let before = getrlimit(Resource::Nofile);
    if before.current != before.maximum {
        let raised = |current| Rlimit {
            current,
            maximum: before.maximum,
        };
        let known = before
            .maximum
            .map_or(DARWIN_OPEN_MAX, |hard| hard.min(DARWIN_OPEN_MAX));
        let lower = before.current.is_some_and(|soft| soft < known);
        match setrlimit(Resource::Nofile, raised(before.maximum)) {
            Ok(()) => {}
            Err(_refused) if lower => setrlimit(Resource::Nofile, raised(Some(known)))?,
            Err(refused) => return Err(refused.into()),
        }
    }
    let now = getrlimit(Resource::Nofile);
    Ok(Descriptors {
        soft: now.current,
        hard: now.maximum,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        let descriptors = raise_descriptor_limit().unwrap();
        assert_eq!(descriptors.soft, descriptors.hard);
        assert_eq!(raise_descriptor_limit().unwrap(), descriptors);
    }
}

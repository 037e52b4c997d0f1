//! Listening sockets that launchd opened for us, by the name they have in the agent's property list.

use std::net::TcpListener;

/// What our property lists call them.
pub const SOCKETS: &str = "Listeners";

/// Takes them over, once in the life of a process; none where no launchd has any.
#[cfg(target_os = "macos")]
pub(super) fn listeners() -> Vec<TcpListener> {
    use std::fs::OpenOptions;
    use std::os::fd::OwnedFd;

    let numbers = match raunch::activate_socket(SOCKETS) {
        Ok(numbers) => numbers,
        Err(raunch::Error::NotManaged | raunch::Error::NotInPlist) => return Vec::new(),
        Err(error) => {
            tracing::warn!(%error, "launchd did not pass its sockets");
            return Vec::new();
        }
    };
    let opened = numbers.into_iter().filter_map(|number| {
        // Opening a descriptor's file makes another descriptor of the same socket, and owns it.
        let mut options = OpenOptions::new();
        let opened = options
            .read(true)
            .write(true)
            .open(format!("/dev/fd/{number}"));
        opened
            .inspect_err(|error| tracing::warn!(%error, number, "a socket of launchd is lost"))
            .ok()
    });
    opened
        .map(|file| TcpListener::from(OwnedFd::from(file)))
        .collect()
}

/// No launchd here.
#[cfg(not(target_os = "macos"))]
pub(super) fn listeners() -> Vec<TcpListener> {
    Vec::new()
}

//! Telling the service manager how far we are: `sd_notify` of systemd, and nothing where no manager listens.

use std::io;

use sd_notify::NotifyState;

/// Everything that was asked for is served; `summary` is shown beside the unit.
///
/// # Errors
/// When a manager is there and cannot be told.
pub fn ready(summary: &str) -> io::Result<()> {
    sd_notify::notify(&[NotifyState::Ready, NotifyState::Status(&one_line(summary))])
}

/// A reload has begun; [`ready`] ends it.
///
/// # Errors
/// When a manager is there and cannot be told.
pub fn reloading() -> io::Result<()> {
    let now = NotifyState::monotonic_usec_now()?;
    sd_notify::notify(&[NotifyState::Reloading, now])
}

/// A stop has begun.
///
/// # Errors
/// When a manager is there and cannot be told.
pub fn stopping() -> io::Result<()> {
    sd_notify::notify(&[NotifyState::Stopping])
}

/// Another process serves from now on; this one only finishes what it began.
///
/// # Errors
/// When a manager is there and cannot be told.
pub fn succeeded_by(pid: u32) -> io::Result<()> {
    sd_notify::notify(&[NotifyState::MainPid(pid)])
}

/// Whether a manager is there to be told.
#[must_use]
pub fn is_heard() -> bool {
    std::env::var_os("NOTIFY_SOCKET").is_some()
}

/// Changes what is shown beside the unit, and nothing else.
///
/// # Errors
/// When a manager is there and cannot be told.
pub fn status(summary: &str) -> io::Result<()> {
    sd_notify::notify(&[NotifyState::Status(&one_line(summary))])
}

/// Each line of a message is an order of its own.
fn one_line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use std::env;
    use std::os::unix::net::UnixDatagram;
    use std::process::{Command, Stdio};

    use super::*;

    /// Runs itself as a service, with a socket of the test as its manager.
    #[test]
    fn the_manager_hears_every_stage() {
        const SERVICE: &str = "ONEDOOR_TEST_SERVICE";
        if env::var_os(SERVICE).is_some() {
            reloading().unwrap();
            ready("3 sites\nSTOPPING=1").unwrap();
            status("2 sites").unwrap();
            succeeded_by(4711).unwrap();
            stopping().unwrap();
            return;
        }
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let service = Command::new(env::current_exe().unwrap())
            .args([
                "--exact",
                "control::readiness::tests::the_manager_hears_every_stage",
            ])
            .env(SERVICE, "1")
            .env("NOTIFY_SOCKET", &path)
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(service.success());
        let heard = |manager: &UnixDatagram| {
            let mut octets = [0; 256];
            let length = manager.recv(&mut octets).unwrap();
            String::from_utf8_lossy(&octets[..length]).into_owned()
        };
        assert!(heard(&manager).starts_with("RELOADING=1\nMONOTONIC_USEC="));
        assert_eq!(heard(&manager), "READY=1\nSTATUS=3 sites STOPPING=1\n");
        assert_eq!(heard(&manager), "STATUS=2 sites\n");
        assert_eq!(heard(&manager), "MAINPID=4711\n");
        assert_eq!(heard(&manager), "STOPPING=1\n");
    }
}

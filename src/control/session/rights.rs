//! Descriptors beside octets on a Unix socket (`SCM_RIGHTS`), one system call at a time.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::cmsg_space;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, RecvMsg, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

/// Descriptors of one message; systems take a few more.
pub const DESCRIPTORS_PER_MESSAGE_MAX: usize = 64;

const SPACE: usize = cmsg_space!(ScmRights(DESCRIPTORS_PER_MESSAGE_MAX));

/// What one call brought.
#[derive(Debug)]
pub(super) struct Received {
    /// 0: the other side closed.
    pub(super) octets: usize,
    /// In the order in which they were sent, closed on exec.
    pub(super) descriptors: Vec<OwnedFd>,
    /// Whether descriptors were lost: more in a message than allowed, or this process may open no more.
    pub(super) truncated: bool,
}

/// Sends as much as fits; once an octet was sent, all descriptors were.
///
/// # Errors
/// As the system says; nothing was sent then.
pub(super) fn send(socket: impl AsFd, octets: &[u8], descriptors: &[OwnedFd]) -> io::Result<usize> {
    let borrowed: Vec<BorrowedFd<'_>> = descriptors.iter().map(AsFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); SPACE];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !borrowed.is_empty() && !control.push(SendAncillaryMessage::ScmRights(&borrowed)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let sent = sendmsg(
        socket,
        &[IoSlice::new(octets)],
        &mut control,
        SendFlags::empty(),
    )?;
    Ok(sent)
}

/// Receives what is there.
///
/// # Errors
/// As the system says; nothing was received then.
pub(super) fn receive(socket: impl AsFd, octets: &mut [u8]) -> io::Result<Received> {
    let mut space = [MaybeUninit::uninit(); SPACE];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let RecvMsg { bytes, flags, .. } =
        recvmsg(socket, &mut [IoSliceMut::new(octets)], &mut control, FLAGS)?;
    let mut descriptors = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(passed) = message {
            descriptors.extend(passed);
        }
    }
    close_on_exec(&descriptors)?;
    Ok(Received {
        octets: bytes,
        descriptors,
        truncated: flags.contains(ReturnFlags::CTRUNC),
    })
}

#[cfg(target_os = "linux")]
const FLAGS: RecvFlags = RecvFlags::CMSG_CLOEXEC;
#[cfg(not(target_os = "linux"))]
const FLAGS: RecvFlags = RecvFlags::empty();

/// For systems whose `recvmsg` cannot do it; a program started in between would inherit them.
fn close_on_exec(descriptors: &[OwnedFd]) -> io::Result<()> {
    if cfg!(not(target_os = "linux")) {
        for descriptor in descriptors {
            rustix::io::fcntl_setfd(descriptor, rustix::io::FdFlags::CLOEXEC)?;
        }
    }
    Ok(())
}

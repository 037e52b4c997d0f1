//! What channels keep, over real sockets.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::{FdFlags, fcntl_getfd};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use super::*;
use crate::control::session::DESCRIPTORS_PER_MESSAGE_MAX;

const SMALL: Bounds = Bounds {
    line_bytes: 8,
    descriptors: 4,
};
const WIDE: Bounds = Bounds {
    line_bytes: LINE_BYTES_MAX,
    descriptors: DESCRIPTORS_MAX,
};

#[tokio::test]
async fn a_listener_that_was_passed_accepts_and_is_closed_on_exec() {
    let (mut reader, mut writer) = pair(WIDE);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    writer
        .push(b"take it".to_vec(), vec![listener.into()])
        .unwrap();
    writer.flush().await.unwrap();
    assert_eq!(reader.line().await.unwrap(), "take it");
    let passed = reader.take_descriptors(1).remove(0);
    assert!(fcntl_getfd(&passed).unwrap().contains(FdFlags::CLOEXEC));
    let mut client = TcpStream::connect(address).unwrap();
    client.write_all(b"hi").unwrap();
    let (mut accepted, _peer) = TcpListener::from(passed).accept().unwrap();
    let mut said = [0; 2];
    accepted.read_exact(&mut said).unwrap();
    assert_eq!(&said, b"hi");
}

#[tokio::test]
async fn several_batches_arrive_in_order_before_their_line() {
    let (mut reader, mut writer) = pair(WIDE);
    let (files, inodes): (Vec<OwnedFd>, Vec<u64>) = (0..=2 * DESCRIPTORS_PER_MESSAGE_MAX)
        .map(|_file| file())
        .unzip();
    writer.push(b"before".to_vec(), Vec::new()).unwrap();
    writer.push(b"many".to_vec(), files).unwrap();
    writer.push(b"after".to_vec(), vec![file().0]).unwrap();
    let sending = async { writer.flush().await.unwrap() };
    let receiving = async {
        assert_eq!(reader.line().await.unwrap(), "before");
        assert_eq!(reader.line().await.unwrap(), "many");
        let passed = reader.take_descriptors(inodes.len());
        assert_eq!(passed.iter().map(inode).collect::<Vec<_>>(), inodes);
        assert_eq!(reader.line().await.unwrap(), "after");
        assert_eq!(reader.take_descriptors(9).len(), 1);
    };
    tokio::join!(sending, receiving);
}

#[tokio::test]
async fn a_line_at_the_limit_comes_and_one_beyond_it_does_not() {
    let (mut reader, mut peer) = with_peer(SMALL);
    peer.write_all(b"12345678\n123456789\n").await.unwrap();
    assert_eq!(reader.line().await.unwrap(), "12345678");
    let broken = reader.line().await.unwrap_err();
    assert!(matches!(broken, Broken::LineTooLong { max: 8 }), "{broken}");
}

#[tokio::test]
async fn a_line_without_end_is_not_waited_for() {
    let (mut reader, mut peer) = with_peer(SMALL);
    peer.write_all(b"123456789").await.unwrap();
    let broken = reader.line().await.unwrap_err();
    assert!(matches!(broken, Broken::LineTooLong { .. }), "{broken}");
}

#[tokio::test]
async fn the_longest_line_of_all_comes() {
    let (mut reader, mut writer) = pair(WIDE);
    let line = vec![b'x'; LINE_BYTES_MAX];
    let refused = writer.push([line.as_slice(), b"x"].concat(), Vec::new());
    assert!(matches!(refused, Err(Broken::LineTooLong { .. })));
    writer.push(line, Vec::new()).unwrap();
    let (sent, read) = tokio::join!(writer.flush(), reader.line());
    sent.unwrap();
    assert_eq!(read.unwrap().len(), LINE_BYTES_MAX);
}

#[tokio::test]
async fn more_descriptors_than_allowed_break_the_channel() {
    let (mut reader, mut writer) = pair(SMALL);
    let five = (0..5).map(|_file| file().0).collect();
    writer.push(b"five".to_vec(), five).unwrap();
    writer.flush().await.unwrap();
    let broken = reader.line().await.unwrap_err();
    assert!(
        matches!(broken, Broken::TooManyDescriptors { max: 4 }),
        "{broken}"
    );
    let (one, _inode) = file();
    let too_many = (0..=DESCRIPTORS_MAX).map(|_file| one.try_clone().unwrap());
    let refused = writer.push(Vec::new(), too_many.collect());
    assert!(matches!(refused, Err(Broken::TooManyDescriptors { .. })));
    assert!(writer.is_idle());
}

#[tokio::test]
async fn more_in_one_message_than_allowed_are_noticed() {
    let (mut reader, peer) = with_peer(WIDE);
    let files: Vec<OwnedFd> = (0..2 * DESCRIPTORS_PER_MESSAGE_MAX)
        .map(|_file| file().0)
        .collect();
    let borrowed: Vec<_> = files.iter().map(std::os::fd::AsFd::as_fd).collect();
    let mut space = [std::mem::MaybeUninit::uninit();
        rustix::cmsg_space!(ScmRights(2 * DESCRIPTORS_PER_MESSAGE_MAX))];
    let mut control = rustix::net::SendAncillaryBuffer::new(&mut space);
    assert!(control.push(rustix::net::SendAncillaryMessage::ScmRights(&borrowed)));
    let line = [io::IoSlice::new(b"x\n")];
    rustix::net::sendmsg(&peer, &line, &mut control, rustix::net::SendFlags::empty()).unwrap();
    let broken = reader.line().await.unwrap_err();
    assert!(matches!(broken, Broken::DescriptorsLost), "{broken}");
}

#[tokio::test]
async fn octets_that_were_read_already_come_first() {
    let (ours, mut peer) = UnixStream::pair().unwrap();
    let (mut reader, _writer) = open(ours, b"one\ntw", SMALL);
    peer.write_all(b"o\n").await.unwrap();
    assert_eq!(reader.line().await.unwrap(), "one");
    assert_eq!(reader.line().await.unwrap(), "two");
}

#[tokio::test]
async fn lines_are_the_same_wherever_they_are_split_and_reads_are_cancelled() {
    let all = b"one\n\n{\"descriptors\":0}\nthree\n";
    let bounds = Bounds {
        line_bytes: 20,
        ..SMALL
    };
    for split in 0..=all.len() {
        let (mut reader, mut peer) = with_peer(bounds);
        let mut lines = Vec::new();
        for part in [&all[..split], &all[split..]] {
            peer.write_all(part).await.unwrap();
            // A read that is given up while it waits.
            while let Ok(line) = timeout(Duration::from_millis(1), reader.line()).await {
                lines.push(line.unwrap());
            }
        }
        drop(peer);
        loop {
            match reader.line().await {
                Ok(line) => lines.push(line),
                Err(Broken::Ended) => break,
                Err(broken) => panic!("{broken}"),
            }
        }
        assert_eq!(lines, ["one", "", "three"], "split at {split}");
    }
}

#[tokio::test]
async fn a_write_that_was_given_up_is_finished_by_the_next() {
    let (mut reader, mut writer) = pair(WIDE);
    writer.push(vec![b'x'; 4 << 20], vec![file().0]).unwrap();
    let given_up = timeout(Duration::from_millis(1), writer.flush()).await;
    assert!(given_up.is_err());
    writer.push(b"next".to_vec(), Vec::new()).unwrap();
    let (sent, line) = tokio::join!(writer.flush(), async {
        let long = reader.line().await.unwrap();
        assert!(long.iter().all(|octet| *octet == b'x'));
        assert_eq!((long.len(), reader.take_descriptors(2).len()), (4 << 20, 1));
        reader.line().await.unwrap()
    });
    sent.unwrap();
    assert_eq!(line, "next");
}

#[tokio::test]
async fn a_peer_that_vanishes_is_told_apart_from_one_that_ends() {
    let (mut reader, peer) = with_peer(SMALL);
    drop(peer);
    assert!(matches!(reader.line().await, Err(Broken::Ended)));
    let (mut reader, mut peer) = with_peer(SMALL);
    peer.write_all(b"half").await.unwrap();
    drop(peer);
    assert!(matches!(reader.line().await, Err(Broken::Cut)));
    let (reader, mut writer) = pair(SMALL);
    drop(reader);
    writer.push(b"x".to_vec(), Vec::new()).unwrap();
    assert!(matches!(writer.flush().await, Err(Broken::Failed(_))));
}

fn pair(bounds: Bounds) -> (Reader, Writer) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let (reader, _writer) = open(ours, b"", bounds);
    let (_reader, writer) = open(theirs, b"", bounds);
    (reader, writer)
}

fn with_peer(bounds: Bounds) -> (Reader, UnixStream) {
    let (ours, peer) = UnixStream::pair().unwrap();
    (open(ours, b"", bounds).0, peer)
}

fn file() -> (OwnedFd, u64) {
    let file = OwnedFd::from(tempfile::tempfile().unwrap());
    let inode = inode(&file);
    (file, inode)
}

fn inode(file: &OwnedFd) -> u64 {
    rustix::fs::fstat(file).unwrap().st_ino
}

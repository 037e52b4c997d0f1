//! Bytes both ways between two streams, with half-close passed on, until both directions ended.
//!
//! A quiet relay owns no buffer: bytes are read into a scratch of the thread, and only what the other side does not take at once is kept.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::deadline::Deadline;

/// How much is read at once, and so how much one direction keeps at most.
const SCRATCH_BYTES: usize = 64 << 10;

/// The read buffer that all relays of a thread share.
#[derive(Debug, Clone)]
pub struct Scratch(Rc<RefCell<Box<[u8]>>>);

impl Default for Scratch {
    fn default() -> Self {
        Self(Rc::new(RefCell::new(vec![0; SCRATCH_BYTES].into())))
    }
}

/// How many bytes went each way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Carried {
    /// From the first stream to the second.
    pub forth: u64,
    /// From the second stream to the first.
    pub back: u64,
}

/// How a relay ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Both sides closed.
    Closed,
    /// Nothing moved for too long.
    Idle,
    /// `stop` said so.
    Stopped,
    /// A side broke.
    Broken,
}

/// Carries bytes until both directions ended, nothing moved for `idle`, or `stop` says so.
pub async fn relay(
    scratch: &Scratch,
    deadline: &Deadline,
    idle: Duration,
    mut stop: impl FnMut(&mut Context<'_>) -> bool,
    first: impl AsyncRead + AsyncWrite,
    second: impl AsyncRead + AsyncWrite,
) -> (Carried, Ending) {
    let (mut first, mut second) = (pin!(first), pin!(second));
    let (mut forth, mut back) = (Flow::default(), Flow::default());
    deadline.arm(idle);
    let ending = poll_fn(|cx| {
        let before = forth.carried + back.carried;
        let scratch = &mut *scratch.0.borrow_mut();
        let there = forth.poll(cx, scratch, first.as_mut(), second.as_mut());
        let here = back.poll(cx, scratch, second.as_mut(), first.as_mut());
        match (there, here) {
            (Poll::Ready(Err(_)), _) | (_, Poll::Ready(Err(_))) => {
                return Poll::Ready(Ending::Broken);
            }
            (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => return Poll::Ready(Ending::Closed),
            (Poll::Pending, _) | (_, Poll::Pending) => {}
        }
        if stop(cx) {
            return Poll::Ready(Ending::Stopped);
        }
        if forth.carried + back.carried != before {
            deadline.arm(idle);
        }
        deadline.poll_expired(cx).map(|()| Ending::Idle)
    })
    .await;
    (
        Carried {
            forth: forth.carried,
            back: back.carried,
        },
        ending,
    )
}

/// One direction.
#[derive(Debug, Default)]
struct Flow {
    /// Read but not taken yet, from `taken` on.
    kept: Vec<u8>,
    taken: usize,
    carried: u64,
    stage: Stage,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Stage {
    #[default]
    Open,
    Closing,
    Closed,
}

impl Flow {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        scratch: &mut [u8],
        mut from: Pin<&mut impl AsyncRead>,
        mut to: Pin<&mut impl AsyncWrite>,
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(self.poll_kept(cx, to.as_mut()))?;
            match self.stage {
                Stage::Closed => return Poll::Ready(Ok(())),
                Stage::Closing => {
                    ready!(to.as_mut().poll_shutdown(cx))?;
                    self.stage = Stage::Closed;
                }
                Stage::Open => {
                    let mut buffer = ReadBuf::new(scratch);
                    if from.as_mut().poll_read(cx, &mut buffer)?.is_pending() {
                        ready!(to.as_mut().poll_flush(cx))?;
                        return Poll::Pending;
                    }
                    if buffer.filled().is_empty() {
                        self.stage = Stage::Closing;
                    } else {
                        self.pass(cx, to.as_mut(), buffer.filled())?;
                    }
                }
            }
        }
    }

    fn pass(
        &mut self,
        cx: &mut Context<'_>,
        to: Pin<&mut impl AsyncWrite>,
        bytes: &[u8],
    ) -> io::Result<()> {
        let taken = match to.poll_write(cx, bytes)? {
            Poll::Ready(0) => return Err(io::ErrorKind::WriteZero.into()),
            Poll::Ready(taken) => taken,
            Poll::Pending => 0,
        };
        self.carried += taken as u64;
        self.kept.extend_from_slice(&bytes[taken..]);
        Ok(())
    }

    fn poll_kept(
        &mut self,
        cx: &mut Context<'_>,
        mut to: Pin<&mut impl AsyncWrite>,
    ) -> Poll<io::Result<()>> {
        while self.taken < self.kept.len() {
            let taken = ready!(to.as_mut().poll_write(cx, &self.kept[self.taken..]))?;
            if taken == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.taken += taken;
            self.carried += taken as u64;
        }
        if !self.kept.is_empty() {
            self.kept = Vec::new();
            self.taken = 0;
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deadline::Wheel;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    #[tokio::test]
    async fn half_close_reaches_the_other_side_and_the_answer_comes_back() {
        let wheel = Wheel::new();
        let (client, near) = duplex(16);
        let (far, server) = duplex(16);
        let deadline = wheel.deadline();
        let scratch = Scratch::default();
        let carried = relay(
            &scratch,
            &deadline,
            Duration::from_secs(9),
            |_cx| false,
            near,
            far,
        );
        let talk = async {
            let (mut from_client, mut to_client) = tokio::io::split(client);
            let (mut from_server, mut to_server) = tokio::io::split(server);
            let ask = async {
                to_client.write_all(&[7; 1000]).await.unwrap();
                to_client.shutdown().await.unwrap();
            };
            let hear = async {
                let mut heard = Vec::new();
                from_server.read_to_end(&mut heard).await.unwrap();
                to_server.write_all(&heard).await.unwrap();
                to_server.shutdown().await.unwrap();
            };
            let receive = async {
                let mut back = Vec::new();
                from_client.read_to_end(&mut back).await.unwrap();
                back
            };
            tokio::join!(ask, hear, receive).2
        };
        let ((carried, ending), back) = tokio::join!(carried, talk);
        assert_eq!(back, vec![7; 1000]);
        assert_eq!(
            carried,
            Carried {
                forth: 1000,
                back: 1000
            }
        );
        assert_eq!(ending, Ending::Closed);
    }

    #[tokio::test(start_paused = true)]
    async fn a_relay_where_nothing_moves_ends() {
        let wheel = Wheel::new();
        let (_client, near) = duplex(16);
        let (far, _server) = duplex(16);
        let deadline = wheel.deadline();
        let scratch = Scratch::default();
        let work = relay(
            &scratch,
            &deadline,
            Duration::from_secs(9),
            |_cx| false,
            near,
            far,
        );
        let (_, ending) = tokio::select! {
            () = wheel.turn(|| ()) => unreachable!("a wheel turns for ever"),
            ended = work => ended,
        };
        assert_eq!(ending, Ending::Idle);
    }
}

//! Happy eyeballs (RFC 8305 section 5): addresses are tried one after another with a little head start each; the first that takes the
//! connection wins, and the others are let go.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

use super::addresses::Addresses;
use crate::upstream::UpstreamError;

/// How long an attempt is waited for before the next one begins beside it: the Connection Attempt Delay of RFC 8305.
const HEAD_START: Duration = Duration::from_millis(250);
/// Attempts at once; for the next one the oldest is given up.
const AT_ONCE_MAX: usize = 6;

/// Opens a connection to the first of several addresses that takes one, and says to which.
///
/// # Errors
/// [`UpstreamError::Unreachable`], which names the addresses if there were several.
pub(super) async fn run(addresses: &Addresses) -> Result<(TcpStream, SocketAddr), UpstreamError> {
    let connected = match addresses.as_slice() {
        [only] => connect(*only).await.map(|tcp| (tcp, *only)),
        several => {
            let first = match addresses {
                Addresses::First(_) => First::Counts,
                Addresses::One(_) | Addresses::Any(_) => First::IsOneOfMany,
            };
            let mut race = Race::new(several.iter().copied(), first, connect);
            poll_fn(|cx| race.poll(cx)).await
        }
    };
    let (tcp, at) = connected.map_err(UpstreamError::Unreachable)?;
    tcp.set_nodelay(true).map_err(UpstreamError::Unreachable)?;
    Ok((tcp, at))
}

async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    TcpStream::connect(address).await
}

/// What the first address's refusal means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum First {
    /// As long as nobody else was tried, it is the answer: who sent us there has others to choose from.
    Counts,
    IsOneOfMany,
}

struct Race<I, C, F> {
    waiting: I,
    first: First,
    connect: C,
    running: VecDeque<(SocketAddr, Pin<Box<F>>)>,
    failed: Vec<(SocketAddr, io::Error)>,
    head_start: Pin<Box<Sleep>>,
}

/// Whether somebody said no, and not this machine for want of a way there: one without IPv6 has no way to half of the addresses.
fn is_of_the_other_side(error: &io::Error) -> bool {
    !matches!(
        error.kind(),
        io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::AddrNotAvailable
            | io::ErrorKind::Unsupported
    )
}

impl<I, C, F, T> Race<I, C, F>
where
    I: Iterator<Item = SocketAddr>,
    C: Fn(SocketAddr) -> F,
    F: Future<Output = io::Result<T>>,
{
    fn new(waiting: I, first: First, connect: C) -> Self {
        Self {
            waiting,
            first,
            connect,
            running: VecDeque::with_capacity(2),
            failed: Vec::new(),
            head_start: Box::pin(sleep(HEAD_START)),
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(T, SocketAddr)>> {
        loop {
            let failed = self.failed.len();
            if let Some(won) = self.poll_running(cx) {
                return Poll::Ready(Ok(won));
            }
            let is_next = self.running.is_empty()
                || self.failed.len() > failed
                || self.head_start.as_mut().poll(cx).is_ready();
            if !is_next {
                return Poll::Pending;
            }
            let counts = self.first == First::Counts
                && matches!(&*self.failed, [(_address, error)] if is_of_the_other_side(error));
            if counts && self.running.is_empty() {
                return Poll::Ready(Err(summed(std::mem::take(&mut self.failed))));
            }
            let Some(next) = self.waiting.next() else {
                return if self.running.is_empty() {
                    Poll::Ready(Err(summed(std::mem::take(&mut self.failed))))
                } else {
                    Poll::Pending
                };
            };
            self.begin(next);
        }
    }

    fn begin(&mut self, next: SocketAddr) {
        if self.running.len() == AT_ONCE_MAX
            && let Some((silent, _attempt)) = self.running.pop_front()
        {
            self.failed.push((silent, io::ErrorKind::TimedOut.into()));
        }
        self.running
            .push_back((next, Box::pin((self.connect)(next))));
        self.head_start.set(sleep(HEAD_START));
    }

    fn poll_running(&mut self, cx: &mut Context<'_>) -> Option<(T, SocketAddr)> {
        let mut won = None;
        let failed = &mut self.failed;
        self.running.retain_mut(|(address, attempt)| {
            if won.is_some() {
                return true;
            }
            match attempt.as_mut().poll(cx) {
                Poll::Ready(Ok(connected)) => {
                    won = Some((connected, *address));
                    false
                }
                Poll::Ready(Err(error)) => {
                    failed.push((*address, error));
                    false
                }
                Poll::Pending => true,
            }
        });
        won
    }
}

/// One error of all: of the kind of the last one.
fn summed(mut failed: Vec<(SocketAddr, io::Error)>) -> io::Error {
    if failed.len() < 2 {
        let only = failed.pop().map(|(_address, error)| error);
        return only.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into());
    }
    let mut text = String::new();
    for (address, error) in &failed {
        let separator = if text.is_empty() { "" } else { ", " };
        // Writing into a string cannot fail.
        let _written = write!(text, "{separator}{address}: {error}");
    }
    let kind = failed
        .last()
        .map_or(io::ErrorKind::Other, |(_, error)| error.kind());
    io::Error::new(kind, text)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::io::ErrorKind;

    use tokio::time::Instant;

    use super::*;

    /// What an address of a test does, by its port.
    const WELL: u16 = 1;
    const REFUSES: u16 = 2;
    const SILENT: u16 = 3;
    const SLOW: u16 = 4;
    const NO_WAY: u16 = 5;
    const SLOW_TIME: Duration = Duration::from_millis(700);

    fn addresses(ports: &[u16]) -> impl Iterator<Item = SocketAddr> {
        let all: Vec<_> = (1..)
            .zip(ports)
            .map(|(last, port)| SocketAddr::from(([127, 0, 0, last], *port)))
            .collect();
        all.into_iter()
    }

    /// Who won, as the last octet, and when; each attempt's beginning is in `begun`.
    async fn race(
        ports: &[u16],
        first: First,
        begun: &RefCell<Vec<u128>>,
    ) -> (io::Result<u8>, u128) {
        let started = Instant::now();
        let connect = |address: SocketAddr| {
            begun.borrow_mut().push(started.elapsed().as_millis());
            async move {
                match address.port() {
                    WELL => Ok(()),
                    REFUSES => Err(ErrorKind::ConnectionRefused.into()),
                    NO_WAY => Err(ErrorKind::NetworkUnreachable.into()),
                    SLOW => {
                        sleep(SLOW_TIME).await;
                        Ok(())
                    }
                    _silent => std::future::pending().await,
                }
            }
        };
        let mut race = Race::new(addresses(ports), first, connect);
        let won = poll_fn(|cx| race.poll(cx))
            .await
            .map(|((), at)| match at.ip() {
                std::net::IpAddr::V4(ip) => ip.octets()[3],
                std::net::IpAddr::V6(ip) => panic!("{ip}"),
            });
        (won, started.elapsed().as_millis())
    }

    #[track_caller]
    fn check(
        (won, took): (io::Result<u8>, u128),
        winner: u8,
        range: std::ops::RangeInclusive<u128>,
    ) {
        assert_eq!(won.unwrap(), winner);
        assert!(range.contains(&took), "{took}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_that_takes_the_connection_wins() {
        let begun = RefCell::default();
        check(
            race(&[WELL, WELL], First::IsOneOfMany, &begun).await,
            1,
            0..=1,
        );
        check(
            race(&[SLOW, WELL], First::IsOneOfMany, &begun).await,
            2,
            250..=260,
        );
        check(
            race(&[SLOW, SILENT], First::IsOneOfMany, &begun).await,
            1,
            700..=710,
        );
        check(
            race(&[SILENT, SLOW, SILENT], First::Counts, &begun).await,
            2,
            950..=960,
        );
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_refusal_the_next_begins_at_once() {
        let begun = RefCell::default();
        let won = race(&[REFUSES, REFUSES, WELL], First::IsOneOfMany, &begun).await;
        check(won, 3, 0..=1);
        let won = race(&[SILENT, REFUSES, WELL], First::Counts, &begun).await;
        check(won, 3, 250..=260);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_of_the_one_that_is_meant_is_the_answer() {
        let begun = RefCell::default();
        let (won, took) = race(&[REFUSES, WELL], First::Counts, &begun).await;
        assert_eq!(won.unwrap_err().kind(), ErrorKind::ConnectionRefused);
        assert_eq!((took, begun.borrow().len()), (0, 1));
        // No way there is no word of the other side's.
        let won = race(&[NO_WAY, WELL], First::Counts, &begun).await;
        check(won, 2, 0..=1);
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_names_every_address() {
        let begun = RefCell::default();
        let (won, _took) = race(&[REFUSES, REFUSES], First::IsOneOfMany, &begun).await;
        assert_eq!(
            won.unwrap_err().to_string(),
            "127.0.0.1:2: connection refused, 127.0.0.2:2: connection refused"
        );
        let (won, _took) = race(&[], First::IsOneOfMany, &begun).await;
        assert_eq!(won.unwrap_err().kind(), ErrorKind::AddrNotAvailable);
    }

    #[tokio::test(start_paused = true)]
    async fn only_so_many_are_tried_at_once() {
        let begun = RefCell::default();
        let mut ports = vec![SILENT; AT_ONCE_MAX];
        ports.push(WELL);
        check(
            race(&ports, First::IsOneOfMany, &begun).await,
            7,
            1500..=1510,
        );
        let starts: Vec<u128> = begun.borrow().iter().map(|start| start / 250).collect();
        assert_eq!(starts, [0, 1, 2, 3, 4, 5, 6]);
    }
}

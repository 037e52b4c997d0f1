//! Waiting until a command accepts connections, and what is said meanwhile.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// How often the command is dialed.
const EVERY: Duration = Duration::from_millis(50);
/// How long one dialing may take.
const DIAL_TIME: Duration = Duration::from_secs(1);
/// After this it is said what is waited for.
const SILENCE: Duration = Duration::from_secs(5);

/// How a wait went on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// Nothing accepts yet; said once.
    StillWaiting,
    Accepts,
    /// Nothing accepts, and nobody asks any more.
    GivenUp,
}

/// Tells `hear` how it goes, [`Event::Accepts`] or [`Event::GivenUp`] last, after at most `patience`.
pub(super) async fn wait(
    accepts: impl AsyncFn() -> bool,
    patience: Duration,
    mut hear: impl FnMut(Event),
) {
    let begun = Instant::now();
    let asking = async {
        while !accepts().await {
            sleep(EVERY).await;
        }
    };
    let mut asking = pin!(asking);
    let mut silent = patience > SILENCE;
    loop {
        let next = begun + if silent { SILENCE } else { patience };
        tokio::select! {
            biased;
            () = &mut asking => return hear(Event::Accepts),
            () = sleep_until(next), if silent => {
                silent = false;
                hear(Event::StillWaiting);
            }
            () = sleep_until(next) => return hear(Event::GivenUp),
        }
    }
}

/// Whether anybody accepts on this port of this machine, by either family: some servers listen on one of them only.
pub(super) async fn accepts(port: u16) -> bool {
    let loopbacks = [
        SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        SocketAddr::from((Ipv6Addr::LOCALHOST, port)),
    ];
    for address in loopbacks {
        if let Ok(Ok(_stream)) = timeout(DIAL_TIME, TcpStream::connect(address)).await {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tokio::net::TcpListener;

    use super::*;

    /// What is heard of a command that accepts after so long, each with its second.
    async fn heard(accepts_after: Duration, patience: Duration) -> Vec<(u64, Event)> {
        let begun = Instant::now();
        let mut heard = Vec::new();
        let accepts = async || begun.elapsed() >= accepts_after;
        wait(accepts, patience, |event| {
            heard.push((begun.elapsed().as_secs(), event));
        })
        .await;
        heard
    }

    #[tokio::test(start_paused = true)]
    async fn a_quick_command_is_not_talked_about() {
        let minute = Duration::from_secs(60);
        let heard = heard(Duration::from_millis(300), minute).await;
        assert_eq!(heard, [(0, Event::Accepts)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_command_is_talked_about_once() {
        let heard = heard(Duration::from_secs(30), Duration::from_secs(60)).await;
        assert_eq!(heard, [(5, Event::StillWaiting), (30, Event::Accepts)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_comes_to_an_end() {
        let never = Duration::MAX;
        let long = heard(never, Duration::from_secs(60)).await;
        assert_eq!(long, [(5, Event::StillWaiting), (60, Event::GivenUp)]);
        let short = heard(never, Duration::from_secs(2)).await;
        assert_eq!(short, [(2, Event::GivenUp)]);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_is_asked_all_the_time() {
        let asked = Cell::new(0);
        let accepts = async || {
            asked.set(asked.get() + 1);
            false
        };
        wait(accepts, Duration::from_secs(1), |_event| {}).await;
        assert!(asked.get() <= 21, "{}", asked.get());
    }

    #[tokio::test]
    async fn either_family_will_do() {
        for loopback in ["127.0.0.1:0", "[::1]:0"] {
            let listener = TcpListener::bind(loopback).await.unwrap();
            let port = listener.local_addr().unwrap().port();
            assert!(accepts(port).await);
            drop(listener);
            assert!(!accepts(port).await);
        }
    }
}

//! Where events wait until a program or a URL has taken them. Whoever tells one never waits, and a slow taker holds up no other.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;

use super::exec::Program;
use super::told::Told;
use super::webhook::Webhook;
use crate::causes::one_line;
use crate::shutdown::Shutdown;

/// Events that wait for one taker. What comes then is dropped and counted.
pub const WAITING_MAX: usize = 256;

/// Who is told.
#[derive(Debug, Clone)]
pub enum Taker {
    Exec(Program),
    Webhook(Box<Webhook>),
}

/// An event as it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    pub name: &'static str,
    pub json: String,
}

/// What became of an event that was put into the outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Posted {
    /// It waits for every taker; there may be none.
    Taken,
    /// Too many wait for a taker, or the process is stopping: that one will not be told.
    Dropped,
}

/// How many events came to which end, all takers together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    pub delivered: u64,
    pub failed: u64,
    pub dropped: u64,
}

/// A handle; all clones are one outbox.
#[derive(Debug, Clone)]
pub struct Outbox {
    lanes: Arc<[mpsc::Sender<Arc<Letter>>]>,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    delivered: AtomicU64,
    failed: AtomicU64,
    dropped: AtomicU64,
}

impl Outbox {
    /// Begins to deliver, each taker in its own task on the current runtime. The tasks end with the last handle, or at the cut.
    #[must_use]
    pub fn open(takers: Vec<Taker>, shutdown: &Shutdown) -> Self {
        let counts = Arc::new(Counts::default());
        let lanes = takers
            .into_iter()
            .map(|taker| {
                let (lane, letters) = mpsc::channel(WAITING_MAX);
                shutdown.spawn_attendant(deliver(taker, letters, Arc::clone(&counts)));
                lane
            })
            .collect();
        Self { lanes, counts }
    }

    /// Puts an event in, for every taker. Never waits.
    pub fn tell(&self, told: &Told) -> Posted {
        let letter = Arc::new(Letter {
            name: told.event.name(),
            json: told.to_json(),
        });
        let mut posted = Posted::Taken;
        for lane in self.lanes.iter() {
            if lane.try_send(Arc::clone(&letter)).is_err() {
                self.counts.dropped.fetch_add(1, Ordering::Relaxed);
                posted = Posted::Dropped;
            }
        }
        posted
    }

    /// What became of everything so far.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let Counts {
            delivered,
            failed,
            dropped,
        } = &*self.counts;
        let now = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Figures {
            delivered: now(delivered),
            failed: now(failed),
            dropped: now(dropped),
        }
    }
}

async fn deliver(taker: Taker, mut letters: mpsc::Receiver<Arc<Letter>>, counts: Arc<Counts>) {
    while let Some(letter) = letters.recv().await {
        let delivered = match &taker {
            Taker::Exec(program) => program
                .tell(&letter)
                .await
                .map_err(|error| one_line(&error)),
            Taker::Webhook(webhook) => webhook
                .tell(&letter)
                .await
                .map_err(|error| one_line(&error)),
        };
        match delivered {
            Ok(()) => counts.delivered.fetch_add(1, Ordering::Relaxed),
            Err(error) => {
                tracing::warn!(event = letter.name, error, "an alert was not delivered");
                counts.failed.fetch_add(1, Ordering::Relaxed)
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    use super::*;
    use crate::certs::alerts::event::Event;

    const PATIENCE: Duration = Duration::from_secs(20);

    fn told() -> Told {
        Told {
            event: Event::StorageReachable {
                storage: "/data".into(),
            },
            at: UNIX_EPOCH,
            ends: vec![],
        }
    }

    fn program(script: &str) -> Taker {
        Taker::Exec(Program {
            path: "/bin/sh".into(),
            arguments: vec!["-c".into(), script.into()],
        })
    }

    async fn until(outbox: &Outbox, wanted: impl Fn(Figures) -> bool) -> Figures {
        let seen = async {
            while !wanted(outbox.figures()) {
                tokio::task::yield_now().await;
            }
            outbox.figures()
        };
        let seen = tokio::time::timeout(PATIENCE, seen).await;
        seen.expect("the figures come to what is wanted")
    }

    #[tokio::test]
    async fn every_taker_is_told_and_a_failing_one_hinders_no_other() {
        let outbox = Outbox::open(vec![program("cat"), program("exit 1")], &Shutdown::new());
        for _ in 0..3 {
            assert_eq!(outbox.tell(&told()), Posted::Taken);
        }
        let figures = until(&outbox, |now| now.delivered + now.failed == 6).await;
        assert_eq!((figures.delivered, figures.failed), (3, 3));
        assert_eq!(figures.dropped, 0);
    }

    #[tokio::test]
    async fn a_slow_taker_makes_nobody_wait_and_what_is_too_much_is_counted() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let slow = Taker::Webhook(Box::new(Webhook::new(&url).unwrap()));
        let outbox = Outbox::open(vec![slow, program("cat > /dev/null")], &Shutdown::new());
        assert_eq!(outbox.tell(&told()), Posted::Taken);
        // The first is on its way and never answered; the others wait behind it.
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_u8().await.unwrap();
        until(&outbox, |now| now.delivered == 1).await;
        for _ in 0..WAITING_MAX {
            assert_eq!(outbox.tell(&told()), Posted::Taken);
        }
        assert_eq!(outbox.tell(&told()), Posted::Dropped);
        assert!(outbox.figures().dropped >= 1);
    }

    #[tokio::test]
    async fn without_takers_nothing_is_wrong() {
        let outbox = Outbox::open(vec![], &Shutdown::new());
        assert_eq!(outbox.tell(&told()), Posted::Taken);
        assert_eq!(outbox.figures(), Figures::default());
    }

    #[tokio::test]
    async fn after_the_cut_everything_is_dropped() {
        let shutdown = Shutdown::new();
        let outbox = Outbox::open(vec![program("cat")], &shutdown);
        shutdown.cut_off();
        shutdown.all_gone().await;
        until(&outbox, |_| outbox.tell(&told()) == Posted::Dropped).await;
    }
}

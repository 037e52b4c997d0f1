//! All active checks of the process, on a thread of their own, so that neither a busy control side makes checks late nor many checks
//! disturb anybody.

use std::io;
use std::sync::Arc;

use tokio::runtime::Builder;
use tokio::sync::watch;
use tokio::task::LocalSet;

use super::crew::Crew;
use super::down::{Down, Downs};
use super::standing::Standings;
use super::subject::{Reports, Subject, Wanted};

/// The probers' thread. All checks end when this is dropped.
#[derive(Debug)]
pub struct Probers {
    wanted: watch::Sender<Arc<[Wanted]>>,
    downs: Downs,
}

impl Probers {
    /// Looks at nothing yet.
    ///
    /// # Errors
    /// The system gives no thread or no runtime.
    pub fn start(standings: Standings, reports: Reports) -> io::Result<Self> {
        let (wanted, seen) = watch::channel(Arc::default());
        let downs = Downs::default();
        let known = downs.clone();
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let _detached = std::thread::Builder::new()
            .name("health".to_owned())
            .spawn(move || {
                let crew = Crew::new(standings, known, reports);
                LocalSet::new().block_on(&runtime, crew.follow(seen));
                // A resolver that hangs is not waited for.
                runtime.shutdown_background();
            })?;
        Ok(Self { wanted, downs })
    }

    /// Looks at these from now on, and at names wherever they are. Who looks at one already goes on, and forgets nothing.
    pub fn follow(&self, wanted: Vec<Wanted>) {
        self.wanted.send_replace(wanted.into());
    }

    /// Every subject that is down, in no order.
    #[must_use]
    pub fn down(&self) -> Vec<(Subject, Down)> {
        self.downs.all()
    }
}

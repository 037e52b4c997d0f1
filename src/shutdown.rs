//! Who is still here on the slow side: it spawns tasks, counts those that must have ended, and drops them where they stand at the cut.
//! It decides nothing: `app` cuts, everyone else spawns through it.

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A handle to one stop, shared by every thread and runtime.
#[derive(Debug, Clone)]
pub struct Shutdown {
    cut: CancellationToken,
    tasks: TaskTracker,
}

impl Shutdown {
    #[must_use]
    pub fn new() -> Self {
        Self {
            cut: CancellationToken::new(),
            tasks: TaskTracker::new(),
        }
    }

    /// Drops every task where it stands, for every handle; later calls change nothing.
    pub fn cut_off(&self) {
        self.tasks.close();
        self.cut.cancel();
    }

    /// Spawns a counted task on the current runtime.
    pub fn spawn<F>(&self, task: F) -> JoinHandle<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.tasks.spawn(until_cut(self.cut.clone(), task))
    }

    /// Spawns a task that nobody waits for.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the `Shutdown` to spawn through"
    )]
    pub fn spawn_attendant<F>(&self, task: F) -> JoinHandle<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        tokio::spawn(until_cut(self.cut.clone(), task))
    }

    /// How many counted tasks are still here.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.tasks.len()
    }

    /// Resolves once the cut was made and no counted task is left; never before.
    pub async fn all_gone(&self) {
        self.tasks.wait().await;
    }
}

impl Default for Shutdown {
    fn default() -> Self {
        Self::new()
    }
}

async fn until_cut(cut: CancellationToken, task: impl Future<Output = ()>) {
    // None means that the cut came first; then there is nothing to say.
    let _finished: Option<()> = cut.run_until_cancelled(task).await;
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::sync::oneshot;

    use super::*;

    #[test]
    fn a_handle_crosses_threads() {
        fn check<T: Send + Sync + Clone + 'static>() {}
        check::<Shutdown>();
    }

    #[tokio::test]
    async fn a_task_that_ended_is_counted_no_more() {
        let shutdown = Shutdown::new();
        let (finish, finished) = oneshot::channel::<()>();
        let task = shutdown.spawn(async move {
            let _ended = finished.await;
        });
        assert_eq!(shutdown.remaining(), 1);
        finish.send(()).unwrap();
        task.await.unwrap();
        assert_eq!(shutdown.remaining(), 0);
    }

    #[tokio::test]
    async fn a_cut_drops_what_never_ends() {
        let shutdown = Shutdown::new();
        let _task = shutdown.spawn(pending());
        let attendant = shutdown.spawn_attendant(pending());
        assert_eq!(shutdown.remaining(), 1);
        shutdown.clone().cut_off();
        shutdown.all_gone().await;
        attendant.await.unwrap();
    }
}

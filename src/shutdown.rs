//! Who is still here: a token and a tracker. It says which stage a stop has reached and counts the tasks that have not ended.
//! It decides nothing: `app` moves the stage, everyone else watches it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::{TaskTrackerToken, TrackedFuture};

/// A handle to one stop, shared by every thread and runtime.
#[derive(Debug, Clone)]
pub struct Shutdown {
    root: Arc<Root>,
    draining: CancellationToken,
    cut: CancellationToken,
}

/// How far a stop has come; it only ever moves forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Everything is served.
    Running,
    /// Nothing new is accepted; what is under way may finish.
    Draining,
    /// Everything is dropped at once.
    Cut,
}

/// Someone who is still here, until dropped.
#[derive(Debug, Clone)]
#[must_use]
pub struct Presence {
    _token: TaskTrackerToken,
}

#[derive(Debug)]
struct Root {
    stage: AtomicU8,
    draining: CancellationToken,
    cut: CancellationToken,
    tasks: TaskTracker,
}

impl Shutdown {
    #[must_use]
    pub fn new() -> Self {
        let draining = CancellationToken::new();
        let cut = CancellationToken::new();
        Self {
            root: Arc::new(Root {
                stage: AtomicU8::new(Stage::Running as u8),
                draining: draining.clone(),
                cut: cut.clone(),
                tasks: TaskTracker::new(),
            }),
            draining,
            cut,
        }
    }

    /// A handle to the same stop whose waiters take locks of their own: one for each worker, so that waiting costs no contention between cores.
    #[must_use]
    pub fn branch(&self) -> Self {
        Self {
            root: Arc::clone(&self.root),
            draining: self.root.draining.child_token(),
            cut: self.root.cut.child_token(),
        }
    }

    /// Moves to [`Stage::Draining`], for every handle and branch; later calls change nothing.
    pub fn drain(&self) {
        self.root
            .stage
            .fetch_max(Stage::Draining as u8, Ordering::SeqCst);
        self.root.tasks.close();
        self.root.draining.cancel();
    }

    /// Moves to [`Stage::Cut`], for every handle and branch; [`Self::draining`] resolves too.
    pub fn cut_off(&self) {
        self.root
            .stage
            .fetch_max(Stage::Cut as u8, Ordering::SeqCst);
        self.drain();
        self.root.cut.cancel();
    }

    /// Resolves once the stage is [`Stage::Draining`] or later.
    pub async fn draining(&self) {
        self.draining.cancelled().await;
    }

    /// Resolves once the stage is [`Stage::Cut`].
    pub async fn cut(&self) {
        self.cut.cancelled().await;
    }

    /// One atomic load: cheap enough for every request.
    #[must_use]
    pub fn stage(&self) -> Stage {
        let stage = self.root.stage.load(Ordering::Acquire);
        [Stage::Cut, Stage::Draining]
            .into_iter()
            .find(|reached| *reached as u8 <= stage)
            .unwrap_or(Stage::Running)
    }

    /// Whether nothing new may be begun.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.stage() >= Stage::Draining
    }

    /// Spawns a counted task on the current runtime; it is dropped where it stands at the cut.
    pub fn spawn<F>(&self, task: F) -> JoinHandle<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.root.tasks.spawn(until_cut(self.cut.clone(), task))
    }

    /// Spawns a counted task on the current `LocalRuntime` or `LocalSet`. It costs nothing beside the task itself, so the cut
    /// does not reach it: the owner of the runtime awaits [`Self::cut`] and drops the runtime.
    pub fn spawn_local<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        self.root.tasks.spawn_local(task)
    }

    /// Spawns a task that nobody waits for and that serves until the cut: what must go on while others finish.
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

    /// Counts a future that is spawned, or polled, by someone else.
    pub fn track<F: Future>(&self, future: F) -> TrackedFuture<F> {
        self.root.tasks.track_future(future)
    }

    /// Counts whoever holds the result: for threads and for connections that are no tasks of their own.
    pub fn presence(&self) -> Presence {
        Presence {
            _token: self.root.tasks.token(),
        }
    }

    /// How many counted tasks and presences are still here.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.root.tasks.len()
    }

    /// Resolves once a stop has begun and nobody is left; never while [`Stage::Running`].
    pub async fn all_gone(&self) {
        self.root.tasks.wait().await;
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
    use std::thread;

    use tokio::runtime::{Builder, LocalOptions};
    use tokio::sync::oneshot;

    use super::*;

    #[test]
    fn a_handle_crosses_threads() {
        fn check<T: Send + Sync + Clone + 'static>() {}
        check::<Shutdown>();
        check::<Presence>();
    }

    #[tokio::test]
    async fn the_stage_only_moves_forward() {
        let shutdown = Shutdown::new();
        assert_eq!(shutdown.stage(), Stage::Running);
        shutdown.cut_off();
        shutdown.drain();
        assert_eq!(shutdown.stage(), Stage::Cut);
        shutdown.draining().await;
        shutdown.cut().await;
    }

    #[tokio::test]
    async fn draining_waits_for_what_is_under_way() {
        let shutdown = Shutdown::new();
        let (finish, finished) = oneshot::channel::<()>();
        let _task = shutdown.spawn(async move {
            let _ended = finished.await;
        });
        let presence = shutdown.presence();
        shutdown.drain();
        assert!(shutdown.is_draining());
        assert_eq!(shutdown.remaining(), 2);
        drop(presence);
        finish.send(()).unwrap();
        shutdown.all_gone().await;
        assert_eq!(shutdown.remaining(), 0);
    }

    #[tokio::test]
    async fn a_cut_drops_what_never_ends() {
        let shutdown = Shutdown::new();
        let _task = shutdown.spawn(pending());
        let attendant = shutdown.spawn_attendant(pending());
        assert_eq!(shutdown.remaining(), 1);
        shutdown.cut_off();
        shutdown.all_gone().await;
        attendant.await.unwrap();
    }

    #[test]
    fn a_branch_on_another_thread_sees_the_stop() {
        let shutdown = Shutdown::new();
        let branch = shutdown.branch();
        let presence = branch.presence();
        let worker = thread::spawn(move || {
            let runtime = Builder::new_current_thread()
                .build_local(LocalOptions::default())
                .unwrap();
            runtime.block_on(async {
                let inner = branch.clone();
                let task = branch.spawn_local(async move { inner.draining().await });
                task.await.unwrap();
                let _forever = branch.spawn_local(pending::<()>());
                branch.cut().await;
            });
            drop(runtime);
            drop(presence);
        });
        shutdown.drain();
        shutdown.cut_off();
        let runtime = Builder::new_current_thread().build().unwrap();
        runtime.block_on(shutdown.all_gone());
        worker.join().unwrap();
    }
}

//! What the wheel promises, in time that the tests turn themselves.

use super::*;
use std::future::pending;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Wake;

async fn beside_turning<T>(wheel: &Wheel, work: impl Future<Output = T>) -> T {
    tokio::select! {
        () = wheel.turn(|| ()) => unreachable!("a wheel turns for ever"),
        done = work => done,
    }
}

#[tokio::test(start_paused = true)]
async fn a_deadline_expires_after_its_time_and_not_before() {
    let wheel = Wheel::new();
    let started = Instant::now();
    let deadline = wheel.deadline_in(Duration::from_secs(3));
    let outcome = beside_turning(&wheel, deadline.within(pending::<()>())).await;
    assert_eq!(outcome, Err(Expired));
    assert!(started.elapsed() >= Duration::from_secs(3));
    assert!(started.elapsed() <= Duration::from_secs(3) + 3 * TICK);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_beyond_the_horizon_still_expires() {
    let wheel = Wheel::new();
    let started = Instant::now();
    let deadline = wheel.deadline_in(Duration::from_secs(3600));
    assert_eq!(
        beside_turning(&wheel, deadline.within(pending::<()>())).await,
        Err(Expired)
    );
    assert!(started.elapsed() >= Duration::from_secs(3600));
}

#[tokio::test(start_paused = true)]
async fn moving_a_deadline_nearer_counts() {
    let wheel = Wheel::new();
    let started = Instant::now();
    let deadline = wheel.deadline_in(Duration::from_secs(60));
    deadline.arm(Duration::from_secs(1));
    assert_eq!(
        beside_turning(&wheel, deadline.within(pending::<()>())).await,
        Err(Expired)
    );
    assert!(started.elapsed() < Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn a_recycled_entry_keeps_no_old_time() {
    let wheel = Wheel::new();
    drop(wheel.deadline_in(Duration::from_secs(1)));
    let deadline = wheel.deadline_in(Duration::from_secs(5));
    let started = Instant::now();
    assert_eq!(
        beside_turning(&wheel, deadline.within(pending::<()>())).await,
        Err(Expired)
    );
    assert!(started.elapsed() >= Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_is_found_however_long_ago_the_wait_began() {
    let wheel = Wheel::new();
    let deadline = wheel.deadline();
    let woken = Cell::new(0);
    let waiting = poll_fn(|cx| {
        woken.set(woken.get() + 1);
        let _never = deadline.poll_expired(cx);
        if woken.get() > 1 {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    });
    let waking = async {
        tokio::time::sleep(TICK * 3 * 1024).await;
        wheel.wake_all();
        pending::<()>().await;
    };
    let outcome = async {
        tokio::select! {
            () = waiting => {}
            () = waking => {}
        }
    };
    beside_turning(&wheel, outcome).await;
    assert_eq!(woken.get(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_wheel_that_was_held_up_forgets_nobody() {
    for late in 2..8 {
        let wheel = Wheel::new();
        let far = wheel.deadline_in(Duration::from_secs(600));
        let unarmed = wheel.deadline();
        let (far_woken, unarmed_woken) = (Arc::new(Woken::default()), Arc::new(Woken::default()));
        let poll = |deadline: &Deadline, woken: &Arc<Woken>| {
            let waker = Waker::from(woken.clone());
            deadline.poll_expired(&Context::from_waker(&waker))
        };
        assert!(poll(&far, &far_woken).is_pending());
        assert!(poll(&unarmed, &unarmed_woken).is_pending());
        while wheel.elapsed() < Duration::from_secs(601) {
            tokio::time::advance(TICK * late).await;
            wheel.advance();
        }
        assert_eq!(
            far_woken.0.load(Ordering::Relaxed),
            1,
            "{late} ticks at once"
        );
        wheel.wake_all();
        assert_eq!(
            unarmed_woken.0.load(Ordering::Relaxed),
            1,
            "{late} ticks at once"
        );
    }
}

#[derive(Default)]
struct Woken(AtomicU32);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test(start_paused = true)]
async fn work_that_is_done_in_time_is_kept() {
    let wheel = Wheel::new();
    let deadline = wheel.deadline_in(Duration::from_secs(1));
    assert_eq!(
        beside_turning(&wheel, deadline.within(async { 7 })).await,
        Ok(7)
    );
}

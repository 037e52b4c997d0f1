//! Asking for names: each when it is due, some at a time, on the runtime of the control side.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};

use super::finding::{Answer, Turn, Verdict};
use super::look_up::LookUps;
use super::name::Name;
use super::{Due, Names};
use crate::config::Resolver;

/// Names that are asked for at once.
const LOOK_UPS_MAX: usize = 64;

/// A look-up that is to begin.
type Wanted = (Resolver, Box<str>);

impl Names {
    /// Finds names and keeps them up to date; never returns. Dropped, it leaves what is known as it is.
    pub async fn serve(self) {
        let look_ups = Arc::new(LookUps::default());
        self.serve_by(|resolver, host| look_ups.clone().ask(resolver, host))
            .await;
    }

    async fn serve_by<A>(&self, ask: impl Fn(Resolver, Box<str>) -> A)
    where
        A: Future<Output = Answer> + Send + 'static,
    {
        let began = Instant::now();
        let mut asking = JoinSet::new();
        let mut hosts: HashMap<Id, Box<str>> = HashMap::new();
        loop {
            let (wanted, next) = self.due(LOOK_UPS_MAX - asking.len(), Instant::now());
            for (resolver, host) in wanted {
                let task = asking.spawn(ask(resolver, host.clone()));
                hosts.insert(task.id(), host);
            }
            tokio::select! {
                Some(ended) = asking.join_next_with_id() => {
                    let (id, answer) = answered(ended);
                    if let Some(host) = hosts.remove(&id) {
                        self.learn(&host, &answer, began);
                    }
                }
                () = self.0.changed.notified() => {}
                () = asleep_until(next) => {}
            }
        }
    }

    /// What to ask for now, and when there is more. Whom nobody holds any more is forgotten instead.
    fn due(&self, room: usize, now: Instant) -> (Vec<Wanted>, Option<Instant>) {
        let mut table = self.table();
        let resolver = table.resolver;
        let mut wanted = Vec::new();
        let mut next: Option<Instant> = None;
        table.names.retain(|host, tended| {
            match tended.due {
                Due::UnderWay | Due::UnderWayInVain => return true,
                Due::At(later) if later > now => {
                    next = Some(next.map_or(later, |next| next.min(later)));
                    return true;
                }
                Due::Now | Due::At(_) => {}
            }
            // Only who has the table's lock can take another.
            if Arc::strong_count(&tended.name) == 1 {
                return false;
            }
            // The others wait for the end of one of those under way.
            if wanted.len() < room {
                tended.due = Due::UnderWay;
                wanted.push((resolver, host.clone()));
            }
            true
        });
        (wanted, next)
    }

    fn learn(&self, host: &str, answer: &Answer, began: Instant) {
        let now = Instant::now();
        let mut table = self.table();
        let Some(tended) = table.names.get_mut(host) else {
            return;
        };
        let verdict = tended.finding.learn(answer, now - began);
        tended.due = match tended.due {
            Due::UnderWayInVain => Due::Now,
            Due::Now | Due::At(_) | Due::UnderWay => Due::At(now + verdict.period),
        };
        let addresses = tended.finding.addresses();
        let name = tended.name.clone();
        drop(table);
        if addresses.is_empty() {
            name.is_nowhere(verdict.reason.as_deref().unwrap_or_default());
        } else {
            name.is_at(&addresses);
        }
        tell(&name, &verdict);
    }
}

fn answered(ended: Result<(Id, Answer), JoinError>) -> (Id, Answer) {
    ended.unwrap_or_else(|error| (error.id(), Answer::failed("the look-up broke off")))
}

async fn asleep_until(next: Option<Instant>) {
    match next {
        Some(next) => sleep_until(next).await,
        None => std::future::pending().await,
    }
}

fn tell(name: &Name, verdict: &Verdict) {
    let host = name.host();
    let reason = verdict.reason.as_deref().unwrap_or_default();
    match verdict.turn {
        Some(Turn::Unknown) => tracing::warn!(host, reason, "the name has no address"),
        Some(Turn::Kept) => {
            tracing::warn!(
                host,
                reason,
                "the name is not found any more: its last addresses are used"
            )
        }
        Some(Turn::Gone) => tracing::warn!(host, reason, "the name has no address any more"),
        Some(Turn::Back) => tracing::info!(host, "the name is found again"),
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::sync::Mutex;
    use std::time::Duration;

    use tokio::time::advance;

    use super::*;
    use crate::upstream::UpstreamError;

    /// Answers by a table of its own, and counts.
    #[derive(Clone, Default)]
    struct Zone(Arc<Mutex<ZoneState>>);

    #[derive(Default)]
    struct ZoneState {
        answer: Option<Answer>,
        asked: Vec<(Resolver, Box<str>)>,
    }

    impl Zone {
        fn says(&self, answer: Answer) {
            self.0.lock().unwrap().answer = Some(answer);
        }

        fn asked(&self) -> usize {
            self.0.lock().unwrap().asked.len()
        }

        async fn serve(self, names: Names) {
            names
                .serve_by(|resolver, host| {
                    let mut state = self.0.lock().unwrap();
                    state.asked.push((resolver, host));
                    let answer = state.answer.clone();
                    async move {
                        match answer {
                            Some(answer) => answer,
                            None => std::future::pending().await,
                        }
                    }
                })
                .await;
        }
    }

    fn at(last: u8, seconds: u64) -> Answer {
        let address = IpAddr::from([192, 0, 2, last]);
        Answer::at([address], Duration::from_secs(seconds))
    }

    /// Runs `test` beside a service, with the clock standing still.
    async fn with<F: Future<Output = ()>>(test: impl FnOnce(Names, Zone) -> F) {
        let (names, zone) = (Names::default(), Zone::default());
        tokio::select! {
            () = zone.clone().serve(names.clone()) => {}
            () = test(names, zone) => {}
        }
    }

    async fn pass(seconds: u64) {
        advance(Duration::from_secs(seconds)).await;
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_is_asked_for_again_as_its_ttl_ends() {
        with(|names, zone| async move {
            zone.says(at(1, 30));
            let name = names.of("a.test");
            assert_eq!(name.found().await.unwrap().generation, 1);
            zone.says(at(2, 30));
            pass(29).await;
            assert_eq!((zone.asked(), name.generation()), (1, 1));
            pass(2).await;
            assert_eq!((zone.asked(), name.generation()), (2, 2));
            assert_eq!(&*name.now().addresses, [IpAddr::from([192, 0, 2, 2])]);
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn many_who_ask_are_one_look_up() {
        with(|names, zone| async move {
            zone.says(at(1, 30));
            let (one, two) = (names.of("a.test"), names.of("a.test"));
            let (one, two) = tokio::join!(one.found(), two.found());
            assert_eq!(one.unwrap(), two.unwrap());
            assert_eq!(zone.asked(), 1);
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_that_nobody_holds_is_forgotten() {
        with(|names, zone| async move {
            zone.says(at(1, 30));
            names.of("a.test").found().await.unwrap();
            pass(31).await;
            assert_eq!(zone.asked(), 1);
            assert!(names.table().names.is_empty());
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn another_resolver_is_asked_at_once_even_for_what_is_under_way() {
        with(|names, zone| async move {
            zone.says(at(1, 3000));
            let name = names.of("a.test");
            name.found().await.unwrap();
            names.ask_of(Resolver::System);
            pass(0).await;
            let asked = zone.0.lock().unwrap().asked.clone();
            let resolvers: Vec<Resolver> = asked.into_iter().map(|(by, _host)| by).collect();
            assert_eq!(resolvers, [Resolver::Dns, Resolver::System]);
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_than_so_many_are_asked_for_at_once() {
        with(|names, zone| async move {
            let held: Vec<Arc<Name>> = (0..200)
                .map(|number| names.of(&format!("{number}.test")))
                .collect();
            pass(1).await;
            assert_eq!(zone.asked(), LOOK_UPS_MAX);
            drop(held);
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_up_that_panics_is_one_that_failed() {
        let names = Names::default();
        let name = names.of("a.test");
        tokio::select! {
            () = names.serve_by(|_by, _host| async { panic!("a fault of the test's own") }) => {}
            error = name.found() => {
                assert!(matches!(error, Err(UpstreamError::Unresolved(_))), "{error:?}");
            }
        }
    }
}

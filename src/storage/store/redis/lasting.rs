//! Whether what Redis has acknowledged lasts: a write is waited for until a replica has it too, and settings that lose some are told.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::Redis;

/// For a replica, which is a moment behind; meanwhile the connection does nothing else.
const REPLICA_TIME: Duration = Duration::from_secs(1);

/// What is known of one server.
#[derive(Debug, Default)]
pub(super) struct Lasting {
    is_judged: AtomicBool,
    is_counted: AtomicBool,
    has_replicas: AtomicBool,
    /// A replica that lags is told of once, until it no longer does.
    is_told: AtomicBool,
}

impl Redis {
    /// For whoever follows the store: its settings once, and its replicas every time.
    pub(super) async fn look_whether_it_lasts(&self) {
        self.count_replicas().await;
        let lasting = &self.0.lasting;
        if lasting.is_judged.load(Ordering::Relaxed) {
            return;
        }
        if let (Ok(memory), Ok(persistence)) =
            (self.told("memory").await, self.told("persistence").await)
            && !lasting.is_judged.swap(true, Ordering::Relaxed)
        {
            for fault in faults(&memory, &persistence) {
                tracing::warn!(storage = %self.0.place, "{fault}");
            }
        }
    }

    /// After a failover the replica is the truth. That it does not answer is no error: it may be gone for good.
    pub(super) async fn wait_for_a_replica(&self) {
        let lasting = &self.0.lasting;
        if !lasting.is_counted.load(Ordering::Relaxed) {
            self.count_replicas().await;
        }
        if !lasting.has_replicas.load(Ordering::Relaxed) {
            return;
        }
        let mut asked = redis::cmd("WAIT");
        asked.arg(1).arg(super::millis(REPLICA_TIME));
        match self.query::<u64>(&asked).await {
            Ok(0) if !lasting.is_told.swap(true, Ordering::Relaxed) => tracing::warn!(
                storage = %self.0.place,
                "no replica of Redis had a write within {} s: a failover now would lose it; see `INFO replication`",
                REPLICA_TIME.as_secs()
            ),
            Ok(0) => {}
            Ok(_replicas) => lasting.is_told.store(false, Ordering::Relaxed),
            Err(error) => tracing::debug!(%error, "it is not known whether a replica has it"),
        }
    }

    async fn count_replicas(&self) {
        let lasting = &self.0.lasting;
        match self.told("replication").await {
            Ok(told) => {
                let has_replicas = !matches!(field(&told, "connected_slaves"), "" | "0");
                lasting.has_replicas.store(has_replicas, Ordering::Relaxed);
                lasting.is_counted.store(true, Ordering::Relaxed);
            }
            Err(error) if error.code() == Some("NOPERM") => {
                lasting.is_counted.store(true, Ordering::Relaxed);
            }
            Err(error) => tracing::debug!(%error, "the replicas of Redis are not known"),
        }
    }
}

/// What a server tells under this name; empty if it does not.
pub(super) fn field<'a>(told: &'a str, name: &str) -> &'a str {
    let of = |line: &'a str| line.strip_prefix(name)?.strip_prefix(':');
    told.lines().find_map(of).unwrap_or_default().trim()
}

/// What may be lost, and what to set.
fn faults(memory: &str, persistence: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let policy = field(memory, "maxmemory_policy");
    let is_bounded = !matches!(field(memory, "maxmemory"), "" | "0");
    if is_bounded && !matches!(policy, "" | "noeviction") {
        faults.push(format!(
            "Redis throws keys away when its memory is full (`maxmemory-policy {policy}`), certificates among them: set `maxmemory-policy noeviction`"
        ));
    }
    if field(persistence, "aof_enabled") == "0" {
        faults.push(
            "Redis loses its last writes when it restarts, or all of them (`appendonly no`): set `appendonly yes`"
                .to_owned(),
        );
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_lose_something_are_told_with_what_to_set() {
        let evicting = "# Memory\r\nmaxmemory:1048576\r\nmaxmemory_policy:allkeys-lru\r\n";
        let found = faults(evicting, "aof_enabled:0\r\n");
        assert!(
            found[0].contains("`maxmemory-policy allkeys-lru`"),
            "{found:?}"
        );
        assert!(found[1].contains("set `appendonly yes`"), "{found:?}");
        let unbounded = "maxmemory:0\r\nmaxmemory_policy:allkeys-lru\r\n";
        for (memory, persistence) in [
            (unbounded, "aof_enabled:1\r\n"),
            (
                "maxmemory:9\r\nmaxmemory_policy:noeviction\r\n",
                "aof_enabled:1",
            ),
            ("", ""),
        ] {
            assert_eq!(faults(memory, persistence), [""; 0], "{memory}");
        }
    }
}

//! Instants as they are stored: milliseconds since the epoch. It reads no clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use jiff::tz::Offset;

pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const HOUR: Duration = Duration::from_secs(60 * 60);
pub(crate) const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// By how much the clocks of hosts that share a storage may differ without anybody taking the other's times for nonsense.
pub(crate) const CLOCKS_DIFFER: Duration = Duration::from_secs(15 * 60);

/// What is before the epoch counts as the epoch.
pub(crate) fn millis(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    length(since)
}

pub(crate) fn length(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

pub(crate) fn time(millis: u64) -> SystemTime {
    UNIX_EPOCH
        .checked_add(Duration::from_millis(millis))
        .unwrap_or(UNIX_EPOCH)
}

/// `2026-11-24 03:10 UTC`, rounded up, so that what is free then is free when a clock shows it.
pub(crate) fn minute(at: SystemTime) -> String {
    let minutes = millis(at).div_ceil(length(MINUTE));
    let seconds = i64::try_from(minutes.saturating_mul(MINUTE.as_secs())).unwrap_or(i64::MAX);
    let timestamp = Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX);
    let at = Offset::UTC.to_datetime(timestamp);
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02} UTC",
        at.year(),
        at.month(),
        at.day(),
        at.hour(),
        at.minute()
    )
}

/// For `#[serde(with)]`: a `SystemTime` as a number of milliseconds.
pub(crate) mod number {
    use super::{SystemTime, millis, time};
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(
        at: &SystemTime,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(millis(*at))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<SystemTime, D::Error> {
        u64::deserialize(deserializer).map(time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_are_rounded_up_and_any_number_is_an_instant() {
        assert_eq!(minute(time(0)), "1970-01-01 00:00 UTC");
        assert_eq!(minute(time(1)), "1970-01-01 00:01 UTC");
        assert_eq!(minute(time(1_795_489_800_000)), "2026-11-24 03:10 UTC");
        assert!(minute(time(u64::MAX)).ends_with("UTC"));
        assert_eq!(millis(UNIX_EPOCH - DAY), 0);
    }
}

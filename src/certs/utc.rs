//! Times as people and programs read them, in UTC. It reads no clock.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use serde::Serializer;

/// RFC 3339, whole seconds. What lies beyond the years that have four digits is told as their end.
#[must_use]
pub fn second(time: SystemTime) -> String {
    let seconds = match time.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_secs()).map_or(i64::MIN, |s| -s),
    };
    let clamped = seconds.clamp(Timestamp::MIN.as_second(), Timestamp::MAX.as_second());
    Timestamp::from_second(clamped)
        .unwrap_or_default()
        .to_string()
}

/// `2027-01-31 12:00 UTC`
#[must_use]
pub fn minute(time: SystemTime) -> String {
    Timestamp::try_from(time).map_or_else(
        |_far| "never".to_owned(),
        |time| time.strftime("%F %H:%M UTC").to_string(),
    )
}

/// For `#[serde(serialize_with)]`: as [`second`].
///
/// # Errors
/// The serializer's.
pub fn stamp<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&second(*time))
}

/// The same, or null.
///
/// # Errors
/// The serializer's.
pub fn stamp_or_null<S: Serializer>(
    time: &Option<SystemTime>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => stamp(time, serializer),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn any_time_has_a_text() {
        let at = UNIX_EPOCH + Duration::from_millis(1_800_000_000_999);
        assert_eq!(second(at), "2027-01-15T08:00:00Z");
        assert_eq!(minute(at), "2027-01-15 08:00 UTC");
        assert_eq!(
            second(UNIX_EPOCH - Duration::from_secs(1)),
            "1969-12-31T23:59:59Z"
        );
        let far = UNIX_EPOCH + Duration::from_secs(1 << 40);
        assert!(second(far).starts_with("9999-"), "{}", second(far));
        assert_eq!(minute(far), "never");
    }
}

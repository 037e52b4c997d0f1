//! Slow start: whoever was away has cold caches, and gets its share back little by little.

use std::time::Duration;

/// From the least share to the whole one.
pub const SLOW_START: Duration = Duration::from_secs(10);
/// A whole weight in the finer unit of a growing one.
const WHOLE: u32 = 1000;
/// What one gets at the very beginning, of [`WHOLE`].
const LEAST: u32 = 100;

/// A weight at `now` of one that was away until `returned`; in a finer unit than the configured one.
#[must_use]
pub fn weight(configured: u16, returned: Option<Duration>, now: Duration) -> u32 {
    let whole = u32::from(configured) * WHOLE;
    let Some(returned) = returned else {
        return whole;
    };
    let since = now.saturating_sub(returned);
    if since >= SLOW_START {
        return whole;
    }
    let grown = since.as_millis() * u128::from(WHOLE) / SLOW_START.as_millis();
    let part = u32::try_from(grown).map_or(WHOLE, |part| part.clamp(LEAST, WHOLE));
    u32::from(configured) * part
}

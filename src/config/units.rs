//! Durations and sizes: an integer and a unit, without a space between.

use std::time::Duration;

/// What a duration looks like, for messages.
pub const DURATION_FORM: &str = r#"a duration such as "500ms", "30s", "5m", "12h" or "90d""#;
/// What a size looks like, for messages.
pub(super) const SIZE_FORM: &str = r#"a size such as "64KiB", "10MiB" or "1GB""#;

const DURATION_MAX: Duration = Duration::from_secs(100 * 365 * 86_400);
const DURATION_UNITS: &[(&str, u64)] = &[
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];
const SIZE_UNITS: &[(&str, u64)] = &[
    ("B", 1),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];

/// Why a text is no amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvalidAmount {
    /// It does not begin with digits.
    NoNumber,
    /// Digits, and nothing behind them.
    NoUnit,
    /// What follows the digits is no unit.
    UnknownUnit,
    /// More than this program can count.
    TooLarge,
}

/// A duration in whole milliseconds.
///
/// # Errors
/// Says what makes the text no duration.
pub fn duration(text: &str) -> Result<Duration, InvalidAmount> {
    let duration = Duration::from_millis(amount(text, DURATION_UNITS)?);
    if duration > DURATION_MAX {
        return Err(InvalidAmount::TooLarge);
    }
    Ok(duration)
}

/// A number of octets.
pub(super) fn size(text: &str) -> Result<u64, InvalidAmount> {
    amount(text, SIZE_UNITS)
}

fn amount(text: &str, units: &[(&str, u64)]) -> Result<u64, InvalidAmount> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    if number.is_empty() {
        return Err(InvalidAmount::NoNumber);
    }
    if unit.is_empty() {
        return Err(InvalidAmount::NoUnit);
    }
    let (_, factor) = units
        .iter()
        .find(|(name, _)| *name == unit)
        .ok_or(InvalidAmount::UnknownUnit)?;
    number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(*factor))
        .ok_or(InvalidAmount::TooLarge)
}

impl std::fmt::Display for InvalidAmount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NoNumber => "it must begin with a number",
            Self::NoUnit => "the unit is missing",
            Self::UnknownUnit => "this is no unit",
            Self::TooLarge => "this is too much",
        })
    }
}

impl std::error::Error for InvalidAmount {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("90d"), Ok(Duration::from_secs(90 * 86_400)));
        assert_eq!(duration("0s"), Ok(Duration::ZERO));
        assert_eq!(duration("30"), Err(InvalidAmount::NoUnit));
        assert_eq!(duration(""), Err(InvalidAmount::NoNumber));
        assert_eq!(duration("-1s"), Err(InvalidAmount::NoNumber));
        assert_eq!(duration("30 s"), Err(InvalidAmount::UnknownUnit));
        assert_eq!(duration("1h30m"), Err(InvalidAmount::UnknownUnit));
        assert_eq!(duration("36501d"), Err(InvalidAmount::TooLarge));
        assert_eq!(
            duration("99999999999999999999s"),
            Err(InvalidAmount::TooLarge)
        );
    }

    #[test]
    fn sizes_know_both_families_of_units() {
        assert_eq!(size("64KiB"), Ok(65_536));
        assert_eq!(size("64KB"), Ok(64_000));
        assert_eq!(size("1GiB"), Ok(1 << 30));
        assert_eq!(size("12B"), Ok(12));
        assert_eq!(size("64kb"), Err(InvalidAmount::UnknownUnit));
        assert_eq!(size("18446744073709551615GB"), Err(InvalidAmount::TooLarge));
    }
}

//! Numbers as decimal digits, written into a buffer without going through the formatting machinery.

use std::time::Duration;

/// As many as `u64::MAX` has.
const DIGITS_MAX: usize = 20;

/// Appends `value`.
pub(super) fn number(out: &mut Vec<u8>, value: u64) {
    padded(out, value, 1);
}

/// Appends `value` with zeros in front until it has `width` digits.
pub(super) fn padded(out: &mut Vec<u8>, mut value: u64, width: usize) {
    let mut digits = [b'0'; DIGITS_MAX];
    let mut first = DIGITS_MAX;
    while value > 0 {
        first -= 1;
        digits[first] = b'0' + (value % 10) as u8;
        value /= 10;
    }
    let start = first.min(DIGITS_MAX.saturating_sub(width));
    out.extend_from_slice(&digits[start..]);
}

/// Appends milliseconds with three decimals.
pub(super) fn milliseconds(out: &mut Vec<u8>, duration: Duration) {
    let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    number(out, micros / 1000);
    out.push(b'.');
    padded(out, micros % 1000, 3);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn durations_are_milliseconds_with_three_decimals() {
        assert_eq!(
            written(|out| milliseconds(out, Duration::from_micros(12_045))),
            "12.045"
        );
        assert_eq!(written(|out| milliseconds(out, Duration::ZERO)), "0.000");
    }

    proptest! {
        #[test]
        fn numbers_are_written_as_display_writes_them(value: u64, width in 1usize..=20) {
            prop_assert_eq!(written(|out| number(out, value)), value.to_string());
            prop_assert_eq!(written(|out| padded(out, value, width)), format!("{value:0width$}"));
        }
    }
}

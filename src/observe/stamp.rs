//! Instants as text in UTC, worked out once a second. It reads no clock.

use jiff::Timestamp;
use jiff::tz::Offset;

use super::decimal;

const MONTHS: [&[u8]; 12] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
];

/// The texts of the second that was written last.
#[derive(Debug)]
pub(super) struct Stamp {
    second: u64,
    iso: Vec<u8>,
    combined: Vec<u8>,
}

impl Stamp {
    pub(super) fn new() -> Self {
        let mut stamp = Self {
            second: 0,
            iso: Vec::new(),
            combined: Vec::new(),
        };
        stamp.fill();
        stamp
    }

    /// Appends `2026-11-22T01:02:03.456Z`.
    pub(super) fn iso(&mut self, out: &mut Vec<u8>, unix_millis: u64) {
        self.turn_to(unix_millis / 1000);
        out.extend_from_slice(&self.iso);
        out.push(b'.');
        decimal::padded(out, unix_millis % 1000, 3);
        out.push(b'Z');
    }

    /// Appends `22/Nov/2026:01:02:03 +0000`.
    pub(super) fn combined(&mut self, out: &mut Vec<u8>, unix_millis: u64) {
        self.turn_to(unix_millis / 1000);
        out.extend_from_slice(&self.combined);
    }

    fn turn_to(&mut self, second: u64) {
        if second != self.second {
            self.second = second;
            self.fill();
        }
    }

    fn fill(&mut self) {
        let seconds = i64::try_from(self.second).unwrap_or(i64::MAX);
        let timestamp = Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX);
        let time = Offset::UTC.to_datetime(timestamp);
        let [year, month, day] = [
            i64::from(time.year()),
            time.month().into(),
            time.day().into(),
        ]
        .map(i64::unsigned_abs);
        let clock =
            [time.hour(), time.minute(), time.second()].map(|part| part.unsigned_abs().into());

        let iso = &mut self.iso;
        iso.clear();
        decimal::padded(iso, year, 4);
        iso.push(b'-');
        decimal::padded(iso, month, 2);
        iso.push(b'-');
        decimal::padded(iso, day, 2);
        iso.push(b'T');
        time_of_day(iso, clock);

        let combined = &mut self.combined;
        combined.clear();
        decimal::padded(combined, day, 2);
        combined.push(b'/');
        combined.extend_from_slice(MONTHS[usize::from(time.month().unsigned_abs()) - 1]);
        combined.push(b'/');
        decimal::padded(combined, year, 4);
        combined.push(b':');
        time_of_day(combined, clock);
        combined.extend_from_slice(b" +0000");
    }
}

fn time_of_day(out: &mut Vec<u8>, [hour, minute, second]: [u64; 3]) {
    decimal::padded(out, hour, 2);
    out.push(b':');
    decimal::padded(out, minute, 2);
    out.push(b':');
    decimal::padded(out, second, 2);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(unix_millis: u64, iso: &str, combined: &str) {
        let mut stamp = Stamp::new();
        let mut out = Vec::new();
        stamp.iso(&mut out, unix_millis);
        out.push(b' ');
        stamp.combined(&mut out, unix_millis);
        assert_eq!(String::from_utf8(out).unwrap(), format!("{iso} {combined}"));
    }

    #[test]
    fn instants_are_written_in_both_forms() {
        check(
            1_795_309_323_456,
            "2026-11-22T01:02:03.456Z",
            "22/Nov/2026:01:02:03 +0000",
        );
        check(0, "1970-01-01T00:00:00.000Z", "01/Jan/1970:00:00:00 +0000");
        check(
            951_782_400_007,
            "2000-02-29T00:00:00.007Z",
            "29/Feb/2000:00:00:00 +0000",
        );
    }

    #[test]
    fn a_new_second_replaces_the_old_text() {
        let mut stamp = Stamp::new();
        let mut out = Vec::new();
        stamp.iso(&mut out, 1_999);
        stamp.iso(&mut out, 2_000);
        assert_eq!(out, b"1970-01-01T00:00:01.999Z1970-01-01T00:00:02.000Z");
    }

    proptest! {
        #[test]
        fn any_instant_has_a_text(unix_millis: u64) {
            let mut out = Vec::new();
            Stamp::new().iso(&mut out, unix_millis);
            prop_assert_eq!(out.len(), "2026-11-22T01:02:03.456Z".len());
        }
    }
}

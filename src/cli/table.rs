//! Columns of text, and how long it is until a time.

use std::time::{Duration, SystemTime};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Rows under their headings, each line ended.
#[must_use]
pub(super) fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let widths: [usize; N] = std::array::from_fn(|column| {
        let widths = rows.iter().map(|row| row[column].chars().count());
        widths.max().unwrap_or_default()
    });
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(widths);
        let cells: Vec<String> = cells
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// How long it is until then: `12 days`, `5 hours`, `3 minutes`, or that it is past.
#[must_use]
pub(super) fn left(until: SystemTime, now: SystemTime) -> String {
    match until.duration_since(now) {
        Ok(left) => length(left),
        Err(past) => format!("{} ago", length(past.duration())),
    }
}

fn length(time: Duration) -> String {
    let seconds = time.as_secs();
    let counted = crate::app::banner::counted;
    let whole = |unit: u64| usize::try_from(seconds / unit).unwrap_or(usize::MAX);
    if seconds >= 2 * DAY {
        counted(whole(DAY), "day")
    } else if seconds >= 2 * HOUR {
        counted(whole(HOUR), "hour")
    } else {
        counted(whole(MINUTE), "minute")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_each_other() {
        let rows = [["NAME", "LEFT"], ["a.example.com", "3"], ["b", ""]];
        let rows = rows.map(|row| row.map(str::to_owned));
        assert_eq!(table(&rows), "NAME           LEFT\na.example.com  3\nb\n");
    }

    #[test]
    fn what_is_left_is_told_in_the_unit_that_matters() {
        #[track_caller]
        fn check(seconds: u64, expected: &str) {
            let now = SystemTime::UNIX_EPOCH;
            assert_eq!(left(now + Duration::from_secs(seconds), now), expected);
        }
        check(90 * DAY, "90 days");
        check(2 * DAY - 1, "47 hours");
        check(HOUR, "60 minutes");
        check(MINUTE, "1 minute");
        let past = SystemTime::UNIX_EPOCH + Duration::from_secs(3 * DAY);
        assert_eq!(left(SystemTime::UNIX_EPOCH, past), "3 days ago");
    }
}

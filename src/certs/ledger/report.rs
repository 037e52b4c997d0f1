//! What is left of every limit, as a table for people and as JSON for programs.

use std::time::SystemTime;

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use super::instant::minute;
use super::limits::Limit;

/// Everything that `onedoor quota` shows of one authority.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// What it is called.
    pub ca: String,
    /// Whether the authority published these numbers.
    pub published: bool,
    pub buckets: Vec<BucketReport>,
    pub blocks: Vec<BlockReport>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BucketReport {
    pub limit: Limit,
    pub subject: String,
    /// Left of our own budget, and that budget.
    pub left: u32,
    pub of: u32,
    /// Left of what the authority allows, and that.
    pub ca_left: u32,
    pub ca_of: u32,
    /// When one more is left. `None`: all are.
    #[serde(serialize_with = "optional_instant")]
    pub refills_at: Option<SystemTime>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BlockReport {
    /// `None`: everything.
    pub limit: Option<Limit>,
    pub subject: String,
    #[serde(serialize_with = "instant")]
    pub until: SystemTime,
    /// The authority's own.
    pub words: String,
}

impl Report {
    /// Columns of text, each line ended.
    pub fn table(&self) -> String {
        let mut rows = vec![["LIMIT", "OF", "LEFT", "AT THE CA", "NEXT"].map(str::to_owned)];
        rows.extend(self.buckets.iter().map(BucketReport::row));
        let mut text = format!("{}\n", self.ca);
        if !self.published {
            text.push_str("publishes no limits: the numbers are onedoor's\n");
        }
        let widths = [0, 1, 2, 3, 4].map(|column| {
            let lengths = rows.iter().map(|row| row[column].chars().count());
            lengths.max().unwrap_or_default()
        });
        for row in &rows {
            let cells = row.iter().zip(widths);
            let cells: Vec<String> = cells
                .map(|(cell, width)| format!("{cell:width$}"))
                .collect();
            text.push_str(cells.join("  ").trim_end());
            text.push('\n');
        }
        for block in &self.blocks {
            text.push_str(&block.line());
        }
        text
    }
}

impl BucketReport {
    fn row(&self) -> [String; 5] {
        [
            self.limit.words().to_owned(),
            self.subject.clone(),
            format!("{} of {}", self.left, self.of),
            format!("{} of {}", self.ca_left, self.ca_of),
            self.refills_at.map(minute).unwrap_or_default(),
        ]
    }
}

impl BlockReport {
    fn line(&self) -> String {
        let what = match self.limit {
            Some(limit) => format!("{} ({})", limit.words(), self.subject),
            None => "everything".to_owned(),
        };
        let until = minute(self.until);
        format!("wait until {until} with {what}, as asked: {}\n", self.words)
    }
}

fn instant<S: Serializer>(at: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    let at = Timestamp::try_from(*at).unwrap_or(Timestamp::MAX);
    serializer.collect_str(&at)
}

#[expect(clippy::ref_option, reason = "serde hands out the field as it is")]
fn optional_instant<S: Serializer>(
    at: &Option<SystemTime>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => instant(at, serializer),
        None => serializer.serialize_none(),
    }
}

//! What is left of every limit, as a table for people and as JSON for programs.

use std::time::SystemTime;

use serde::Serialize;

use super::Ledger;
use super::block::Place;
use super::bucket::Judge;
use super::instant::{millis, minute, time};
use super::limits::{Limit, Limits, Source};
use crate::certs::utc::{stamp, stamp_or_null};

impl Ledger {
    /// What is left of every limit that anything was spent of, and of those of the account in any case.
    pub fn report(&self, limits: &Limits, now: SystemTime) -> Report {
        let now = millis(now);
        let mut settled = self.clone();
        settled.settle_at(limits, time(now));
        for place in [Place::orders(), Place::accounts()] {
            settled.bucket(&place);
        }
        Report {
            ca: limits.ca.to_owned(),
            published: limits.source == Source::Published,
            buckets: settled.bucket_reports(limits, now),
            blocks: settled.block_reports(),
        }
    }

    fn bucket_reports(&self, limits: &Limits, now: u64) -> Vec<BucketReport> {
        let mut reports = Vec::new();
        for limit in Limit::ALL {
            let rate = limits.rate(limit);
            for (subject, bucket) in self.buckets.get(limit.key()).into_iter().flatten() {
                let refills_at = bucket.refills_at(rate, Judge::Budget, now);
                reports.push(BucketReport {
                    limit,
                    subject: subject.clone(),
                    left: bucket.left(rate, Judge::Budget, now),
                    of: rate.budget.unwrap_or(rate.capacity),
                    ca_left: bucket.left(rate, Judge::Capacity, now),
                    ca_of: rate.capacity,
                    refills_at: refills_at.map(time),
                });
            }
        }
        reports
    }

    fn block_reports(&self) -> Vec<BlockReport> {
        let reports = self.blocks.iter().map(|(key, block)| {
            let (limit, subject) = key.split_once(' ').unwrap_or((key, ""));
            BlockReport {
                limit: Limit::ALL.into_iter().find(|known| known.key() == limit),
                subject: subject.to_owned(),
                until: time(block.until),
                words: block.words.clone(),
            }
        });
        reports.collect()
    }
}

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
    #[serde(serialize_with = "stamp_or_null")]
    pub refills_at: Option<SystemTime>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BlockReport {
    /// `None`: everything.
    pub limit: Option<Limit>,
    pub subject: String,
    #[serde(serialize_with = "stamp")]
    pub until: SystemTime,
    /// The authority's own.
    pub words: String,
}

impl Report {
    /// Columns of text, each line ended.
    pub fn table(&self) -> String {
        let mut rows = vec![["LIMIT", "OF", "LEFT", "AT THE CA", "NEXT"].map(str::to_owned)];
        rows.extend(self.buckets.iter().map(BucketReport::row));
        let mut text = if self.published {
            format!("{}\n", self.ca)
        } else {
            "it publishes no limits, so the numbers are onedoor's\n".to_owned()
        };
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
    /// A fifth or less of our budget is left: worth an event.
    pub fn is_low(&self) -> bool {
        self.left <= self.of / 5
    }

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

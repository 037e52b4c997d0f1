//! What came out: every sample, and the table made of them.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::client::Protocol;
use crate::workload::Measure;

const MEASURES: [Measure; 13] = [
    Measure::Cpu(Protocol::Http1),
    Measure::Cpu(Protocol::Http2),
    Measure::Handshake,
    Measure::Body(Protocol::Http1),
    Measure::Body(Protocol::Http2),
    Measure::Compress(Protocol::Http1),
    Measure::Compress(Protocol::Http2),
    Measure::Idle(Protocol::Http1),
    Measure::Idle(Protocol::Http2),
    Measure::MedianTime(Protocol::Http1),
    Measure::SlowTime(Protocol::Http1),
    Measure::MedianTime(Protocol::Http2),
    Measure::SlowTime(Protocol::Http2),
];

/// One reading of one round. The peer is an index into the table's names.
#[derive(Debug, Clone, Copy)]
struct Sample {
    round: u32,
    peer: usize,
    measure: Measure,
    value: f64,
}

#[derive(Debug)]
pub(crate) struct Table {
    names: Vec<String>,
    /// The peer the others are compared with.
    reference: Option<usize>,
    samples: Vec<Sample>,
}

struct Spread {
    low: f64,
    median: f64,
    high: f64,
}

impl Measure {
    fn title(self) -> &'static str {
        match self {
            Self::Cpu(Protocol::Http1) => "HTTP/1.1 keep-alive, 1 KiB: CPU per request, µs",
            Self::Cpu(Protocol::Http2) => "HTTP/2, 1 KiB: CPU per request, µs",
            Self::Handshake => "full TLS 1.3 handshake: CPU per connection, µs",
            Self::Body(Protocol::Http1) => "10 MiB over HTTP/1.1: CPU per MiB, µs",
            Self::Body(Protocol::Http2) => "10 MiB over HTTP/2: CPU per MiB, µs",
            Self::Compress(Protocol::Http1) => "gzip of text over HTTP/1.1: CPU per MiB, µs",
            Self::Compress(Protocol::Http2) => "gzip of text over HTTP/2: CPU per MiB, µs",
            Self::Idle(Protocol::Http1) => "idle HTTP/1.1 connection: memory, KiB",
            Self::Idle(Protocol::Http2) => "idle HTTP/2 connection: memory, KiB",
            Self::MedianTime(Protocol::Http1) => "HTTP/1.1 at a fixed rate: p50, µs",
            Self::MedianTime(Protocol::Http2) => "HTTP/2 at a fixed rate: p50, µs",
            Self::SlowTime(Protocol::Http1) => "HTTP/1.1 at a fixed rate: p99, µs",
            Self::SlowTime(Protocol::Http2) => "HTTP/2 at a fixed rate: p99, µs",
        }
    }

    /// The most onedoor may need, as a multiple of nginx.
    fn target(self) -> Option<f64> {
        match self {
            Self::Cpu(Protocol::Http1) => Some(0.90),
            Self::Cpu(Protocol::Http2) | Self::Compress(_) => Some(1.00),
            Self::Handshake | Self::Body(_) => Some(0.60),
            Self::Idle(_) => Some(2.00),
            Self::MedianTime(_) | Self::SlowTime(_) => None,
        }
    }
}

impl Table {
    pub(crate) fn new(names: Vec<String>) -> Self {
        let reference = names.iter().position(|name| name == "nginx");
        Self {
            names,
            reference,
            samples: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, round: u32, peer: usize, measure: Measure, value: f64) {
        self.samples.push(Sample {
            round,
            peer,
            measure,
            value,
        });
    }

    /// Rows of Markdown, one for each measure and peer.
    pub(crate) fn markdown(&self) -> String {
        let mut text = String::from(
            "| Measure | Peer | Median | Min–max | Ratio to nginx | Min–max | Target |\n",
        );
        text.push_str("|---|---|---:|---:|---:|---:|---:|\n");
        for measure in MEASURES {
            for (peer, name) in self.names.iter().enumerate() {
                let Some(value) = self.spread(measure, peer) else {
                    continue;
                };
                let _infallible = write!(
                    text,
                    "| {} | {name} | {:.1} | {:.1}–{:.1} |",
                    measure.title(),
                    value.median,
                    value.low,
                    value.high
                );
                text.push_str(&ratio_cells(
                    self.ratio_to_reference(measure, peer),
                    measure,
                    name,
                ));
            }
        }
        text
    }

    /// One line a measure: what one peer needs as a multiple of another in the same round. Nothing if one of them is not here.
    pub(crate) fn comparison(&self, name: &str, reference: &str) -> String {
        let position = |wanted: &str| self.names.iter().position(|name| name == wanted);
        let (Some(peer), Some(beside)) = (position(name), position(reference)) else {
            return String::new();
        };
        let mut text = format!("{name}, as a multiple of {reference}:\n");
        for measure in MEASURES {
            if let Some(ratio) = self.ratio(measure, peer, beside) {
                let _infallible = writeln!(
                    text,
                    "- {}: {:.2} ({:.2}–{:.2})",
                    measure.title(),
                    ratio.median,
                    ratio.low,
                    ratio.high
                );
            }
        }
        text
    }

    pub(crate) fn json(&self) -> Value {
        let samples = self.samples.iter().map(|sample| {
            json!({
                "round": sample.round,
                "peer": self.names.get(sample.peer),
                "measure": sample.measure.title(),
                "value": sample.value,
            })
        });
        let ratios = MEASURES.iter().flat_map(|&measure| {
            self.names
                .iter()
                .enumerate()
                .filter_map(move |(peer, name)| {
                    let ratio = self.ratio_to_reference(measure, peer)?;
                    let title = measure.title();
                    Some(json!({
                        "peer": name, "measure": title, "target": measure.target(),
                        "median": ratio.median, "min": ratio.low, "max": ratio.high,
                    }))
                })
        });
        json!({ "samples": samples.collect::<Vec<_>>(), "ratios_to_nginx": ratios.collect::<Vec<_>>() })
    }

    fn spread(&self, measure: Measure, peer: usize) -> Option<Spread> {
        let own = self
            .samples
            .iter()
            .filter(|sample| sample.measure == measure && sample.peer == peer);
        spread(own.map(|sample| sample.value).collect())
    }

    fn ratio_to_reference(&self, measure: Measure, peer: usize) -> Option<Spread> {
        self.ratio(measure, peer, self.reference?)
    }

    /// Each round's value beside that of another peer in the same round.
    fn ratio(&self, measure: Measure, peer: usize, reference: usize) -> Option<Spread> {
        let of = |peer| {
            self.samples
                .iter()
                .filter(move |sample| sample.measure == measure && sample.peer == peer)
        };
        let ratios = of(peer).filter_map(|sample| {
            let beside = of(reference).find(|other| other.round == sample.round)?;
            Some(sample.value / beside.value)
        });
        spread(ratios.collect())
    }
}

fn ratio_cells(ratio: Option<Spread>, measure: Measure, name: &str) -> String {
    let target = measure.target().filter(|_| name.starts_with("onedoor"));
    let target_cell = target.map_or_else(String::new, |target| format!("≤ {target:.2}"));
    let Some(ratio) = ratio else {
        return format!(" | | {target_cell} |\n");
    };
    let missed = target.is_some_and(|target| ratio.median > target);
    let mark = if missed { " missed" } else { "" };
    format!(
        " {:.2} | {:.2}–{:.2} | {target_cell}{mark} |\n",
        ratio.median, ratio.low, ratio.high
    )
}

fn spread(mut values: Vec<f64>) -> Option<Spread> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    let median = if values.len() % 2 == 1 {
        upper
    } else {
        (*values.get(middle - 1)? + upper) / 2.0
    };
    Some(Spread {
        low: *values.first()?,
        median,
        high: *values.last()?,
    })
}

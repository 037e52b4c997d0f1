//! `rate`: how often clients may ask.

use std::num::NonZeroU32;
use std::time::Duration;

use super::balancing::{count, header_name};
use super::guard::{Rate, RateKey};
use super::keys;
use super::problem::Problem;
use super::problems::Problems;
use super::reader::{Item, Layers};

const RATE_FORM: &str = r#"a rate such as "100/s", "10/m" or "5/h", a table such as { limit = "100/s", burst = 20, key = "ip" }, or `false`"#;
const LIMIT_FORM: &str = r#"a rate such as "100/s", "10/m" or "5/h""#;
const REQUESTS_MAX: u64 = 1_000_000;
const TIMES: &[(&str, Duration)] = &[
    ("s", Duration::from_secs(1)),
    ("m", Duration::from_secs(60)),
    ("h", Duration::from_secs(3600)),
];
/// What others write for these times.
const LONG_TIMES: &[(&str, &str)] = &[
    ("second", "s"),
    ("seconds", "s"),
    ("sec", "s"),
    ("1s", "s"),
    ("minute", "m"),
    ("minutes", "m"),
    ("min", "m"),
    ("1m", "m"),
    ("hour", "h"),
    ("hours", "h"),
    ("1h", "h"),
];

/// Reads the nearest `rate`.
pub(super) fn rate(layers: &Layers<'_>, problems: &mut Problems) -> Option<Rate> {
    let item = layers.get("rate")?;
    if item.as_flag() == Some(false) {
        return None;
    }
    let scope = scope(layers);
    let Some(table) = item.as_table() else {
        if item.as_text().is_none() {
            item.wrong_type(RATE_FORM, problems);
            return None;
        }
        let (limit, per) = limit(&item, problems)?;
        return Some(Rate {
            limit,
            per,
            burst: limit,
            key: RateKey::Ip,
            scope,
        });
    };
    table.check_keys(&keys::RATE, problems);
    let Some(limit_item) = table.get("limit") else {
        problems.push(
            Problem::error("missing-key", "`rate` needs `limit`")
                .at(table.at, "`limit` is missing")
                .help("{ limit = \"100/s\", burst = 20, key = \"ip\" }"),
        );
        return None;
    };
    let read = limit(&limit_item, problems);
    let burst = match table.get("burst") {
        Some(item) => count(&item, REQUESTS_MAX, problems).map(Some),
        None => Some(None),
    };
    let key = match table.get("key") {
        Some(item) => key(&item, problems),
        None => Some(RateKey::Ip),
    };
    let (limit, per) = read?;
    Some(Rate {
        limit,
        per,
        burst: burst?.unwrap_or(limit),
        key: key?,
        scope,
    })
}

fn limit(item: &Item<'_>, problems: &mut Problems) -> Option<(NonZeroU32, Duration)> {
    let text = item.text(LIMIT_FORM, problems)?;
    let (number, time) = text.split_once('/').unwrap_or((text, ""));
    let requests = number.trim();
    let digits = requests.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let wanted = TIMES.iter().find(|(name, _)| *name == time);
    let count = requests
        .parse::<u64>()
        .ok()
        .filter(|count| (1..=REQUESTS_MAX).contains(count))
        .and_then(|count| NonZeroU32::new(u32::try_from(count).ok()?));
    if let (Some(count), Some((_, per)), true) = (count, wanted, requests == number) {
        return Some((count, *per));
    }
    let unit = wanted.map(|(name, _)| *name).or_else(|| {
        let time = time.trim().to_ascii_lowercase();
        let known = LONG_TIMES.iter().find(|(long, _)| *long == time);
        known.map(|(_, short)| *short)
    });
    let is_count = digits
        .parse::<u64>()
        .is_ok_and(|count| (1..=REQUESTS_MAX).contains(&count));
    let help = match unit {
        Some(unit) if is_count => format!("write \"{digits}/{unit}\""),
        None if is_count && time.is_empty() => {
            format!("write \"{digits}/s\" for each second, \"{digits}/m\" for each minute")
        }
        Some(_) | None => {
            format!(
                "1 to {REQUESTS_MAX} requests in a second (`s`), a minute (`m`) or an hour (`h`)"
            )
        }
    };
    let message = format!("`{text}` is no rate");
    problems.error(
        "bad-rate",
        message,
        item.at(),
        "not a number and a time",
        help,
    );
    None
}

fn key(item: &Item<'_>, problems: &mut Problems) -> Option<RateKey> {
    const FORM: &str = r#""ip", "host" or { header = "X-Api-Key" }"#;
    const WORDS: &[(&str, Counted)] = &[("ip", Counted::Ip), ("host", Counted::Host)];
    let Some(table) = item.as_table() else {
        if item.as_text().is_none() {
            item.wrong_type(FORM, problems);
            return None;
        }
        return item.choice(WORDS, problems).map(|counted| match counted {
            Counted::Ip => RateKey::Ip,
            Counted::Host => RateKey::Host,
        });
    };
    table.check_keys(&keys::RATE_KEY, problems);
    let Some(header) = table.get("header") else {
        problems.push(
            Problem::error("missing-key", format!("`key` takes {FORM}"))
                .at(table.at, "`header` is missing"),
        );
        return None;
    };
    header_name(&header, problems).map(RateKey::Header)
}

#[derive(Debug, Clone, Copy)]
enum Counted {
    Ip,
    Host,
}

/// Where the limit holds: the path whose table says it, else the site.
fn scope(layers: &Layers<'_>) -> u64 {
    let own = layers.path.filter(|table| table.has("rate"));
    let path = own.and(layers.prefix).unwrap_or_default();
    let folder = layers
        .inner_first()
        .next()
        .map(|table| &table.origin.folder);
    let mut hash = Fnv::new();
    if let Some(folder) = folder {
        hash.add(folder.as_os_str().as_encoded_bytes());
    }
    hash.add(layers.host.as_bytes());
    hash.add(path.as_bytes());
    hash.0
}

/// FNV-1a: the same in every process and version.
struct Fnv(u64);

impl Fnv {
    const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    /// Adds octets, and an end that no text contains.
    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes.iter().copied().chain([0xff]) {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

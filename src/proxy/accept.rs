//! Which form of a reply a client prefers, by its `Accept` (R9110 12.5.1).

use http::HeaderValue;
use http::header::GetAll;

/// Whether JSON is preferred to plain text: by weight, then by how exactly it is named, then by which comes first.
pub(super) fn prefers_json(lines: &GetAll<'_, HeaderValue>) -> bool {
    let mut json = Preference::NONE;
    let mut text = Preference::NONE;
    let ranges = lines
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','));
    for (position, range) in ranges.take(RANGES_MAX).enumerate() {
        let mut parameters = range.split(';').map(str::trim);
        let name = parameters.next().unwrap_or_default();
        let weight = parameters.find_map(weight).unwrap_or(WEIGHT_FULL);
        json.consider(
            name,
            ["application/json", "application/*"],
            weight,
            position,
        );
        text.consider(name, ["text/plain", "text/*"], weight, position);
    }
    json.is_over(&text)
}

/// Ranges beyond these are not read.
const RANGES_MAX: usize = 32;
const WEIGHT_FULL: u16 = 1000;

/// The most exact range for a type decides its weight.
struct Preference {
    exactness: u8,
    weight: u16,
    position: usize,
}

impl Preference {
    const NONE: Self = Self {
        exactness: 0,
        weight: 0,
        position: usize::MAX,
    };

    fn consider(&mut self, name: &str, [exact, family]: [&str; 2], weight: u16, position: usize) {
        let exactness = if name.eq_ignore_ascii_case(exact) {
            3
        } else if name.eq_ignore_ascii_case(family) {
            2
        } else if name == "*/*" {
            1
        } else {
            0
        };
        if exactness > self.exactness {
            *self = Self {
                exactness,
                weight,
                position,
            };
        }
    }

    fn is_over(&self, other: &Self) -> bool {
        let key = |preference: &Self| {
            (
                preference.weight,
                preference.exactness,
                usize::MAX - preference.position,
            )
        };
        self.weight > 0 && key(self) > key(other)
    }
}

/// `q=0.123` in thousandths; a weight that is none counts as nought.
fn weight(parameter: &str) -> Option<u16> {
    let (name, value) = parameter.split_once('=')?;
    if !name.trim_end().eq_ignore_ascii_case("q") {
        return None;
    }
    let value = value.trim();
    let (whole, fraction) = value.split_once('.').unwrap_or((value, ""));
    let is_number = fraction.len() <= 3 && fraction.bytes().all(|byte| byte.is_ascii_digit());
    let thousandths = match whole {
        _ if !is_number => 0,
        "1" => WEIGHT_FULL,
        "0" => format!("{fraction:0<3}").parse().unwrap_or(0),
        _ => 0,
    };
    Some(thousandths)
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use http::header::ACCEPT;

    use super::*;

    #[track_caller]
    fn check(lines: &[&'static str], expected: bool) {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(ACCEPT, HeaderValue::from_static(line));
        }
        assert_eq!(
            prefers_json(&headers.get_all(ACCEPT)),
            expected,
            "{lines:?}"
        );
    }

    #[test]
    fn json_is_for_those_who_prefer_it() {
        check(&["application/json"], true);
        check(&["Application/JSON;charset=utf-8"], true);
        check(&["application/*"], true);
        check(&["application/json, text/plain, */*"], true);
        check(&["application/json;q=0.9, */*;q=0.8"], true);
        check(&["text/plain;q=0.5", "application/json"], true);
        check(&["text/html, application/json;q=0.001"], true);
    }

    #[test]
    fn all_others_get_text() {
        check(&[], false);
        check(&["*/*"], false);
        check(&["text/html,application/xml;q=0.9,*/*;q=0.8"], false);
        check(&["text/plain, application/json"], false);
        check(&["application/json;q=0, */*"], false);
        check(&["application/json;q=0"], false);
        check(&["application/json;q=0.5, text/*"], false);
        check(&["application/json;q=high"], false);
        check(&["application/problem+json"], false);
        check(&[",;,q=1"], false);
    }
}

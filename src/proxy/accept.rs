//! Which form of a reply a client prefers, by its `Accept` (R9110 12.5.1).

use http::HeaderValue;
use http::header::GetAll;

/// A form that a reply of ours can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Text,
    Json,
    /// For those who name it, as browsers do.
    Html,
}

/// The form that is preferred: by weight, then by how exactly it is named, then by which comes first; in doubt plain text.
pub(super) fn preferred(lines: &GetAll<'_, HeaderValue>) -> Form {
    let [mut json, mut html, mut text] = [Preference::NONE; 3];
    let ranges = lines
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','));
    for (position, range) in ranges.take(RANGES_MAX).enumerate() {
        let mut parameters = range.split(';').map(str::trim);
        let name = parameters.next().unwrap_or_default();
        let weight = parameters.find_map(weight).unwrap_or(WEIGHT_FULL);
        let types = ["application/json", "application/*"];
        json.consider(name, types, weight, position);
        html.consider(name, ["text/html", "text/html"], weight, position);
        text.consider(name, ["text/plain", "text/*"], weight, position);
    }
    if html.is_exact() && html.is_over(&text) && !json.is_over(&html) {
        Form::Html
    } else if json.is_over(&text) {
        Form::Json
    } else {
        Form::Text
    }
}

/// Ranges beyond these are not read.
const RANGES_MAX: usize = 32;
const WEIGHT_FULL: u16 = 1000;

/// The most exact range for a type decides its weight.
#[derive(Debug, Clone, Copy)]
struct Preference {
    exactness: u8,
    weight: u16,
    position: usize,
}

impl Preference {
    const EXACT: u8 = 3;

    const NONE: Self = Self {
        exactness: 0,
        weight: 0,
        position: usize::MAX,
    };

    fn consider(&mut self, name: &str, [exact, family]: [&str; 2], weight: u16, position: usize) {
        let exactness = if name.eq_ignore_ascii_case(exact) {
            Self::EXACT
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

    fn is_exact(&self) -> bool {
        self.exactness == Self::EXACT
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
    fn check(lines: &[&'static str], expected: Form) {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(ACCEPT, HeaderValue::from_static(line));
        }
        assert_eq!(preferred(&headers.get_all(ACCEPT)), expected, "{lines:?}");
    }

    #[test]
    fn json_is_for_those_who_prefer_it() {
        check(&["application/json"], Form::Json);
        check(&["Application/JSON;charset=utf-8"], Form::Json);
        check(&["application/*"], Form::Json);
        check(&["application/json, text/plain, */*"], Form::Json);
        check(&["application/json, text/html"], Form::Json);
        check(&["application/json;q=0.9, */*;q=0.8"], Form::Json);
        check(&["text/plain;q=0.5", "application/json"], Form::Json);
        check(&["text/html;q=0.1, application/json"], Form::Json);
        check(&["text/html;q=0, application/json;q=0.1"], Form::Json);
    }

    #[test]
    fn pages_are_for_browsers() {
        check(&["text/html,application/xml;q=0.9,*/*;q=0.8"], Form::Html);
        check(
            &["text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"],
            Form::Html,
        );
        check(&["text/html"], Form::Html);
        check(&["TEXT/HTML;q=0.5"], Form::Html);
        check(&["text/html, application/json;q=0.001"], Form::Html);
        check(&["text/html, application/json"], Form::Html);
    }

    #[test]
    fn all_others_get_text() {
        check(&[], Form::Text);
        check(&["*/*"], Form::Text);
        check(&["text/*"], Form::Text);
        check(&["text/plain, text/html"], Form::Text);
        check(&["text/plain, application/json"], Form::Text);
        check(&["text/html;q=0, */*"], Form::Text);
        check(&["application/json;q=0, */*"], Form::Text);
        check(&["application/json;q=0"], Form::Text);
        check(&["application/json;q=0.5, text/*"], Form::Text);
        check(&["application/json;q=high"], Form::Text);
        check(&["application/problem+json"], Form::Text);
        check(&[",;,q=1"], Form::Text);
    }
}

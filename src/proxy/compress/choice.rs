//! Which content coding a client wants, by its `Accept-Encoding` (RFC 9110 section 12.5.3).

use http::header::ACCEPT_ENCODING;
use http::{HeaderMap, HeaderValue};

use super::token;
use crate::config::site::Coding;

/// What the rule and the client together want of an answer's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proxy) enum Wish {
    /// The rule encodes nothing.
    Off,
    /// Another client would have got it encoded.
    Plain,
    Coded(Coding),
}

impl Wish {
    /// `offered` in the order in which the site prefers them; the client's weights come first.
    pub(in crate::proxy) fn of(offered: &[Coding], request: &HeaderMap) -> Self {
        if offered.is_empty() {
            return Self::Off;
        }
        let mut asked = Asked::default();
        for line in request.get_all(ACCEPT_ENCODING) {
            asked.read(line);
        }
        let mut best = None;
        // An equal weight does not replace: the site's order decides. Identity wins only where the client said that it weighs more.
        let mut best_weight = asked.identity.unwrap_or(0).max(1) - 1;
        for coding in offered {
            let weight = asked.weight(*coding);
            if weight > best_weight {
                best = Some(*coding);
                best_weight = weight;
            }
        }
        best.map_or(Self::Plain, Self::Coded)
    }
}

/// Codings beyond these are not read.
const CODINGS_MAX: usize = 32;
const WEIGHT_FULL: u16 = 1000;
const KNOWN: [Coding; 3] = [Coding::Zstd, Coding::Brotli, Coding::Gzip];

/// The weights that a client gave, in thousandths.
#[derive(Debug, Default)]
struct Asked {
    named: [Option<u16>; KNOWN.len()],
    identity: Option<u16>,
    others: Option<u16>,
    read: usize,
}

impl Asked {
    fn read(&mut self, line: &HeaderValue) {
        let Ok(line) = line.to_str() else {
            return;
        };
        for item in line.split(',').take(CODINGS_MAX.saturating_sub(self.read)) {
            self.read += 1;
            let mut parts = item.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default();
            let weight = parts.find_map(weight).unwrap_or(WEIGHT_FULL);
            if let Some(place) = self.place(name) {
                place.get_or_insert(weight);
            }
        }
    }

    fn place(&mut self, name: &str) -> Option<&mut Option<u16>> {
        if name == "*" {
            return Some(&mut self.others);
        }
        if name.eq_ignore_ascii_case("identity") {
            return Some(&mut self.identity);
        }
        // An old name of the same coding (RFC 9110 section 8.4.1.3).
        let name = if name.eq_ignore_ascii_case("x-gzip") {
            "gzip"
        } else {
            name
        };
        let known = KNOWN.iter().zip(&mut self.named);
        known
            .filter(|(coding, _)| name.eq_ignore_ascii_case(token(**coding)))
            .map(|(_, place)| place)
            .next()
    }

    fn weight(&self, coding: Coding) -> u16 {
        let mut known = KNOWN.iter().zip(self.named);
        let named = known.find(|(known, _)| **known == coding);
        let named = named.and_then(|(_, weight)| weight);
        named.or(self.others).unwrap_or(0)
    }
}

/// `q=0.123` in thousandths; none for another parameter. A weight that is no number counts as nought.
fn weight(parameter: &str) -> Option<u16> {
    let (name, value) = parameter.split_once('=')?;
    if !name.trim_end().eq_ignore_ascii_case("q") {
        return None;
    }
    let value = value.trim_start();
    let (whole, fraction) = value.split_once('.').unwrap_or((value, ""));
    let is_fraction = fraction.len() <= 3 && fraction.bytes().all(|digit| digit.is_ascii_digit());
    Some(match whole {
        "1" if is_fraction => WEIGHT_FULL,
        "0" if is_fraction => thousandths(fraction),
        _ => 0,
    })
}

fn thousandths(fraction: &str) -> u16 {
    let digits = fraction.bytes().chain(std::iter::repeat(b'0'));
    digits
        .take(3)
        .fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'))
}

#[cfg(test)]
mod tests {
    use super::Coding::{Brotli, Gzip, Zstd};
    use super::*;
    use crate::proxy::testing::fields_of;

    const ALL: &[Coding] = &[Zstd, Brotli, Gzip];

    #[track_caller]
    fn check(offered: &[Coding], lines: &[&str], expected: Option<Coding>) {
        let lines: Vec<String> = lines
            .iter()
            .map(|line| format!("accept-encoding: {line}"))
            .collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let expected = expected.map_or(Wish::Plain, Wish::Coded);
        assert_eq!(Wish::of(offered, &fields_of(&lines)), expected, "{lines:?}");
    }

    #[test]
    fn a_rule_without_codings_wants_nothing() {
        let headers = fields_of(&["accept-encoding: gzip"]);
        assert_eq!(Wish::of(&[], &headers), Wish::Off);
    }

    #[test]
    fn the_sites_order_decides_among_equals() {
        check(ALL, &["gzip, deflate, br, zstd"], Some(Zstd));
        check(ALL, &["gzip, deflate, br"], Some(Brotli));
        check(&[Gzip, Brotli], &["br, gzip"], Some(Gzip));
        check(ALL, &["gzip;q=0.8, br;q=0.8"], Some(Brotli));
    }

    #[test]
    fn the_clients_weights_come_first() {
        check(ALL, &["zstd;q=0.1, gzip;q=0.9, br;q=0.5"], Some(Gzip));
        check(ALL, &["zstd;q=0.1", "br; Q = 0.25"], Some(Brotli));
        check(ALL, &["zstd;q=0, br;q=0.000, gzip;q=0.001"], Some(Gzip));
        check(ALL, &["zstd;q=0.99, gzip;q=1.000"], Some(Gzip));
    }

    #[test]
    fn stars_stand_for_what_is_not_named() {
        check(ALL, &["*"], Some(Zstd));
        check(ALL, &["zstd;q=0, *"], Some(Brotli));
        check(ALL, &["gzip;q=0.5, *;q=0.4"], Some(Gzip));
        check(ALL, &["*;q=0"], None);
        check(ALL, &["*;q=0, gzip"], Some(Gzip));
    }

    #[test]
    fn identity_wins_where_it_weighs_more() {
        check(ALL, &["identity"], None);
        check(ALL, &["identity, gzip;q=0.5"], None);
        check(ALL, &["identity;q=0.5, gzip;q=0.5"], Some(Gzip));
        check(ALL, &["identity;q=0.5, gzip"], Some(Gzip));
        check(ALL, &["identity;q=0, gzip;q=0.1"], Some(Gzip));
        // Nothing that we have is acceptable: then it is sent as it is.
        check(&[Brotli], &["identity;q=0, gzip"], None);
    }

    #[test]
    fn nothing_is_guessed() {
        check(ALL, &[], None);
        check(ALL, &[""], None);
        check(ALL, &["deflate, compress"], None);
        check(ALL, &["gzip;q=high"], None);
        check(ALL, &["gzip;q=2"], None);
        check(ALL, &["gzip;q=0.1234"], None);
        check(ALL, &["gzipped, brr"], None);
        check(ALL, &["X-GZip"], Some(Gzip));
        check(ALL, &["GZIP"], Some(Gzip));
        check(ALL, &[&"x,".repeat(CODINGS_MAX), "gzip"], None);
    }
}

//! The elements of a `Forwarded` field (RFC 7239 section 4), read from the right: what stands there was written by those nearest to
//! us, and nothing that a client wrote before it, such as a quote that never ends, changes how it is read.

use std::borrow::Cow;
use std::net::IpAddr;

use super::chain;
use crate::framing::is_token;

/// One hop as a proxy noted it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Element<'h> {
    /// As it was written.
    pub(super) text: &'h str,
    /// None: unknown, obfuscated, or not said.
    pub(super) client: Option<IpAddr>,
    pub(super) host: Option<Cow<'h, str>>,
    pub(super) proto: Option<Cow<'h, str>>,
}

/// An element is not longer: a quote that ends nowhere is not looked for farther.
const ELEMENT_BYTES_MAX: usize = 512;

/// The elements of one line from right to left, up to the first that is none.
pub(super) fn elements(line: &[u8]) -> Elements<'_> {
    let foreign = line.iter().rposition(|octet| !octet.is_ascii());
    let start = foreign.map_or(0, |place| place + 1);
    Elements {
        rest: std::str::from_utf8(&line[start..]).ok(),
        is_cut: start > 0,
        is_broken: false,
    }
}

#[derive(Debug)]
pub(super) struct Elements<'h> {
    rest: Option<&'h str>,
    /// What stands before `rest` is no text, so that the first element in it is none.
    is_cut: bool,
    is_broken: bool,
}

impl Elements<'_> {
    /// Whether something was left unread.
    pub(super) fn is_broken(&self) -> bool {
        self.is_broken
    }
}

impl<'h> Iterator for Elements<'h> {
    type Item = Element<'h>;

    fn next(&mut self) -> Option<Element<'h>> {
        while let Some(line) = self.rest.take() {
            let found = last(line).filter(|(_, rest)| rest.is_some() || !self.is_cut);
            let Some((element, rest)) = found else {
                self.is_broken = true;
                return None;
            };
            self.rest = rest;
            if !element.text.is_empty() {
                return Some(element);
            }
        }
        None
    }
}

/// The last element, and what stands before its comma. A comma within quotes has an odd number of quotes behind it.
fn last(line: &str) -> Option<(Element<'_>, Option<&str>)> {
    let mut quotes = 0_usize;
    let octets = line.as_bytes();
    let nearest = line.len().saturating_sub(ELEMENT_BYTES_MAX);
    for start in (nearest..line.len()).rev() {
        match octets[start] {
            b'"' => quotes += 1,
            b',' if quotes % 2 == 0 => {
                // An odd number of escaped quotes makes this the wrong comma.
                if let Some(element) = parse(&line[start + 1..]) {
                    return Some((element, Some(&line[..start])));
                }
            }
            _ => {}
        }
    }
    if nearest > 0 {
        return None;
    }
    parse(line).map(|element| (element, None))
}

fn parse(text: &str) -> Option<Element<'_>> {
    let text = text.trim_matches([' ', '\t']);
    let mut element = Element {
        text,
        client: None,
        host: None,
        proto: None,
    };
    let mut seen = [false; 3];
    let mut rest = text;
    while !rest.is_empty() {
        rest = rest.trim_start_matches([' ', '\t']);
        if let Some(next) = rest.strip_prefix(';') {
            rest = next;
            continue;
        }
        let (name, after) = rest.split_once('=')?;
        if !is_token(name.as_bytes()) {
            return None;
        }
        let (value, after) = value(after)?;
        let known = ["for", "host", "proto"];
        if let Some(place) = known
            .iter()
            .position(|known| name.eq_ignore_ascii_case(known))
        {
            // Each parameter at most once an element (RFC 7239 section 4).
            if std::mem::replace(&mut seen[place], true) {
                return None;
            }
            match place {
                0 => element.client = node(&value)?,
                1 => element.host = Some(value),
                _ => element.proto = Some(value),
            }
        }
        let after = after.trim_start_matches([' ', '\t']);
        if !after.is_empty() && !after.starts_with(';') {
            return None;
        }
        rest = after;
    }
    Some(element)
}

/// A value, quoted or not, and what follows it. Unquoted ones may have colons and brackets: many write addresses so.
fn value(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([';', ' ', '\t']).unwrap_or(text.len());
        let (value, rest) = text.split_at(end);
        let is_plain = |octet: u8| is_token(&[octet]) || matches!(octet, b':' | b'[' | b']');
        let fits = !value.is_empty() && value.bytes().all(is_plain);
        return fits.then_some((Cow::Borrowed(value), rest));
    };
    let end = quoted.find(['"', '\\'])?;
    if quoted.as_bytes()[end] == b'"' {
        return Some((Cow::Borrowed(&quoted[..end]), &quoted[end + 1..]));
    }
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((place, character)) = characters.next() {
        match character {
            '"' => return Some((Cow::Owned(value), &quoted[place + 1..])),
            '\\' => value.push(characters.next()?.1),
            plain => value.push(plain),
        }
    }
    None
}

/// A node (RFC 7239 section 6): an address, or none for one that hides; nothing for what is no node.
fn node(text: &str) -> Option<Option<IpAddr>> {
    if let Some(address) = chain::address(text) {
        return Some(Some(address));
    }
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (text, None),
    };
    if port.is_some_and(|port| !is_port(port)) {
        return None;
    }
    let hides = name.eq_ignore_ascii_case("unknown") || is_obfuscated(name);
    // An address with an obfuscated port.
    let address = || chain::address(name).map(Some);
    if hides { Some(None) } else { address() }
}

fn is_port(text: &str) -> bool {
    let is_number = !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
    is_number || is_obfuscated(text)
}

fn is_obfuscated(text: &str) -> bool {
    let is_fine = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b'_' | b'-');
    text.len() > 1 && text.starts_with('_') && text.bytes().all(is_fine)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The elements' clients from right to left (`-`: hidden), and `!` where something was left unread.
    #[track_caller]
    fn check(line: &str, expected: &[&str]) {
        let mut elements = elements(line.as_bytes());
        let mut seen: Vec<String> = Vec::new();
        for element in elements.by_ref() {
            let client = element.client;
            seen.push(client.map_or_else(|| "-".to_owned(), |client| client.to_string()));
        }
        if elements.is_broken() {
            seen.push("!".to_owned());
        }
        assert_eq!(seen, expected, "{line}");
    }

    #[test]
    fn nodes_come_in_all_the_forms_of_the_standard() {
        check("for=192.0.2.60;proto=http;by=203.0.113.43", &["192.0.2.60"]);
        check("For=\"[2001:db8:cafe::17]:4711\"", &["2001:db8:cafe::17"]);
        check(
            "for=192.0.2.43, for=198.51.100.17",
            &["198.51.100.17", "192.0.2.43"],
        );
        check("for=\"192.0.2.43:47011\"", &["192.0.2.43"]);
        check("for=\"192.0.2.43:_port\"", &["192.0.2.43"]);
        check("for=\"[2001:db8::1]:_port\"", &["2001:db8::1"]);
        check("for=192.0.2.43:80", &["192.0.2.43"]);
        check("for=[2001:db8::1]", &["2001:db8::1"]);
        check("for=unknown", &["-"]);
        check("for=\"unknown:80\"", &["-"]);
        check("for=_gazonk", &["-"]);
        check("for=\"_mdn:_x\"", &["-"]);
        check("proto=https", &["-"]);
        check(" ; for=192.0.2.1 ;; proto=http; ,, ", &["192.0.2.1"]);
        check("for=\"192.0.2\\.1\"", &["192.0.2.1"]);
    }

    #[test]
    fn quoted_commas_do_not_divide() {
        check(
            "for=192.0.2.1;x=\"a, for=6.6.6.6, b\", for=192.0.2.2",
            &["192.0.2.2", "192.0.2.1"],
        );
        check(
            "x=\"a\\\", for=6.6.6.6;a=\\\"b\";for=192.0.2.1",
            &["192.0.2.1"],
        );
    }

    #[test]
    fn what_a_client_wrote_before_does_not_hide_what_a_proxy_wrote_behind_it() {
        check("for=\"6.6.6.6, for=192.0.2.7", &["192.0.2.7", "!"]);
        check("for=\", for=\"[2001:db8::7]:80\"", &["2001:db8::7", "!"]);
        check(
            "\\\"\", for=192.0.2.7, for=10.0.0.1",
            &["10.0.0.1", "192.0.2.7", "!"],
        );
        let far = format!("x=\"{}\", for=192.0.2.7", "a".repeat(ELEMENT_BYTES_MAX));
        check(&far, &["192.0.2.7", "!"]);
    }

    #[test]
    fn what_is_no_element_is_left_unread_with_all_before_it() {
        for broken in [
            "for",
            "for=",
            "=x",
            "for=a",
            "for=1.2.3",
            "for=\"1.2.3.4",
            "for=1.2.3.4 5",
            "f or=1",
            "for=_",
            "for=\"_a b\"",
            "for=1.2.3.4;for=1.2.3.5",
            "for=\"1.2.3.4:x\"",
            "for=\"\"",
            "for=\"unknown:\"",
            "\u{fc}=1",
            "for=1.2.3.4\"x\"",
        ] {
            check(broken, &["!"]);
            check(
                &format!("for=192.0.2.9,{broken},for=192.0.2.7"),
                &["192.0.2.7", "!"],
            );
        }
        let mut foreign = elements(b"for=192.0.2.9,for=\xff, for=192.0.2.7");
        assert_eq!(foreign.by_ref().count(), 1);
        assert!(foreign.is_broken());
    }

    proptest::proptest! {
        #[test]
        fn nothing_written_before_changes_the_last_element(before: String, octets: Vec<u8>) {
            let line = format!("{before}, for=192.0.2.7;proto=https");
            let read = elements(line.as_bytes()).next();
            proptest::prop_assert_eq!(read.and_then(|element| element.client), "192.0.2.7".parse().ok());
            // Ends, whatever it is given.
            let _count = elements(&octets).count();
        }
    }
}

//! Edits of a field map that keep the order of what stays: `HeaderMap::remove` would swap the last field into the hole.

use std::mem;

use bytes::Bytes;
use http::header::{Entry, HeaderMap};
use http::{HeaderName, HeaderValue};

/// What becomes of a field.
pub(super) enum Fate {
    Stay,
    Go,
}

/// Rebuilds the map from the lines that stay, in their order, with room for `more` of them.
pub(super) fn rebuild(headers: &mut HeaderMap, more: usize, fate: impl Fn(&HeaderName) -> Fate) {
    let room = headers.len() + more;
    let repeats = headers.len() != headers.keys_len();
    let old = mem::replace(headers, HeaderMap::with_capacity(room));
    let mut last: Option<HeaderName> = None;
    for (name, value) in old {
        let Some(name) = name.or_else(|| last.clone()) else {
            continue;
        };
        if repeats {
            last = Some(name.clone());
        }
        match fate(&name) {
            Fate::Stay => headers.append(name, value),
            Fate::Go => continue,
        };
    }
}

/// Drops the fields whose name fits; free when there is none.
pub(super) fn drop_where(headers: &mut HeaderMap, goes: impl Fn(&HeaderName) -> bool) {
    if headers.keys().any(&goes) {
        rebuild(headers, 0, |name| match goes(name) {
            true => Fate::Go,
            false => Fate::Stay,
        });
    }
}

/// Leaves the first line of a name whose lines all say the same.
pub(super) fn fold(headers: &mut HeaderMap, name: &HeaderName) {
    let repeats = headers.len() != headers.keys_len();
    if let (true, Some(first)) = (repeats, headers.get(name)) {
        let first = first.clone();
        headers.insert(name, first);
    }
}

/// Joins the lines of a name into one, at the first one's place.
pub(super) fn join(headers: &mut HeaderMap, name: &HeaderName, separator: &[u8]) {
    if let Some(value) = joined(headers, name, separator) {
        headers.insert(name, value);
    }
}

/// The lines of a name in one; none if there are not several.
pub(super) fn joined(
    headers: &HeaderMap,
    name: &HeaderName,
    separator: &[u8],
) -> Option<HeaderValue> {
    let mut lines = headers.get_all(name).iter();
    let mut text = lines.next()?.as_bytes().to_vec();
    let mut more = lines.peekable();
    more.peek()?;
    for line in more {
        text.extend_from_slice(separator);
        text.extend_from_slice(line.as_bytes());
    }
    HeaderValue::from_maybe_shared(Bytes::from(text)).ok()
}

/// Sets a field unless the map has one of its name.
pub(super) fn insert_missing(headers: &mut HeaderMap, name: HeaderName, value: &HeaderValue) {
    if let Entry::Vacant(vacant) = headers.entry(name) {
        vacant.insert(value.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_repeats_survive_a_drop() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("a", "1"),
            ("gone", "2"),
            ("b", "3"),
            ("a", "4"),
            ("gone", "5"),
            ("c", "6"),
            ("a", "7"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        drop_where(&mut headers, |name| name == "gone");
        let left: Vec<_> = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_bytes()))
            .collect();
        let expected: [(&str, &[u8]); 5] = [
            ("a", b"1"),
            ("a", b"4"),
            ("a", b"7"),
            ("b", b"3"),
            ("c", b"6"),
        ];
        assert_eq!(left, expected);
    }
}

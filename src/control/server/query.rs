//! Fields of a query, and octets that are escaped in a path or query (RFC 3986 section 2.1).

/// The value of the first field of this name. None: there is no such field, or its value is no text.
pub(super) fn field(query: Option<&str>, name: &str) -> Option<String> {
    let mut fields = query?.split('&').filter_map(|field| field.split_once('='));
    let (_name, value) = fields.find(|(found, _value)| *found == name)?;
    unescape(value)
}

/// None: an escape is broken, or what it stands for is no text.
pub(super) fn unescape(text: &str) -> Option<String> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        if octet != b'%' {
            octets.push(octet);
            continue;
        }
        let high = char::from(rest.next()?).to_digit(16)?;
        let low = char::from(rest.next()?).to_digit(16)?;
        octets.push(u8::try_from(16 * high + low).ok()?);
    }
    String::from_utf8(octets).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_and_unescaped() {
        #[track_caller]
        fn check(query: &str, expected: Option<&str>) {
            assert_eq!(field(Some(query), "url").as_deref(), expected, "{query}");
        }
        check("url=https://a.test/x?y", Some("https://a.test/x?y"));
        check("a=b&url=%68%3A%2f%26", Some("h:/&"));
        check("url=a%C3%A9+b", Some("aé+b"));
        check("url=", Some(""));
        check("curl=x", None);
        check("url", None);
        for broken in ["url=%", "url=%4", "url=%zz", "url=%+1", "url=%ff"] {
            check(broken, None);
        }
        assert_eq!(field(None, "url"), None);
    }
}

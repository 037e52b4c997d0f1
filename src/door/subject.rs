//! The subject of a certificate as text, after RFC 4514, in printable ASCII alone: what lies outside is escaped octet by octet, so
//! that a field value neither breaks nor depends on who reads it.

use std::fmt::Write as _;

use x509_parser::asn1_rs::{Any, Class, Tag, ToDer as _};
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

/// Names of attributes that have one (RFC 4519, RFC 2985), as OpenSSL writes them.
const NAMES: [(&str, &str); 17] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.4", "SN"),
    ("2.5.4.5", "serialNumber"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "STREET"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.12", "title"),
    ("2.5.4.42", "GN"),
    ("2.5.4.43", "initials"),
    ("2.5.4.46", "dnQualifier"),
    ("2.5.4.65", "pseudonym"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
];

/// The most specific part first, parts divided by commas. None: it does not follow its own encoding.
#[must_use]
pub(super) fn text(name: &X509Name<'_>) -> Option<String> {
    let mut text = String::new();
    let parts: Vec<_> = name.iter_rdn().collect();
    for (index, part) in parts.iter().rev().enumerate() {
        if index > 0 {
            text.push(',');
        }
        for (index, attribute) in part.iter().enumerate() {
            if index > 0 {
                text.push('+');
            }
            push_attribute(&mut text, attribute)?;
        }
    }
    Some(text)
}

fn push_attribute(text: &mut String, attribute: &AttributeTypeAndValue<'_>) -> Option<()> {
    let oid = attribute.attr_type().to_id_string();
    let named = NAMES.iter().find(|(known, _name)| *known == oid);
    let value = attribute.attr_value();
    match (named, characters(value)) {
        (Some((_, name)), Some(characters)) => {
            text.push_str(name);
            text.push('=');
            push_escaped(text, &characters);
        }
        (named, _) => {
            text.push_str(named.map_or(&oid, |(_, name)| name));
            text.push_str("=#");
            for octet in value.to_der_vec().ok()? {
                push_digits(text, octet);
            }
        }
    }
    Some(())
}

/// What a value of one of the string types says; none: it is of another, or no such string.
fn characters(value: &Any<'_>) -> Option<String> {
    if value.class() != Class::Universal {
        return None;
    }
    let octets = value.as_bytes();
    match value.tag() {
        Tag::Utf8String => str::from_utf8(octets).ok().map(str::to_owned),
        Tag::PrintableString | Tag::Ia5String | Tag::NumericString | Tag::VisibleString => {
            let text = str::from_utf8(octets).ok()?;
            text.is_ascii().then(|| text.to_owned())
        }
        // In practice these hold Latin-1.
        Tag::T61String => Some(octets.iter().map(|octet| char::from(*octet)).collect()),
        Tag::BmpString => {
            let (pairs, []) = octets.as_chunks::<2>() else {
                return None;
            };
            let units: Vec<u16> = pairs.iter().map(|pair| u16::from_be_bytes(*pair)).collect();
            String::from_utf16(&units).ok()
        }
        Tag::UniversalString => {
            let (fours, []) = octets.as_chunks::<4>() else {
                return None;
            };
            let scalars = fours.iter().map(|four| u32::from_be_bytes(*four));
            scalars.map(char::from_u32).collect()
        }
        _ => None,
    }
}

/// RFC 4514 section 2.4.
fn push_escaped(text: &mut String, value: &str) {
    let last = value.len().saturating_sub(1);
    for (index, octet) in value.bytes().enumerate() {
        let special = match octet {
            b'"' | b'+' | b',' | b';' | b'<' | b'>' | b'\\' => true,
            b'#' => index == 0,
            b' ' => index == 0 || index == last,
            _ => false,
        };
        if special {
            text.push('\\');
            text.push(char::from(octet));
        } else if octet == b' ' || octet.is_ascii_graphic() {
            text.push(char::from(octet));
        } else {
            text.push('\\');
            push_digits(text, octet);
        }
    }
}

fn push_digits(text: &mut String, octet: u8) {
    // Writing to a string does not fail.
    let _written = write!(text, "{octet:02x}");
}

#[cfg(test)]
mod tests {
    use x509_parser::prelude::FromDer as _;

    use super::*;

    fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
        let content = parts.concat();
        let length = u8::try_from(content.len()).unwrap();
        let head = if length < 128 {
            vec![tag, length]
        } else {
            vec![tag, 0x81, length]
        };
        [head, content].concat()
    }

    const CN: &[u8] = &[6, 3, 85, 4, 3];
    const O: &[u8] = &[6, 3, 85, 4, 10];
    const UTF8: u8 = 0x0c;

    fn attribute(oid: &[u8], tag: u8, value: &[u8]) -> Vec<u8> {
        tlv(0x30, &[oid, &tlv(tag, &[value])])
    }

    fn name(parts: &[&[Vec<u8>]]) -> Vec<u8> {
        let parts: Vec<Vec<u8>> = parts
            .iter()
            .map(|attributes| tlv(0x31, &[&attributes.concat()]))
            .collect();
        tlv(0x30, &[&parts.concat()])
    }

    #[track_caller]
    fn check(der: &[u8], expected: &str) {
        let (_, name) = X509Name::from_der(der).unwrap();
        assert_eq!(text(&name).as_deref(), Some(expected));
    }

    #[track_caller]
    fn check_value(tag: u8, value: &[u8], expected: &str) {
        let der = name(&[&[attribute(CN, tag, value)]]);
        check(&der, &format!("CN={expected}"));
    }

    #[test]
    fn parts_are_turned_around_and_joined() {
        let parts: [&[Vec<u8>]; 3] = [
            &[attribute(&[6, 3, 85, 4, 6], 0x13, b"DE")],
            &[attribute(O, UTF8, b"Acme")],
            &[attribute(CN, UTF8, b"ada"), attribute(O, UTF8, b"x")],
        ];
        check(&name(&parts), "CN=ada+O=x,O=Acme,C=DE");
        check(&name(&[]), "");
        check_value(UTF8, b"", "");
    }

    #[test]
    fn what_has_a_meaning_is_escaped() {
        check_value(UTF8, b"Sales, East+West", "Sales\\, East\\+West");
        check_value(UTF8, b" a b ", "\\ a b\\ ");
        check_value(UTF8, b"#1 #2", "\\#1 #2");
        check_value(UTF8, b"a\\b\"<>;=c", "a\\\\b\\\"\\<\\>\\;=c");
        check_value(UTF8, b" ", "\\ ");
    }

    #[test]
    fn what_is_not_printable_ascii_is_escaped_by_octets() {
        check_value(UTF8, "Lučić".as_bytes(), "Lu\\c4\\8di\\c4\\87");
        check_value(UTF8, b"a\r\nX-Admin: 1\0", "a\\0d\\0aX-Admin: 1\\00");
        check_value(UTF8, b"\x7f", "\\7f");
    }

    #[test]
    fn old_string_types_are_read() {
        check_value(0x13, b"plain", "plain");
        check_value(0x16, b"a@b.test", "a@b.test");
        check_value(0x14, b"caf\xe9", "caf\\c3\\a9");
        check_value(0x1e, b"\0a\x01\x0d", "a\\c4\\8d");
        check_value(0x1c, b"\0\0\0a\0\x01\xf6\0", "a\\f0\\9f\\98\\80");
    }

    #[test]
    fn what_is_unknown_or_no_string_is_shown_as_it_is() {
        let unknown = [6, 3, 42, 3, 4];
        let der = name(&[&[attribute(&unknown, UTF8, b"hi")]]);
        check(&der, "1.2.3.4=#0c026869");
        check_value(UTF8, b"\xff", "#0c01ff");
        check_value(0x1e, b"\0", "#1e0100");
        check_value(0x1e, b"\xd8\0", "#1e02d800");
        check_value(0x04, b"ab", "#04026162");
    }
}

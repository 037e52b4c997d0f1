//! One request as the access log tells it, and the three forms it may take. Nothing here allocates in steady state.

use std::time::Duration;

use super::stamp::Stamp;
use super::{combined, json, text};

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people: short, without `Referer` and `User-Agent`.
    Text,
    /// One JSON object a line, with everything that is known.
    Json,
    /// The combined format of Apache and nginx.
    Combined,
}

/// What a client spoke: a version of HTTP, or what is carried in a tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    Http10,
    Http11,
    Http2,
    /// Unopened.
    Tls,
    Tcp,
}

impl Version {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Http10 => "HTTP/1.0",
            Self::Http11 => "HTTP/1.1",
            Self::Http2 => "HTTP/2",
            Self::Tls => "TLS",
            Self::Tcp => "TCP",
        }
    }
}

/// One exchange, or one tunnel, at its end. Octets that a client chose may be anything.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// When it ended.
    pub unix_millis: u64,
    /// The client's address, without a port.
    pub peer: &'a str,
    /// Who logged in.
    pub user: Option<&'a str>,
    pub site: &'a str,
    /// Empty for a tunnel, as is its target.
    pub method: &'a str,
    pub host: &'a [u8],
    /// Path and query as the client sent them.
    pub target: &'a [u8],
    pub version: Version,
    /// For a tunnel 200 if its target was reached, else 502.
    pub status: u16,
    /// Octets of the response's body, or carried to the client.
    pub sent: u64,
    /// Octets of the request's body, or carried from the client.
    pub received: u64,
    pub duration: Duration,
    /// The upstream that answered, or was asked.
    pub target_address: Option<&'a str>,
    pub request_id: &'a str,
    pub referer: Option<&'a [u8]>,
    pub user_agent: Option<&'a [u8]>,
    /// Version and suite.
    pub tls: Option<&'a str>,
    /// A stable code for what went wrong; none when nothing did.
    pub outcome: Option<&'a str>,
}

/// Octets that a request's target may take in a line.
pub(super) const TARGET_BYTES_MAX: usize = 8 << 10;
/// Octets that any other field may take in a line.
pub(super) const FIELD_BYTES_MAX: usize = 2 << 10;
/// No line is longer: the target, ten other fields, and what stands between them.
pub(super) const LINE_BYTES_MAX: usize = 32 << 10;

const FIELDS: usize = 10;
const BETWEEN_BYTES_MAX: usize = 1 << 10;
const _: () =
    assert!(TARGET_BYTES_MAX + FIELDS * FIELD_BYTES_MAX + BETWEEN_BYTES_MAX <= LINE_BYTES_MAX);

/// Appends `record` and a line feed: at most [`LINE_BYTES_MAX`] octets.
pub(super) fn line(out: &mut Vec<u8>, stamp: &mut Stamp, format: Format, record: &Record<'_>) {
    match format {
        Format::Text => text::line(out, stamp, record),
        Format::Json => json::line(out, stamp, record),
        Format::Combined => combined::line(out, stamp, record),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A record with every field filled.
    pub(in super::super) fn full() -> Record<'static> {
        Record {
            unix_millis: 1_795_309_323_456,
            peer: "192.0.2.7",
            user: Some("ada"),
            site: "*.example.com",
            method: "GET",
            host: b"dao.example.com",
            target: b"/a?b=\"c\"",
            version: Version::Http2,
            status: 502,
            sent: 1234,
            received: 5,
            duration: Duration::from_micros(12_345),
            target_address: Some("localhost:9998"),
            request_id: "01890a5d",
            referer: Some(b"https://example.com/\x1b"),
            user_agent: Some("curl/8 \u{e4}".as_bytes()),
            tls: Some("TLSv1.3"),
            outcome: Some("upstream-refused"),
        }
    }

    /// A tunnel that came to nothing.
    pub(in super::super) fn tunnel() -> Record<'static> {
        Record {
            user: None,
            method: "",
            target: b"",
            version: Version::Tls,
            request_id: "",
            referer: None,
            user_agent: None,
            tls: None,
            ..full()
        }
    }

    /// The line of `record`, with its line feed.
    pub(in super::super) fn written(format: Format, record: &Record<'_>) -> String {
        let mut out = Vec::new();
        line(&mut out, &mut Stamp::new(), format, record);
        String::from_utf8(out).unwrap()
    }

    const FORMATS: [Format; 3] = [Format::Text, Format::Json, Format::Combined];

    #[test]
    fn the_longest_line_keeps_its_limit() {
        for octet in [b'a', b'\n', 0xff] {
            let long = vec![octet; 64 << 10];
            let name = "\u{9b}".repeat(64 << 10);
            let record = Record {
                unix_millis: u64::MAX,
                peer: "2001:db8:1111:2222:3333:4444:5555:6666",
                user: Some(&name),
                site: &name,
                method: &name,
                host: &long,
                target: &long,
                version: Version::Http11,
                status: u16::MAX,
                sent: u64::MAX,
                received: u64::MAX,
                duration: Duration::MAX,
                target_address: Some(&name),
                request_id: &name,
                referer: Some(&long),
                user_agent: Some(&long),
                tls: Some(&name),
                outcome: Some(&name),
            };
            for format in FORMATS {
                assert!(written(format, &record).len() <= LINE_BYTES_MAX);
            }
        }
    }

    proptest! {
        #[test]
        fn no_client_forges_a_line(octets: Vec<u8>, text: String, status: u16) {
            let record = Record {
                method: &text,
                host: &octets,
                target: &octets,
                request_id: &text,
                user: Some(&text),
                referer: Some(&octets),
                user_agent: Some(&octets),
                status,
                ..full()
            };
            for format in FORMATS {
                let line = written(format, &record);
                let inside = line.strip_suffix('\n').unwrap();
                prop_assert!(!inside.chars().any(char::is_control));
            }
            let json: serde_json::Value = serde_json::from_str(&written(Format::Json, &record)).unwrap();
            prop_assert_eq!(&json["status"], status);
            prop_assert_eq!(written(Format::Combined, &record).matches('"').count(), 6);
        }
    }
}

//! The access log for people: `time peer method address version status size duration`, then what is worth saying as `key=value`.

use super::decimal;
use super::escape::{self, Place};
use super::record::{FIELD_BYTES_MAX, Record, TARGET_BYTES_MAX};
use super::stamp::Stamp;

pub(super) fn line(out: &mut Vec<u8>, stamp: &mut Stamp, record: &Record<'_>) {
    stamp.iso(out, record.unix_millis);
    out.push(b' ');
    out.extend_from_slice(record.peer.as_bytes());
    out.push(b' ');
    word(out, record.method.as_bytes());
    out.push(b' ');
    field(out, record.host);
    escape::plain(out, record.target, Place::Bare, TARGET_BYTES_MAX);
    out.push(b' ');
    out.extend_from_slice(record.version.name().as_bytes());
    out.push(b' ');
    decimal::number(out, record.status.into());
    out.push(b' ');
    decimal::number(out, record.sent);
    out.extend_from_slice(b"B ");
    decimal::milliseconds(out, record.duration);
    out.extend_from_slice(b"ms");
    if let Some(upstream) = record.target_address {
        pair(out, b" to=", upstream);
    }
    if record.received > 0 {
        out.extend_from_slice(b" received=");
        decimal::number(out, record.received);
        out.push(b'B');
    }
    if record.site.as_bytes() != record.host {
        pair(out, b" site=", record.site);
    }
    if let Some(outcome) = record.outcome {
        pair(out, b" outcome=", outcome);
    }
    if !record.request_id.is_empty() {
        pair(out, b" id=", record.request_id);
    }
    out.push(b'\n');
}

fn pair(out: &mut Vec<u8>, key: &[u8], value: &str) {
    out.extend_from_slice(key);
    field(out, value.as_bytes());
}

/// A field that others stand behind: an empty one is a dash, so that columns stay where they are.
fn word(out: &mut Vec<u8>, octets: &[u8]) {
    match octets {
        [] => out.push(b'-'),
        octets => field(out, octets),
    }
}

fn field(out: &mut Vec<u8>, octets: &[u8]) {
    escape::plain(out, octets, Place::Bare, FIELD_BYTES_MAX);
}

#[cfg(test)]
mod tests {
    use super::super::record::Format;
    use super::super::record::tests::{full, tunnel, written};
    use super::*;

    #[test]
    fn everything_worth_saying_is_said() {
        assert_eq!(
            written(Format::Text, &full()),
            "2026-11-22T01:02:03.456Z 192.0.2.7 GET dao.example.com/a?b=\\x22c\\x22 HTTP/2 502 1234B 12.345ms \
             to=localhost:9998 received=5B site=*.example.com outcome=upstream-refused id=01890a5d\n"
        );
    }

    #[test]
    fn a_tunnel_has_its_name_and_no_method() {
        assert_eq!(
            written(Format::Text, &tunnel()),
            "2026-11-22T01:02:03.456Z 192.0.2.7 - dao.example.com TLS 502 1234B 12.345ms \
             to=localhost:9998 received=5B site=*.example.com outcome=upstream-refused\n"
        );
    }

    #[test]
    fn a_plain_success_is_short() {
        let record = Record {
            site: "dao.example.com",
            received: 0,
            target: b"/",
            status: 200,
            outcome: None,
            target_address: None,
            request_id: "",
            peer: "192.0.2.7",
            ..full()
        };
        assert_eq!(
            written(Format::Text, &record),
            "2026-11-22T01:02:03.456Z 192.0.2.7 GET dao.example.com/ HTTP/2 200 1234B 12.345ms\n"
        );
    }
}

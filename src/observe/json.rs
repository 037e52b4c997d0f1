//! The access log as JSON: one object a line, keys in a fixed order, absent things left out.

use super::record::{FIELD_BYTES_MAX, Record, TARGET_BYTES_MAX};
use super::stamp::Stamp;
use super::{decimal, escape};

pub(super) fn line(out: &mut Vec<u8>, stamp: &mut Stamp, record: &Record<'_>) {
    out.extend_from_slice(b"{\"time\":\"");
    stamp.iso(out, record.unix_millis);
    out.extend_from_slice(b"\",\"peer\":\"");
    out.extend_from_slice(record.peer.as_bytes());
    out.push(b'"');
    if let Some(user) = record.user {
        text(out, b",\"user\":\"", user.as_bytes());
    }
    text(out, b",\"site\":\"", record.site.as_bytes());
    if !record.method.is_empty() {
        text(out, b",\"method\":\"", record.method.as_bytes());
    }
    text(out, b",\"host\":\"", record.host);
    if !record.target.is_empty() {
        out.extend_from_slice(b",\"target\":\"");
        escape::json(out, record.target, TARGET_BYTES_MAX);
        out.push(b'"');
    }
    text(out, b",\"version\":\"", record.version.name().as_bytes());
    number(out, b",\"status\":", record.status.into());
    number(out, b",\"sent\":", record.sent);
    number(out, b",\"received\":", record.received);
    out.extend_from_slice(b",\"duration_ms\":");
    decimal::milliseconds(out, record.duration);
    let optional: [(&[u8], Option<&[u8]>); 6] = [
        (
            b",\"upstream\":\"",
            record.target_address.map(str::as_bytes),
        ),
        (
            b",\"request_id\":\"",
            Some(record.request_id.as_bytes()).filter(|id| !id.is_empty()),
        ),
        (b",\"referer\":\"", record.referer),
        (b",\"user_agent\":\"", record.user_agent),
        (b",\"tls\":\"", record.tls.map(str::as_bytes)),
        (b",\"outcome\":\"", record.outcome.map(str::as_bytes)),
    ];
    for (key, value) in optional {
        if let Some(value) = value {
            text(out, key, value);
        }
    }
    out.extend_from_slice(b"}\n");
}

/// `key` ends with the opening quote of its value.
fn text(out: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    out.extend_from_slice(key);
    escape::json(out, value, FIELD_BYTES_MAX);
    out.push(b'"');
}

fn number(out: &mut Vec<u8>, key: &[u8], value: u64) {
    out.extend_from_slice(key);
    decimal::number(out, value);
}

#[cfg(test)]
mod tests {
    use super::super::record::Format;
    use super::super::record::tests::{full, tunnel, written};
    use super::*;

    #[test]
    fn every_field_has_its_key() {
        let line = written(Format::Json, &full());
        let expected = serde_json::json!({
            "time": "2026-11-22T01:02:03.456Z", "peer": "192.0.2.7", "user": "ada", "site": "*.example.com", "method": "GET",
            "host": "dao.example.com", "target": "/a?b=\"c\"", "version": "HTTP/2", "status": 502, "sent": 1234,
            "received": 5, "duration_ms": 12.345, "upstream": "localhost:9998", "request_id": "01890a5d",
            "referer": "https://example.com/\u{1b}", "user_agent": "curl/8 ä", "tls": "TLSv1.3",
            "outcome": "upstream-refused",
        });
        let parsed: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(parsed, expected);
    }

    #[test]
    fn a_tunnel_has_neither_method_nor_target() {
        let expected = serde_json::json!({
            "time": "2026-11-22T01:02:03.456Z", "peer": "192.0.2.7", "site": "*.example.com",
            "host": "dao.example.com", "version": "TLS", "status": 502, "sent": 1234, "received": 5,
            "duration_ms": 12.345, "upstream": "localhost:9998", "outcome": "upstream-refused",
        });
        let line = written(Format::Json, &tunnel());
        let parsed: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(parsed, expected);
    }

    #[test]
    fn absent_things_are_left_out() {
        let record = Record {
            target_address: None,
            request_id: "",
            referer: None,
            user_agent: None,
            tls: None,
            outcome: None,
            ..full()
        };
        assert!(written(Format::Json, &record).ends_with("\"duration_ms\":12.345}\n"));
    }
}

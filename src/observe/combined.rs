//! The access log in the combined format, escaped as nginx escapes it.

use super::decimal;
use super::escape::{self, Place};
use super::record::{FIELD_BYTES_MAX, Record, TARGET_BYTES_MAX, Version};
use super::stamp::Stamp;

pub(super) fn line(out: &mut Vec<u8>, stamp: &mut Stamp, record: &Record<'_>) {
    out.extend_from_slice(record.peer.as_bytes());
    out.extend_from_slice(b" - - [");
    stamp.combined(out, record.unix_millis);
    out.extend_from_slice(b"] \"");
    escape::plain(
        out,
        record.method.as_bytes(),
        Place::Quoted,
        FIELD_BYTES_MAX,
    );
    out.push(b' ');
    escape::plain(out, record.target, Place::Quoted, TARGET_BYTES_MAX);
    out.extend_from_slice(match record.version {
        Version::Http10 => b" HTTP/1.0\" ",
        Version::Http11 => b" HTTP/1.1\" ",
        Version::Http2 => b" HTTP/2.0\" ",
    });
    decimal::number(out, record.status.into());
    out.push(b' ');
    decimal::number(out, record.sent);
    for field in [record.referer, record.user_agent] {
        out.extend_from_slice(b" \"");
        escape::plain(out, field.unwrap_or(b"-"), Place::Quoted, FIELD_BYTES_MAX);
        out.push(b'"');
    }
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::super::record::Format;
    use super::super::record::tests::{full, written};
    use super::*;

    #[test]
    fn a_line_is_what_log_analysers_expect() {
        assert_eq!(
            written(Format::Combined, &full()),
            "192.0.2.7 - - [22/Nov/2026:01:02:03 +0000] \"GET /a?b=\\x22c\\x22 HTTP/2.0\" 502 1234 \
             \"https://example.com/\\x1B\" \"curl/8 \\xC3\\xA4\"\n"
        );
        let bare = Record {
            referer: None,
            user_agent: None,
            ..full()
        };
        assert!(written(Format::Combined, &bare).ends_with(" 1234 \"-\" \"-\"\n"));
    }
}

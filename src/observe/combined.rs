//! The access log in the combined format, escaped as nginx escapes it.

use super::decimal;
use super::escape::{self, Place};
use super::record::{FIELD_BYTES_MAX, Record, TARGET_BYTES_MAX, Version};
use super::stamp::Stamp;

pub(super) fn line(out: &mut Vec<u8>, stamp: &mut Stamp, record: &Record<'_>) {
    out.extend_from_slice(record.peer.as_bytes());
    out.extend_from_slice(b" - ");
    let user = record.user.filter(|user| !user.is_empty());
    let user = user.unwrap_or("-").as_bytes();
    escape::plain(out, user, Place::Bare, FIELD_BYTES_MAX);
    out.extend_from_slice(b" [");
    stamp.combined(out, record.unix_millis);
    out.extend_from_slice(b"] \"");
    // A tunnel has no request line: its name stands where a CONNECT would have it.
    let method = Some(record.method).filter(|method| !method.is_empty());
    let method = method.unwrap_or("-").as_bytes();
    escape::plain(out, method, Place::Quoted, FIELD_BYTES_MAX);
    out.push(b' ');
    let target = Some(record.target).filter(|target| !target.is_empty());
    let target = target.unwrap_or(record.host);
    escape::plain(out, target, Place::Quoted, TARGET_BYTES_MAX);
    out.push(b' ');
    out.extend_from_slice(match record.version {
        Version::Http2 => b"HTTP/2.0",
        other @ (Version::Http10 | Version::Http11 | Version::Tls | Version::Tcp) => {
            other.name().as_bytes()
        }
    });
    out.extend_from_slice(b"\" ");
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
    use super::super::record::tests::{full, tunnel, written};
    use super::*;

    #[test]
    fn a_line_is_what_log_analysers_expect() {
        assert_eq!(
            written(Format::Combined, &full()),
            "192.0.2.7 - ada [22/Nov/2026:01:02:03 +0000] \"GET /a?b=\\x22c\\x22 HTTP/2.0\" 502 1234 \
             \"https://example.com/\\x1B\" \"curl/8 \\xC3\\xA4\"\n"
        );
        assert_eq!(
            written(Format::Combined, &tunnel()),
            "192.0.2.7 - - [22/Nov/2026:01:02:03 +0000] \"- dao.example.com TLS\" 502 1234 \"-\" \"-\"\n"
        );
        let bare = Record {
            referer: None,
            user_agent: None,
            ..full()
        };
        assert!(written(Format::Combined, &bare).ends_with(" 1234 \"-\" \"-\"\n"));
    }
}

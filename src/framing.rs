//! How long a body is: `Content-Length` and `Transfer-Encoding`, read as a strict second parser would.

use http::HeaderMap;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};

/// How a message's body is delimited, whatever the library made of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// No body.
    Empty,
    /// `Content-Length`.
    Length(u64),
    /// Chunks in HTTP/1.1, DATA frames of unknown number in HTTP/2.
    Open,
}

/// Why a message cannot be framed with certainty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FramingFault {
    /// `Content-Length` is no plain number, or there are several that differ.
    BadLength,
    /// `Transfer-Encoding` is not exactly one `chunked`.
    BadCoding,
    /// `Transfer-Encoding` names a coding that is not spoken here.
    UnknownCoding,
    /// Both fields at once.
    Both,
}

impl Framing {
    /// The framing that the fields ask for; [`Framing::Empty`] when they are silent (RFC 9112 section 6).
    ///
    /// # Errors
    /// Whatever two parsers could read in two ways.
    pub fn of(headers: &HeaderMap) -> Result<Self, FramingFault> {
        match (coding(headers)?, content_length(headers)?) {
            (Coding::None, None) => Ok(Self::Empty),
            (Coding::None, Some(length)) => Ok(Self::Length(length)),
            (Coding::Chunked, None) => Ok(Self::Open),
            (Coding::Chunked, Some(_)) => Err(FramingFault::Both),
        }
    }
}

/// The one length that all `Content-Length` lines agree on. A list within a line is refused: nobody honest sends one.
fn content_length(headers: &HeaderMap) -> Result<Option<u64>, FramingFault> {
    let mut agreed = None;
    for line in headers.get_all(CONTENT_LENGTH) {
        let length = digits(line.as_bytes()).ok_or(FramingFault::BadLength)?;
        if agreed.is_some_and(|earlier| earlier != length) {
            return Err(FramingFault::BadLength);
        }
        agreed = Some(length);
    }
    Ok(agreed)
}

/// The number that plain digits say, if it fits; `str::parse` would take a sign.
#[must_use]
pub fn digits(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u64, |number, byte| {
        if !byte.is_ascii_digit() {
            return None;
        }
        number.checked_mul(10)?.checked_add(u64::from(byte - b'0'))
    })
}

enum Coding {
    None,
    Chunked,
}

fn coding(headers: &HeaderMap) -> Result<Coding, FramingFault> {
    let mut lines = headers.get_all(TRANSFER_ENCODING).iter();
    let Some(line) = lines.next() else {
        return Ok(Coding::None);
    };
    if lines.next().is_some() {
        return Err(FramingFault::BadCoding);
    }
    if line.as_bytes().eq_ignore_ascii_case(b"chunked") {
        return Ok(Coding::Chunked);
    }
    let names_another = line
        .as_bytes()
        .split(|byte| *byte == b',')
        .map(<[u8]>::trim_ascii)
        .any(|coding| is_token(coding) && !coding.eq_ignore_ascii_case(b"chunked"));
    Err(if names_another {
        FramingFault::UnknownCoding
    } else {
        FramingFault::BadCoding
    })
}

/// Whether a text is a token (RFC 9110 section 5.6.2).
#[must_use]
pub fn is_token(text: &[u8]) -> bool {
    let is_tchar = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !text.is_empty() && text.iter().all(is_tchar)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[track_caller]
    fn check(fields: &[(&'static str, &'static str)], expected: Result<Framing, FramingFault>) {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        assert_eq!(Framing::of(&headers), expected, "{fields:?}");
    }

    #[test]
    fn lengths_are_plain_digits_that_agree() {
        let length = |value| ("content-length", value);
        check(&[], Ok(Framing::Empty));
        check(&[length("0")], Ok(Framing::Length(0)));
        check(&[length("42"), length("42")], Ok(Framing::Length(42)));
        check(&[length("007")], Ok(Framing::Length(7)));
        for bad in [
            "",
            "+1",
            "-1",
            "1 2",
            "1,1",
            "0x10",
            "1.0",
            "18446744073709551616",
            "1e3",
            "\t1",
        ] {
            check(&[length(bad)], Err(FramingFault::BadLength));
        }
        check(&[length("1"), length("2")], Err(FramingFault::BadLength));
        check(&[length("1"), length("x")], Err(FramingFault::BadLength));
    }

    #[test]
    fn transfer_encoding_is_exactly_one_chunked() {
        let coding = |value| ("transfer-encoding", value);
        check(&[coding("chunked")], Ok(Framing::Open));
        check(&[coding("Chunked")], Ok(Framing::Open));
        for odd in [
            "chunked, chunked",
            ",chunked",
            "chunked,",
            "",
            "chunked;",
            "\u{b}chunked",
        ] {
            if HeaderValue::from_str(odd).is_ok() {
                check(&[coding(odd)], Err(FramingFault::BadCoding));
            }
        }
        check(
            &[coding("chunked"), coding("chunked")],
            Err(FramingFault::BadCoding),
        );
        for unknown in [
            "gzip, chunked",
            "gzip",
            "identity",
            "chunked, br",
            "xchunked",
        ] {
            check(&[coding(unknown)], Err(FramingFault::UnknownCoding));
        }
    }

    #[test]
    fn two_framings_at_once_are_refused() {
        check(
            &[("content-length", "3"), ("transfer-encoding", "chunked")],
            Err(FramingFault::Both),
        );
    }
}

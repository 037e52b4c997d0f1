//! Reading a chunked body (RFC 9112 section 7.1), as strictly as a parser in front of others must.

use std::fmt;

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};

/// Octets of a chunk's first line, extensions included.
const LINE_OCTETS_MAX: usize = 1024;
/// Octets of extensions in a whole body: they are dropped, and cost all the same.
const EXTENSION_OCTETS_MAX: usize = 16 << 10;
/// Hexadecimal digits of a chunk's size.
const SIZE_DIGITS_MAX: usize = 16;
/// Octets, and fields, of the trailers.
const TRAILER_OCTETS_MAX: usize = 16 << 10;
const TRAILER_FIELDS_MAX: usize = 64;

/// How far a chunked body was read.
#[derive(Debug)]
pub(super) struct Chunks {
    place: Place,
    extensions: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before a chunk's first line.
    Line,
    /// So many octets before a chunk's end.
    Inside(u64),
    /// Before the line end that closes a chunk.
    After,
    /// Before the trailers, or the empty line in their place.
    Trailers,
}

/// What comes next in a body.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    Piece(Bytes),
    Trailers(HeaderMap),
    End,
    /// Not to be said without more octets.
    Unread,
}

/// Why a body is not chunked, whatever its head says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BadChunk {
    Line,
    End,
    Trailers,
    TooLarge,
}

impl Default for Chunks {
    fn default() -> Self {
        Self {
            place: Place::Line,
            extensions: 0,
        }
    }
}

impl Chunks {
    /// Takes the next part of the body out of `input`.
    pub(super) fn next(&mut self, input: &mut BytesMut) -> Result<Next, BadChunk> {
        loop {
            match self.place {
                Place::Line => {
                    let Some(size) = self.line(input)? else {
                        return Ok(Next::Unread);
                    };
                    self.place = if size == 0 {
                        Place::Trailers
                    } else {
                        Place::Inside(size)
                    };
                }
                Place::Inside(left) => return Ok(self.piece(input, left)),
                Place::After => {
                    if input.len() < 2 {
                        return Ok(Next::Unread);
                    }
                    if !input.starts_with(b"\r\n") {
                        return Err(BadChunk::End);
                    }
                    input.advance(2);
                    self.place = Place::Line;
                }
                Place::Trailers => return trailers(input),
            }
        }
    }

    /// Takes the end of the body if nothing else is before it: so the last piece is known to be the last.
    pub(super) fn ends(&self, input: &mut BytesMut) -> bool {
        let last = b"\r\n0\r\n\r\n";
        let is_last = self.place == Place::After && input.starts_with(last);
        if is_last {
            input.advance(last.len());
        }
        is_last
    }

    fn piece(&mut self, input: &mut BytesMut, left: u64) -> Next {
        if input.is_empty() {
            return Next::Unread;
        }
        let here = usize::try_from(left).map_or(input.len(), |left| left.min(input.len()));
        let left = left - here as u64;
        self.place = if left == 0 {
            Place::After
        } else {
            Place::Inside(left)
        };
        Next::Piece(input.split_to(here).freeze())
    }

    /// The size that a chunk's first line tells, once the line is there.
    fn line(&mut self, input: &mut BytesMut) -> Result<Option<u64>, BadChunk> {
        let Some(end) = input.iter().position(|octet| *octet == b'\n') else {
            return if input.len() > LINE_OCTETS_MAX {
                Err(BadChunk::TooLarge)
            } else {
                Ok(None)
            };
        };
        let line = input[..end].strip_suffix(b"\r").ok_or(BadChunk::Line)?;
        let digits = line
            .iter()
            .position(|octet| !octet.is_ascii_hexdigit())
            .unwrap_or(line.len());
        let (size, extension) = line.split_at(digits);
        if !(1..=SIZE_DIGITS_MAX).contains(&size.len()) || !is_extension(extension) {
            return Err(BadChunk::Line);
        }
        self.extensions += extension.len();
        if end > LINE_OCTETS_MAX || self.extensions > EXTENSION_OCTETS_MAX {
            return Err(BadChunk::TooLarge);
        }
        let size = size
            .iter()
            .fold(0_u64, |size, digit| size << 4 | u64::from(hex(*digit)));
        input.advance(end + 1);
        Ok(Some(size))
    }
}

/// The value of a hexadecimal digit.
fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}

/// Whether what follows a size is nothing, or an extension without octets that could end a line for somebody.
fn is_extension(text: &[u8]) -> bool {
    let is_printed = |octet: &u8| *octet == b'\t' || !octet.is_ascii_control();
    let mut after_space = text
        .iter()
        .skip_while(|octet| matches!(octet, b' ' | b'\t'));
    matches!(after_space.next(), None | Some(b';')) && after_space.all(is_printed)
}

fn trailers(input: &mut BytesMut) -> Result<Next, BadChunk> {
    if input.starts_with(b"\r\n") {
        input.advance(2);
        return Ok(Next::End);
    }
    let mut space = [httparse::EMPTY_HEADER; TRAILER_FIELDS_MAX];
    let (length, fields) = match httparse::parse_headers(input, &mut space) {
        Ok(httparse::Status::Complete(done)) => done,
        Ok(httparse::Status::Partial) if input.len() <= TRAILER_OCTETS_MAX => {
            return Ok(Next::Unread);
        }
        Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => {
            return Err(BadChunk::TooLarge);
        }
        Err(_) => return Err(BadChunk::Trailers),
    };
    let mut map = HeaderMap::with_capacity(fields.len());
    for field in fields {
        let name = HeaderName::from_bytes(field.name.as_bytes());
        let value = HeaderValue::from_bytes(field.value);
        let (Ok(name), Ok(value)) = (name, value) else {
            return Err(BadChunk::Trailers);
        };
        map.append(name, value);
    }
    input.advance(length);
    Ok(Next::Trailers(map))
}

impl fmt::Display for BadChunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Line => "a chunk has no valid size",
            Self::End => "a chunk does not end where its size says",
            Self::Trailers => "the trailers are no fields",
            Self::TooLarge => "a chunk's first line, its extensions or the trailers are too large",
        })
    }
}

impl std::error::Error for BadChunk {}

#[cfg(test)]
mod tests {
    use super::*;

    /// The body, its trailers and what is left over, when `text` comes in pieces of `step` octets.
    fn read(text: &[u8], step: usize) -> Result<(Vec<u8>, Vec<String>, bool), BadChunk> {
        let (mut chunks, mut input) = (Chunks::default(), BytesMut::new());
        let (mut body, mut fields) = (Vec::new(), Vec::new());
        for part in text.chunks(step) {
            input.extend_from_slice(part);
            loop {
                match chunks.next(&mut input)? {
                    Next::Piece(piece) => body.extend_from_slice(&piece),
                    Next::Trailers(map) => {
                        fields = map
                            .iter()
                            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
                            .collect();
                        return Ok((body, fields, true));
                    }
                    Next::End => return Ok((body, fields, true)),
                    Next::Unread => break,
                }
            }
        }
        Ok((body, fields, false))
    }

    #[track_caller]
    fn check(text: &str, expected: Result<(&str, &[&str]), BadChunk>) {
        for step in 1..=text.len() {
            let seen = read(text.as_bytes(), step);
            let expected = expected.map(|(body, fields)| {
                let fields = fields.iter().map(ToString::to_string).collect();
                (body.as_bytes().to_vec(), fields, true)
            });
            assert_eq!(seen, expected, "{text:?} in steps of {step}");
        }
    }

    #[test]
    fn chunks_are_joined_and_extensions_dropped() {
        check("0\r\n\r\n", Ok(("", &[])));
        check("3\r\nabc\r\n0\r\n\r\n", Ok(("abc", &[])));
        check(
            "3\r\nabc\r\n002;x=y\r\nde\r\n0 ;z\r\n\r\n",
            Ok(("abcde", &[])),
        );
        check("A\r\n0123456789\r\n0\r\n\r\n", Ok(("0123456789", &[])));
        check(
            "1\r\na\r\n0\r\nx-sum: 7\r\nb:\r\n\r\n",
            Ok(("a", &["x-sum: 7", "b: "])),
        );
    }

    #[test]
    fn everything_else_is_refused() {
        for line in [
            "",
            "g",
            "-1",
            "+1",
            "0x1",
            " 1",
            "1 2",
            "1\r",
            "1\n",
            "1;\u{1}",
            "11111111111111111",
        ] {
            check(&format!("{line}\r\na\r\n0\r\n\r\n"), Err(BadChunk::Line));
        }
        check("1\na\r\n0\r\n\r\n", Err(BadChunk::Line));
        for end in ["b\r\n", "\n\n", "\r\r"] {
            check(&format!("1\r\na{end}0\r\n\r\n"), Err(BadChunk::End));
        }
        check("0\r\nx y: 1\r\n\r\n", Err(BadChunk::Trailers));
    }

    #[test]
    fn nothing_grows_without_limit() {
        let long = format!("1;{}\r\na\r\n", "x".repeat(LINE_OCTETS_MAX));
        assert_eq!(read(long.as_bytes(), long.len()), Err(BadChunk::TooLarge));
        assert_eq!(
            read(&long.as_bytes()[..long.len() - 5], 1),
            Err(BadChunk::TooLarge)
        );
        let many = format!("1;{}\r\na\r\n", "x".repeat(900)).repeat(20);
        assert_eq!(read(many.as_bytes(), 64), Err(BadChunk::TooLarge));
        let trailers = format!("0\r\nx: {}", "y".repeat(TRAILER_OCTETS_MAX));
        assert_eq!(read(trailers.as_bytes(), 999), Err(BadChunk::TooLarge));
        let fields = format!("0\r\n{}\r\n", "x: y\r\n".repeat(TRAILER_FIELDS_MAX + 1));
        assert_eq!(read(fields.as_bytes(), 999), Err(BadChunk::TooLarge));
    }

    #[test]
    fn the_last_piece_is_known_when_the_end_is_there() {
        let (mut chunks, mut input) = (Chunks::default(), BytesMut::from("1\r\na\r\n0\r\n\r\nx"));
        assert_eq!(
            chunks.next(&mut input),
            Ok(Next::Piece(Bytes::from_static(b"a")))
        );
        assert!(chunks.ends(&mut input));
        assert_eq!(input, "x");
        let (mut chunks, mut input) = (
            Chunks::default(),
            BytesMut::from("1\r\na\r\n0\r\nx: y\r\n\r\n"),
        );
        assert_eq!(
            chunks.next(&mut input),
            Ok(Next::Piece(Bytes::from_static(b"a")))
        );
        assert!(!chunks.ends(&mut input));
    }
}

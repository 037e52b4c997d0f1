//! Reading one HTTP/1.1 answer, so that the connection can be used again.

use std::io::{ErrorKind, Read, Result, Write};

/// An answer as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Status line and fields.
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    /// The number in the status line.
    pub(crate) fn status(&self) -> u16 {
        let status = self.head.split(' ').nth(1).unwrap_or_default();
        status.parse().unwrap_or_default()
    }

    /// The first value of a field.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let fields = self.head.lines().skip(1);
        fields
            .filter_map(|line| line.split_once(':'))
            .find(|(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
    }
}

/// A request without a body for a host, on a connection that stays.
pub(crate) fn get_on(stream: &mut (impl Read + Write), host: &str, path: &str) -> Answer {
    send_get(stream, host, path);
    read_answer(stream).unwrap()
}

/// Sends the same and does not wait.
pub(crate) fn send_get(stream: &mut impl Write, host: &str, path: &str) {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    stream.flush().unwrap();
}

/// Reads a head, and a body of a known length if the head names one.
pub(crate) fn read_answer(stream: &mut impl Read) -> Result<Answer> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte)? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        head.push(byte[0]);
    }
    let mut answer = Answer {
        head: String::from_utf8_lossy(&head).into_owned(),
        body: String::new(),
    };
    let length = answer.field("content-length").map(str::parse);
    let mut body = vec![0; length.and_then(|length| length.ok()).unwrap_or(0)];
    stream.read_exact(&mut body)?;
    answer.body = String::from_utf8_lossy(&body).into_owned();
    Ok(answer)
}

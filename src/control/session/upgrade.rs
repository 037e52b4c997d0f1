//! The HTTP that begins a session, on the guest's side. Read by the channel itself: what a general client read too much would
//! have lost its descriptors.

use httparse::{EMPTY_HEADER, Response};

use super::UPGRADE;
use super::channel::{Broken, Reader, Writer};

/// Octets of a reply's head.
const HEAD_BYTES_MAX: usize = 16 << 10;
const HEADERS_MAX: usize = 32;
/// Octets of a refusal.
const REFUSAL_BYTES_MAX: usize = 1 << 20;

/// How the holder answered.
#[derive(Debug)]
pub(super) enum Answer {
    /// Lines follow.
    Upgraded,
    /// The status and the body.
    Refused(u16, Vec<u8>),
    /// That was no HTTP as the holder speaks it.
    Strange,
}

/// Asks with this JSON body. The answer may come before everything is sent.
///
/// # Errors
/// When the connection breaks before there is an answer.
pub(super) async fn ask(
    reader: &mut Reader,
    writer: &mut Writer,
    path: &str,
    body: &[u8],
) -> Result<Answer, Broken> {
    // The line's end belongs to the body.
    let length = body.len() + 1;
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: onedoor\r\nconnection: upgrade\r\nupgrade: {UPGRADE}\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    );
    writer.push([head.as_bytes(), body].concat(), Vec::new())?;
    let sent = writer.flush().await;
    match (answer(reader).await, sent) {
        // Why it was closed is known better by the one that wrote.
        (Err(Broken::Ended | Broken::Failed(_)), Err(broken)) => Err(broken),
        (answered, _sent) => answered,
    }
}

async fn answer(reader: &mut Reader) -> Result<Answer, Broken> {
    let mut seen = 1;
    loop {
        let octets = reader.peek(seen).await?;
        match parse(octets) {
            Parsed::Partial if octets.len() < HEAD_BYTES_MAX => seen = octets.len() + 1,
            Parsed::Partial | Parsed::Strange => return Ok(Answer::Strange),
            Parsed::Upgraded { head } => {
                reader.skip(head);
                return Ok(Answer::Upgraded);
            }
            Parsed::Refused { head, status, body } => {
                let whole = reader.peek(head + body).await?;
                let body = whole[head..head + body].to_vec();
                return Ok(Answer::Refused(status, body));
            }
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Parsed {
    Partial,
    Strange,
    Upgraded {
        head: usize,
    },
    Refused {
        head: usize,
        status: u16,
        body: usize,
    },
}

fn parse(octets: &[u8]) -> Parsed {
    let mut headers = [EMPTY_HEADER; HEADERS_MAX];
    let mut reply = Response::new(&mut headers);
    let head = match reply.parse(octets) {
        Ok(httparse::Status::Complete(head)) => head,
        Ok(httparse::Status::Partial) => return Parsed::Partial,
        Err(_malformed) => return Parsed::Strange,
    };
    let field = |name: &str| {
        let mut fields = reply.headers.iter();
        let found = fields.find(|field| field.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(found.value).ok()
    };
    match reply.code {
        Some(101) if field("upgrade") == Some(UPGRADE) => Parsed::Upgraded { head },
        Some(status @ 400..) => {
            let length = field("content-length").and_then(|length| length.parse().ok());
            match length {
                Some(body) if body <= REFUSAL_BYTES_MAX => Parsed::Refused { head, status, body },
                _ => Parsed::Strange,
            }
        }
        _ => Parsed::Strange,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_an_upgrade_a_refusal_or_strange() {
        #[track_caller]
        fn check(reply: &str, expected: &Parsed) {
            assert_eq!(parse(reply.as_bytes()), *expected, "{reply}");
        }
        let upgraded = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: onedoor-session\r\n\r\n";
        let head = upgraded.len();
        check(upgraded, &Parsed::Upgraded { head });
        check(&upgraded[..head - 1], &Parsed::Partial);
        check(
            &upgraded.replace("onedoor-session", "h2c"),
            &Parsed::Strange,
        );
        let refused = "HTTP/1.1 409 Conflict\r\ncontent-length: 2\r\n\r\n";
        let head = refused.len();
        check(
            refused,
            &Parsed::Refused {
                head,
                status: 409,
                body: 2,
            },
        );
        check(&refused.replace("409", "200"), &Parsed::Strange);
        check(&refused.replace(": 2", ": 9999999"), &Parsed::Strange);
        check(&refused.replace(": 2", ": two"), &Parsed::Strange);
        check("220 mail\r\n", &Parsed::Strange);
    }
}

//! As much of WebSocket (RFC 6455) as the demo needs on both ends: unfragmented frames, an echo, a greeting.

use std::io;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::HeaderValue;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// What every server mixes into a client's key (RFC 6455 section 1.3).
const SALT: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// Octets of a frame's content; longer ones end the connection.
const CONTENT_MAX: usize = 16 << 10;
const FINAL: u8 = 0x80;
const MASKED: u8 = 0x80;
/// In place of a length that follows in two octets, or in eight.
const LENGTH_IN_TWO: u8 = 126;
const LENGTH_IN_EIGHT: u8 = 127;
const NORMAL_CLOSURE: [u8; 2] = 1000_u16.to_be_bytes();

/// What a frame is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Purpose {
    Text = 1,
    Binary = 2,
    Close = 8,
    Ping = 9,
    Pong = 10,
}

/// A whole message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) purpose: Purpose,
    pub(super) content: Vec<u8>,
}

/// Which end writes: clients mask what they send (RFC 6455 section 5.3).
#[derive(Debug, Clone, Copy)]
pub(super) enum End {
    Client,
    Server,
}

/// The answer to a client's key.
#[must_use]
pub(super) fn accept(key: &HeaderValue) -> String {
    let salted = [key.as_bytes(), SALT].concat();
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, &salted);
    BASE64_STANDARD.encode(digest)
}

/// Sends every message back until the client closes.
pub(super) async fn echo(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> io::Result<()> {
    loop {
        let Message { purpose, content } = read(stream).await?;
        match purpose {
            Purpose::Text | Purpose::Binary => {
                write(stream, End::Server, purpose, &content).await?;
            }
            Purpose::Ping => write(stream, End::Server, Purpose::Pong, &content).await?,
            Purpose::Pong => {}
            Purpose::Close => {
                write(stream, End::Server, Purpose::Close, &content).await?;
                return stream.shutdown().await;
            }
        }
    }
}

/// Says something and closes, for clients that cannot say anything themselves.
pub(super) async fn greet(stream: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
    let words = b"\nhello from a WebSocket: at / it sends back what it gets\n";
    write(stream, End::Server, Purpose::Text, words).await?;
    write(stream, End::Server, Purpose::Close, &NORMAL_CLOSURE).await?;
    stream.shutdown().await
}

/// Reads one message.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Message> {
    let first = stream.read_u8().await?;
    let purpose = [
        Purpose::Text,
        Purpose::Binary,
        Purpose::Close,
        Purpose::Ping,
        Purpose::Pong,
    ]
    .into_iter()
    .find(|purpose| first == FINAL | *purpose as u8)
    .ok_or(io::ErrorKind::Unsupported)?;
    let second = stream.read_u8().await?;
    let length = match second & !MASKED {
        LENGTH_IN_TWO => usize::from(stream.read_u16().await?),
        LENGTH_IN_EIGHT => return Err(io::ErrorKind::Unsupported.into()),
        length => usize::from(length),
    };
    if length > CONTENT_MAX {
        return Err(io::ErrorKind::Unsupported.into());
    }
    let mut mask = [0; 4];
    if second & MASKED != 0 {
        stream.read_exact(&mut mask).await?;
    }
    let mut content = vec![0; length];
    stream.read_exact(&mut content).await?;
    apply(mask, &mut content);
    Ok(Message { purpose, content })
}

/// Writes one message and sends it off.
pub(super) async fn write(
    stream: &mut (impl AsyncWrite + Unpin),
    end: End,
    purpose: Purpose,
    content: &[u8],
) -> io::Result<()> {
    let length = u16::try_from(content.len()).map_err(|_long| io::ErrorKind::Unsupported)?;
    let (masked, mask) = match end {
        End::Client => (MASKED, Some(fastrand::u32(..).to_ne_bytes())),
        End::Server => (0, None),
    };
    let mut frame = vec![FINAL | purpose as u8];
    match u8::try_from(length) {
        Ok(length) if length < LENGTH_IN_TWO => frame.push(masked | length),
        Ok(_) | Err(_) => {
            frame.push(masked | LENGTH_IN_TWO);
            frame.extend(length.to_be_bytes());
        }
    }
    frame.extend(mask.iter().flatten());
    let start = frame.len();
    frame.extend_from_slice(content);
    apply(mask.unwrap_or_default(), &mut frame[start..]);
    stream.write_all(&frame).await?;
    stream.flush().await
}

fn apply(mask: [u8; 4], content: &mut [u8]) {
    for (octet, mask) in content.iter_mut().zip(mask.iter().cycle()) {
        *octet ^= mask;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_answered_as_in_the_standard() {
        let key = HeaderValue::from_static(super::super::guide::WEBSOCKET_KEY);
        assert_eq!(accept(&key), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[tokio::test]
    async fn what_one_end_writes_the_other_reads() {
        for end in [End::Client, End::Server] {
            for length in [0, 1, 125, 126, 300, CONTENT_MAX] {
                let content = vec![7; length];
                let mut wire = Vec::new();
                write(&mut wire, end, Purpose::Text, &content)
                    .await
                    .unwrap();
                let message = read(&mut wire.as_slice()).await.unwrap();
                let purpose = Purpose::Text;
                assert_eq!(message, Message { purpose, content });
            }
        }
    }

    #[tokio::test]
    async fn long_and_fragmented_frames_are_refused() {
        let long = [0x82, 126, 0xff, 0xff];
        let longer = [0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0];
        let fragment = [0x01, 1, b'x'];
        for frame in [long.as_slice(), &longer, &fragment] {
            assert!(read(&mut &*frame).await.is_err(), "{frame:?}");
        }
    }

    #[tokio::test]
    async fn the_echo_ends_with_the_client() {
        let (mut client, mut server) = tokio::io::duplex(1024);
        let talk = async {
            write(&mut client, End::Client, Purpose::Ping, b"1")
                .await
                .unwrap();
            assert_eq!(read(&mut client).await.unwrap().purpose, Purpose::Pong);
            write(&mut client, End::Client, Purpose::Close, b"")
                .await
                .unwrap();
            assert_eq!(read(&mut client).await.unwrap().purpose, Purpose::Close);
        };
        let (ended, ()) = tokio::join!(echo(&mut server), talk);
        ended.unwrap();
    }
}

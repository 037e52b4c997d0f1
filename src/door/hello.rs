//! From the first bytes of a connection to a ClientHello, or to why there is none. Pure: bytes in, facts out.

use std::fmt;

use rustls::PeerMisbehaved;
use rustls::server::{Accepted, Acceptor};

use crate::hostname::HostName;

/// The octets within which a hello must be complete, with the heads of its records. Hellos of 16 KB are legal; post-quantum ones have about 2 KB.
pub const HELLO_BYTES_MAX: usize = 20 << 10;
/// The content type of a handshake record (RFC 8446 section 5.1).
const HANDSHAKE_RECORD: u8 = 22;
/// `unrecognized_name` as a fatal alert record (RFC 6066 section 3, RFC 8446 section 6).
pub(super) const UNRECOGNIZED_NAME: [u8; 7] = [21, 3, 3, 0, 2, 2, 112];
/// `internal_error`: the site is known, its certificate is not at hand.
pub(super) const INTERNAL_ERROR: [u8; 7] = [21, 3, 3, 0, 2, 2, 80];

/// Reads a hello from pieces of any size.
#[derive(Default)]
pub struct HelloReader {
    acceptor: Acceptor,
    kept: Vec<u8>,
}

/// A complete ClientHello.
pub struct Hello {
    /// Lower case, without a trailing dot; none if absent or an address literal.
    pub name: Option<HostName>,
    /// The only protocol offered, if exactly one is.
    pub only_protocol: Option<Box<[u8]>>,
    /// What rustls needs to go on.
    pub accepted: Box<Accepted>,
    /// Every byte read so far, for whoever carries the connection unopened.
    pub kept: Vec<u8>,
}

/// Why the bytes are no hello.
pub enum NotHello {
    /// An HTTP request in the clear.
    PlainHttp,
    /// Something else: a scan, garbage, SSLv2.
    Garbage,
    /// TLS, but no acceptable hello; the bytes to say so.
    Refused {
        error: rustls::Error,
        alert: Vec<u8>,
    },
    /// No hello within [`HELLO_BYTES_MAX`].
    TooLarge,
}

impl HelloReader {
    /// Takes the next bytes. `None`: more are needed.
    ///
    /// # Errors
    /// As soon as the bytes cannot become a hello, however they were cut into pieces.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Option<Hello>, NotHello> {
        if let (true, Some(first)) = (self.kept.is_empty(), bytes.first()) {
            recognise(*first)?;
        }
        let room = HELLO_BYTES_MAX.saturating_sub(self.kept.len());
        self.kept.extend_from_slice(bytes);
        let mut left = &bytes[..room.min(bytes.len())];
        while !left.is_empty() {
            self.acceptor
                .read_tls(&mut left)
                .map_err(|_full| NotHello::TooLarge)?;
            match self.acceptor.accept() {
                Ok(Some(accepted)) => return self.hello(accepted).map(Some),
                Ok(None) => {}
                Err((error, mut alert)) => {
                    let mut said = Vec::new();
                    // Writing into a vector cannot fail; without the alert the connection just closes.
                    let _written = alert.write(&mut said);
                    return Err(NotHello::Refused { error, alert: said });
                }
            }
        }
        if self.kept.len() >= HELLO_BYTES_MAX {
            return Err(NotHello::TooLarge);
        }
        Ok(None)
    }

    fn hello(&mut self, accepted: Accepted) -> Result<Hello, NotHello> {
        // Bytes behind the hello (there are none before the server has spoken, but for early data) stay inside `accepted`.
        let hello = accepted.client_hello();
        let name = match hello.server_name().map(HostName::parse) {
            Some(Ok(name)) => Some(name).filter(|name| name.ip().is_none()),
            // rustls refuses most of these by itself; a name that is none must not pass for no name.
            Some(Err(_invalid)) => {
                return Err(NotHello::Refused {
                    error: PeerMisbehaved::ServerNameMustContainOneHostName.into(),
                    alert: UNRECOGNIZED_NAME.into(),
                });
            }
            None => None,
        };
        let only_protocol =
            hello
                .alpn()
                .and_then(|mut offered| match (offered.next(), offered.next()) {
                    (Some(only), None) => Some(Box::from(only)),
                    (Some(_) | None, _) => None,
                });
        Ok(Hello {
            name,
            only_protocol,
            accepted: Box::new(accepted),
            kept: std::mem::take(&mut self.kept),
        })
    }
}

/// By the first byte alone: TLS records of a handshake start with 22, HTTP methods with a letter.
fn recognise(first: u8) -> Result<(), NotHello> {
    match first {
        HANDSHAKE_RECORD => Ok(()),
        b'A'..=b'Z' => Err(NotHello::PlainHttp),
        _ => Err(NotHello::Garbage),
    }
}

impl fmt::Debug for HelloReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HelloReader")
            .field("kept", &self.kept.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Hello {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hello")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for NotHello {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PlainHttp => f.write_str("PlainHttp"),
            Self::Garbage => f.write_str("Garbage"),
            Self::Refused { error, .. } => f
                .debug_struct("Refused")
                .field("error", error)
                .finish_non_exhaustive(),
            Self::TooLarge => f.write_str("TooLarge"),
        }
    }
}

#[cfg(test)]
#[path = "hello_tests.rs"]
mod tests;

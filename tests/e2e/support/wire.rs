//! HTTP/1.1 by hand over a connection that stays open: bytes out, whole answers back.

use std::io::{ErrorKind, Read, Write};

use super::PATIENCE;
use super::client::{plain, tls};
use super::door::Door;
use super::values;

/// A connection to a door, in clear text or TLS.
pub(crate) struct Wire {
    stream: Box<dyn Duplex>,
    kept: Vec<u8>,
}

pub(crate) trait Duplex: Read + Write {}

impl<T: Read + Write> Duplex for T {}

/// An answer with its body, decoded if chunked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Status line and fields, without the empty line.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

/// The connection ended before the answer did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cut {
    pub(crate) bytes: Vec<u8>,
}

impl Answer {
    #[track_caller]
    pub(crate) fn status(&self) -> u16 {
        self.head[9..12].parse().unwrap()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// All values of a field, in order.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        values(&self.head, name)
    }

    /// The first value of a field.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.all(name).first().copied()
    }
}

impl Wire {
    /// Over TLS, with HTTP/1.1 agreed on.
    #[track_caller]
    pub(crate) fn tls(door: &Door, name: &str) -> Self {
        Self::over(tls(door, name, &["http/1.1"]))
    }

    /// In clear text.
    pub(crate) fn plain(door: &Door) -> Self {
        Self::over(plain(door.plain()))
    }

    pub(crate) fn over(stream: impl Duplex + 'static) -> Self {
        Self {
            stream: Box::new(stream),
            kept: Vec::new(),
        }
    }

    #[track_caller]
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
        self.stream.flush().unwrap();
    }

    /// Sends what the other side may no longer want.
    pub(crate) fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        self.stream.write_all(bytes.as_ref())?;
        self.stream.flush()
    }

    /// The whole answer to anything but HEAD.
    #[track_caller]
    pub(crate) fn answer(&mut self) -> Answer {
        self.try_answer().unwrap()
    }

    /// Sends, and takes the whole answer.
    #[track_caller]
    pub(crate) fn ask(&mut self, bytes: impl AsRef<[u8]>) -> Answer {
        self.send(bytes);
        self.answer()
    }

    /// Sends, and takes what comes of it.
    #[track_caller]
    pub(crate) fn try_answer_to(&mut self, bytes: &str) -> Result<Answer, Cut> {
        self.send(bytes);
        self.try_answer()
    }

    pub(crate) fn try_answer(&mut self) -> Result<Answer, Cut> {
        let mut answer = self.head()?;
        answer.body = self.body_of(&answer)?;
        Ok(answer)
    }

    /// The head alone; the body, if there is one, is still to be read.
    pub(crate) fn head(&mut self) -> Result<Answer, Cut> {
        let end = self.find(b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&self.take(end)).into_owned();
        self.take(4);
        Ok(Answer {
            head,
            body: Vec::new(),
        })
    }

    fn body_of(&mut self, answer: &Answer) -> Result<Vec<u8>, Cut> {
        if matches!(answer.status(), 100..=199 | 204 | 304) {
            return Ok(Vec::new());
        }
        if let Some(coding) = answer.field("transfer-encoding") {
            assert_eq!(coding, "chunked");
            let mut body = Vec::new();
            while let Some(chunk) = self.chunk()? {
                body.extend(chunk);
            }
            return Ok(body);
        }
        match answer.field("content-length") {
            Some(length) => self.exactly(length.parse().unwrap()),
            None => Ok(self.rest()),
        }
    }

    /// The next chunk of a body; none after the last, whose trailers are read over.
    pub(crate) fn chunk(&mut self) -> Result<Option<Vec<u8>>, Cut> {
        let line = self.find(b"\r\n")?;
        let line = String::from_utf8(self.take(line)).unwrap();
        self.take(2);
        let size = usize::from_str_radix(line.split(';').next().unwrap(), 16).unwrap();
        if size == 0 {
            loop {
                let end = self.find(b"\r\n")?;
                self.take(end + 2);
                if end == 0 {
                    return Ok(None);
                }
            }
        }
        let chunk = self.exactly(size)?;
        assert_eq!(self.exactly(2)?, b"\r\n");
        Ok(Some(chunk))
    }

    pub(crate) fn exactly(&mut self, octets: usize) -> Result<Vec<u8>, Cut> {
        while self.kept.len() < octets {
            self.more()?;
        }
        Ok(self.take(octets))
    }

    /// Everything until the other side closes.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        while self.more().is_ok() {}
        std::mem::take(&mut self.kept)
    }

    /// Panics if anything comes before the other side closes.
    #[track_caller]
    pub(crate) fn closes(&mut self) {
        let rest = self.rest();
        assert!(rest.is_empty(), "{}", String::from_utf8_lossy(&rest));
    }

    fn find(&mut self, end: &[u8]) -> Result<usize, Cut> {
        loop {
            let found = self.kept.windows(end.len()).position(|bytes| bytes == end);
            match found {
                Some(found) => return Ok(found),
                None => self.more()?,
            }
        }
    }

    fn take(&mut self, octets: usize) -> Vec<u8> {
        let rest = self.kept.split_off(octets);
        std::mem::replace(&mut self.kept, rest)
    }

    fn more(&mut self) -> Result<(), Cut> {
        let mut space = [0; 16 << 10];
        match self.stream.read(&mut space) {
            Ok(0) => {}
            Ok(read) => {
                self.kept.extend_from_slice(&space[..read]);
                return Ok(());
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                panic!("nothing came, and no end, for {PATIENCE:?}");
            }
            // Whoever is stopped and goes on asks once more.
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            // A reset is an end too.
            Err(_ended) => {}
        }
        Err(Cut {
            bytes: self.kept.clone(),
        })
    }
}

//! One question to one DNS server and its answer, by UDP or TCP. Which server, and what to make of the answer, is decided elsewhere.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, Query};
use hickory_proto::rr::{Name, RecordType};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, ToSocketAddrs, UdpSocket};
use tokio::time::timeout;

/// How long an answer by UDP may take before the question is put again.
const UDP_PATIENCE: Duration = Duration::from_secs(2);
const UDP_ATTEMPTS: usize = 2;
/// Longer answers come cut, and are fetched by TCP (RFC 1035 section 4.2.1).
const UDP_BYTES_MAX: usize = 512;
/// How long a question by TCP may take, from the connection to the last octet.
const TCP_PATIENCE: Duration = Duration::from_secs(10);

/// Why there is no answer.
#[derive(Debug)]
pub enum ExchangeError {
    TimedOut(Duration),
    Io(io::Error),
    /// The answer is not DNS, or answers something else.
    Garbled,
    /// The answer is not signed by the key of the question.
    Unsigned,
}

/// Who shall find the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Recursion {
    /// The server, by asking others.
    Wanted,
    /// The server from what it has itself.
    Unwanted,
}

/// Asks by UDP, and by TCP when the answer is too long for it or does not come.
pub(super) async fn ask(
    server: SocketAddr,
    name: &Name,
    kind: RecordType,
    recursion: Recursion,
) -> Result<Message, ExchangeError> {
    let question = question(name, kind, recursion);
    match by_udp(server, &question).await {
        Ok(answer) if !answer.metadata.truncation => Ok(answer),
        Err(error) if error.is_out_of_reach() => Err(error),
        Ok(_) | Err(_) => ask_by_tcp(server, &question).await,
    }
}

/// A question of its own, with a number that cannot be guessed.
pub(super) fn question(name: &Name, kind: RecordType, recursion: Recursion) -> Message {
    let mut message = Message::query();
    message.metadata.recursion_desired = recursion == Recursion::Wanted;
    message.add_query(Query::query(name.clone(), kind));
    message
}

pub(super) async fn ask_by_tcp(
    server: impl ToSocketAddrs,
    question: &Message,
) -> Result<Message, ExchangeError> {
    let octets = question.to_vec().map_err(|_| ExchangeError::Garbled)?;
    let answer = by_tcp(server, &octets).await?;
    parsed(&answer, question).ok_or(ExchangeError::Garbled)
}

/// Sends one message by TCP and reads one.
pub(super) async fn by_tcp(
    server: impl ToSocketAddrs,
    message: &[u8],
) -> Result<Vec<u8>, ExchangeError> {
    let length = u16::try_from(message.len()).map_err(|_| ExchangeError::Garbled)?;
    let mut framed = Vec::with_capacity(2 + message.len());
    framed.extend(length.to_be_bytes());
    framed.extend(message);
    let exchange = async {
        let mut stream = TcpStream::connect(server).await?;
        stream.write_all(&framed).await?;
        let mut answer = vec![0; usize::from(stream.read_u16().await?)];
        stream.read_exact(&mut answer).await?;
        Ok(answer)
    };
    match timeout(TCP_PATIENCE, exchange).await {
        Ok(answered) => answered.map_err(ExchangeError::Io),
        Err(_elapsed) => Err(ExchangeError::TimedOut(TCP_PATIENCE)),
    }
}

/// Each attempt from a port of its own, which is half of what makes a false answer hard to plant.
async fn by_udp(server: SocketAddr, question: &Message) -> Result<Message, ExchangeError> {
    let octets = question.to_vec().map_err(|_| ExchangeError::Garbled)?;
    let mut fault = ExchangeError::Garbled;
    for _ in 0..UDP_ATTEMPTS {
        match timeout(UDP_PATIENCE, one_datagram(server, &octets, question)).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => return Err(ExchangeError::Io(error)),
            Err(_elapsed) => fault = ExchangeError::TimedOut(UDP_PATIENCE),
        }
    }
    Err(fault)
}

async fn one_datagram(
    server: SocketAddr,
    octets: &[u8],
    question: &Message,
) -> io::Result<Message> {
    let socket = match server {
        SocketAddr::V4(_) => UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?,
        SocketAddr::V6(_) => UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).await?,
    };
    socket.connect(server).await?;
    socket.send(octets).await?;
    let mut buffer = vec![0; UDP_BYTES_MAX];
    loop {
        let length = socket.recv(&mut buffer).await?;
        if let Some(answer) = parsed(&buffer[..length], question) {
            return Ok(answer);
        }
    }
}

/// The message, if it answers the question.
fn parsed(octets: &[u8], question: &Message) -> Option<Message> {
    let answer = Message::from_vec(octets).ok()?;
    let fits = answer.metadata.message_type == MessageType::Response
        && answer.metadata.id == question.metadata.id
        && answer.metadata.op_code == question.metadata.op_code
        // A server that could not read the question does not repeat it.
        && (answer.queries.is_empty() || answer.queries == question.queries);
    fits.then_some(answer)
}

impl ExchangeError {
    /// This machine has no way to the server, as to IPv6 addresses without IPv6: no fault of the server's.
    pub(super) fn is_out_of_reach(&self) -> bool {
        let Self::Io(error) = self else {
            return false;
        };
        let kind = error.kind();
        kind == io::ErrorKind::NetworkUnreachable || kind == io::ErrorKind::AddrNotAvailable
    }
}

impl fmt::Display for ExchangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut(patience) => write!(f, "no answer within {} s", patience.as_secs()),
            Self::Io(error) => write!(f, "no answer: {error}"),
            Self::Garbled => f.write_str("no answer that can be read"),
            Self::Unsigned => f.write_str("no answer with the signature of the same key"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_to_something_else_is_none() {
        let name = Name::from_ascii("a.test.").unwrap();
        let asked = question(&name, RecordType::TXT, Recursion::Wanted);
        let mut answer = asked.clone().into_response();
        assert!(parsed(&answer.to_vec().unwrap(), &asked).is_some());
        assert!(parsed(&asked.to_vec().unwrap(), &asked).is_none());
        assert!(parsed(b"no DNS at all", &asked).is_none());
        answer.metadata.id ^= 1;
        assert!(parsed(&answer.to_vec().unwrap(), &asked).is_none());
        let other = question(&name, RecordType::A, Recursion::Wanted);
        let mut answer = other.into_response();
        answer.metadata.id = asked.metadata.id;
        assert!(parsed(&answer.to_vec().unwrap(), &asked).is_none());
    }

    #[tokio::test]
    async fn a_long_answer_is_fetched_by_tcp() {
        let tcp = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = tcp.local_addr().unwrap();
        let udp = UdpSocket::bind(server).await.unwrap();
        let name = Name::from_ascii("a.test.").unwrap();
        let serve = async {
            let mut buffer = [0; 512];
            let (length, peer) = udp.recv_from(&mut buffer).await.unwrap();
            let mut cut = Message::from_vec(&buffer[..length])
                .unwrap()
                .into_response();
            cut.metadata.truncation = true;
            udp.send_to(&cut.to_vec().unwrap(), peer).await.unwrap();
            let (mut stream, _) = tcp.accept().await.unwrap();
            let length = stream.read_u16().await.unwrap();
            let mut octets = vec![0; length.into()];
            stream.read_exact(&mut octets).await.unwrap();
            let mut whole = Message::from_vec(&octets).unwrap().into_response();
            whole.metadata.authoritative = true;
            let octets = whole.to_vec().unwrap();
            stream
                .write_u16(octets.len().try_into().unwrap())
                .await
                .unwrap();
            stream.write_all(&octets).await.unwrap();
        };
        let asking = ask(server, &name, RecordType::TXT, Recursion::Unwanted);
        let (answer, ()) = tokio::join!(asking, serve);
        assert!(answer.unwrap().metadata.authoritative);
    }
}

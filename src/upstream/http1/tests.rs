use std::future::poll_fn;
use std::pin::Pin;

use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::*;
use crate::upstream::incoming::Incoming;

/// What a client makes of an answer: the status, the fields and the body, or nothing.
type Seen = Option<(u16, Vec<String>, Result<Vec<u8>, ()>)>;

fn get(method: &str) -> request::Parts {
    let request = Request::builder()
        .method(method)
        .uri("/a?b")
        .header("host", "a.test");
    request.body(()).unwrap().into_parts().0
}

/// An upstream that hears a request, says `answer` in two parts and leaves.
async fn upstream(mut stream: UnixStream, answer: Vec<u8>, cut: usize) {
    let mut heard = [0; 512];
    let _octets = stream.read(&mut heard).await.unwrap();
    let (first, second) = answer.split_at(cut);
    // A client that has had enough is gone.
    let _gone = stream.write_all(first).await;
    tokio::task::yield_now().await;
    let _gone = stream.write_all(second).await;
    let _gone = stream.shutdown().await;
}

async fn seen<B: Body<Data = Bytes, Error: std::fmt::Debug> + Unpin>(answer: Response<B>) -> Seen {
    let (head, body) = answer.into_parts();
    let fields = head
        .headers
        .iter()
        .map(|(name, value)| format!("{name}: {value:?}"));
    let body = body.collect().await.map(|body| body.to_bytes().to_vec());
    Some((
        head.status.as_u16(),
        fields.collect(),
        body.map_err(|_cut| ()),
    ))
}

async fn by_us(stream: UnixStream, method: &str) -> Seen {
    let mut connection = Box::new(Connection::new(Stream::Unix(stream)));
    connection.ask(&get(method), Outgoing::Empty);
    let head = poll_fn(|cx| connection.poll_answer(cx)).await.ok()?;
    let pool = crate::upstream::Upstreams::new(
        crate::deadline::Wheel::new(),
        crate::upstream::seats::Seats::default(),
        crate::upstream::names::Names::default(),
    );
    let target = crate::config::target::Target {
        scheme: crate::config::target::Scheme::Http,
        address: crate::config::target::Address::Loopback { port: 1 },
    };
    let endpoint = crate::upstream::endpoint::Endpoint::of(target.into());
    let body = Incoming::http1(connection, pool.pool(&endpoint));
    seen(Response::from_parts(head, body)).await
}

async fn by_hyper(stream: UnixStream, method: &str) -> Seen {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .unwrap();
    let request = Request::from_parts(get(method), Empty::<Bytes>::new());
    let work = async { seen(sender.send_request(request).await.ok()?).await };
    let (seen, _ended) = tokio::join!(work, connection);
    seen
}

/// What is an answer for both, and what for neither.
const ANSWERS: &[&str] = &[
    "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
    "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX-A: \u{e9}\r\nx-a: 2\r\n\r\nabcdef",
    "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc",
    "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x\r\nde\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-t\r\n\r\n3\r\nabc\r\n0\r\nx-t: 1\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
    "HTTP/1.1 200 OK\r\n\r\nuntil the end",
    "HTTP/1.0 200 OK\r\n\r\nuntil the end",
    "HTTP/1.1 204 No Content\r\n\r\n",
    "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n",
    "HTTP/1.1 404\r\nContent-Length: 1\r\n\r\nx",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
    "HTTP/1.1 2x0 OK\r\n\r\n",
    "HTTP/1.1 200 OK\r\nX : y\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Le",
    "garbage\r\n\r\n",
    "",
];

#[tokio::test(flavor = "local")]
async fn an_answer_is_read_as_hyper_reads_it_wherever_it_is_cut() {
    for answer in ANSWERS {
        for method in ["GET", "HEAD"] {
            for cut in 0..=answer.len() {
                let run = |answer: &str| (UnixStream::pair().unwrap(), answer.as_bytes().to_vec());
                let ((near, far), octets) = run(answer);
                let (ours, ()) = tokio::join!(by_us(near, method), upstream(far, octets, cut));
                let ((near, far), octets) = run(answer);
                let (theirs, ()) = tokio::join!(by_hyper(near, method), upstream(far, octets, cut));
                assert_eq!(ours, theirs, "{method} {answer:?} cut at {cut}");
            }
        }
    }
}

/// A connection with its other end, and a request asked on it.
fn asked(method: &str, fields: &[(&'static str, &'static str)]) -> (Connection, UnixStream) {
    let (near, far) = UnixStream::pair().unwrap();
    let mut connection = Connection::new(Stream::Unix(near));
    let mut head = get(method);
    for (name, value) in fields {
        head.headers
            .append(*name, http::HeaderValue::from_static(value));
    }
    connection.ask(&head, Outgoing::Empty);
    (connection, far)
}

async fn answered(connection: &mut Connection) -> u16 {
    let head = poll_fn(|cx| connection.poll_answer(cx)).await.unwrap();
    head.status.as_u16()
}

async fn rest(connection: &mut Connection) -> Vec<u8> {
    let mut body = Vec::new();
    while !connection.is_over() {
        match poll_fn(|cx| connection.poll_frame(cx)).await {
            Some(frame) => body.extend(frame.unwrap().into_data().unwrap()),
            None => break,
        }
    }
    body
}

#[tokio::test(flavor = "local")]
async fn a_request_is_written_as_it_stands() {
    let (mut connection, mut far) = asked("BREW", &[("x-a", "1"), ("x-a", "2")]);
    far.write_all(b"HTTP/1.1 204 x\r\n\r\n").await.unwrap();
    assert_eq!(answered(&mut connection).await, 204);
    drop(connection);
    let mut heard = String::new();
    far.read_to_string(&mut heard).await.unwrap();
    assert_eq!(
        heard,
        "BREW /a?b HTTP/1.1\r\nhost: a.test\r\nx-a: 1\r\nx-a: 2\r\n\r\n"
    );
}

#[tokio::test(flavor = "local")]
async fn a_chunked_request_without_a_body_has_its_last_chunk() {
    let (mut connection, mut far) = asked("POST", &[("transfer-encoding", "chunked")]);
    far.write_all(b"HTTP/1.1 204 x\r\n\r\n").await.unwrap();
    assert_eq!(answered(&mut connection).await, 204);
    drop(connection);
    let mut heard = String::new();
    far.read_to_string(&mut heard).await.unwrap();
    assert!(heard.ends_with("chunked\r\n\r\n0\r\n\r\n"), "{heard}");
}

#[tokio::test(flavor = "local")]
async fn a_connection_serves_again_when_both_messages_ended_and_nothing_is_left_over() {
    for (answer, clean) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx", true),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
            true,
        ),
        ("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nxy", false),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 1\r\nconnection: close\r\n\r\nx",
            false,
        ),
        ("HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\nx", false),
    ] {
        let (mut connection, mut far) = asked("GET", &[]);
        far.write_all(answer.as_bytes()).await.unwrap();
        assert_eq!(answered(&mut connection).await, 200);
        assert!(!connection.is_clean(), "{answer:?}");
        assert_eq!(rest(&mut connection).await, b"x");
        assert_eq!(connection.is_clean(), clean, "{answer:?}");
    }
}

#[tokio::test(flavor = "local")]
async fn an_idle_connection_is_quiet_until_something_comes_or_it_ends() {
    for last_words in [&b""[..], b"HTTP/1.1 408 x\r\n\r\n"] {
        let (mut connection, mut far) = asked("GET", &[]);
        far.write_all(b"HTTP/1.1 204 x\r\n\r\n").await.unwrap();
        assert_eq!(answered(&mut connection).await, 204);
        assert!(connection.is_quiet());
        far.write_all(last_words).await.unwrap();
        if last_words.is_empty() {
            drop(far);
        }
        // The runtime hears of it at its next turn.
        while connection.is_quiet() {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test(flavor = "local")]
async fn an_answer_to_a_request_that_was_not_taken_is_still_heard() {
    let (mut connection, mut far) = asked("GET", &[("x-large", "")]);
    connection.output.text.resize(4 << 20, b'x');
    far.write_all(b"HTTP/1.1 431 x\r\ncontent-length: 2\r\n\r\nno")
        .await
        .unwrap();
    drop(far);
    assert_eq!(answered(&mut connection).await, 431);
    assert_eq!(rest(&mut connection).await, b"no");
    assert!(!connection.is_clean());
}

#[tokio::test(flavor = "local")]
async fn interim_answers_have_an_end() {
    let (mut connection, mut far) = asked("GET", &[]);
    let interim = b"HTTP/1.1 103 x\r\n\r\n".repeat(INTERIM_MAX as usize + 1);
    far.write_all(&interim).await.unwrap();
    let answer = poll_fn(|cx| connection.poll_answer(cx)).await;
    assert!(
        matches!(answer, Err(UpstreamError::Malformed(_))),
        "{answer:?}"
    );
}

#[tokio::test(flavor = "local")]
async fn an_end_before_the_first_octet_is_told_apart_from_one_in_the_middle() {
    for (said, untouched) in [("", true), ("H", false), ("HTTP/1.1 103 x\r\n\r\n", false)] {
        let (mut connection, mut far) = asked("GET", &[]);
        let upstream = async {
            let _octets = far.read(&mut [0; 512]).await.unwrap();
            far.write_all(said.as_bytes()).await.unwrap();
            drop(far);
        };
        let (answer, ()) = tokio::join!(poll_fn(|cx| connection.poll_answer(cx)), upstream);
        let is_closed = matches!(answer, Err(UpstreamError::Closed(_)));
        assert_eq!(is_closed, untouched, "{said:?}: {answer:?}");
        assert!(
            is_closed || matches!(answer, Err(UpstreamError::Cut(_))),
            "{answer:?}"
        );
    }
}

#[tokio::test(flavor = "local")]
async fn a_request_of_which_nothing_was_written_is_told_apart() {
    let (near, far) = UnixStream::pair().unwrap();
    drop(far);
    let mut connection = Connection::new(Stream::Unix(near));
    connection.ask(&get("POST"), Outgoing::Empty);
    let answer = poll_fn(|cx| connection.poll_answer(cx)).await;
    assert!(
        matches!(answer, Err(UpstreamError::Unsent(_))),
        "{answer:?}"
    );

    // More than a record of TLS: who knows what was sent of it.
    let (near, far) = UnixStream::pair().unwrap();
    drop(far);
    let mut connection = Connection::new(Stream::Unix(near));
    connection.ask(&get("POST"), Outgoing::Empty);
    connection.output.text.resize(17 << 10, b'x');
    let answer = poll_fn(|cx| connection.poll_answer(cx)).await;
    assert!(
        matches!(answer, Err(UpstreamError::Closed(_))),
        "{answer:?}"
    );
}

#[tokio::test(flavor = "local")]
async fn what_came_behind_a_switch_of_protocols_is_kept() {
    let (mut connection, mut far) = asked("GET", &[("upgrade", "x"), ("connection", "upgrade")]);
    far.write_all(b"HTTP/1.1 101 x\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nearly")
        .await
        .unwrap();
    assert_eq!(answered(&mut connection).await, 101);
    assert!(!connection.is_clean());
    let (mut stream, early) = connection.into_switched().unwrap();
    assert_eq!(early, "early");
    Pin::new(&mut stream).write_all(b"more").await.unwrap();
}

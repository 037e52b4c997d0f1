use rustls::ServerConfig;
use rustls_pki_types::PrivatePkcs8KeyDer;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::causes::one_line;
use crate::certs::fixture::{Authority, days};
use crate::clock::Clock;

const PATIENCE: Duration = Duration::from_secs(20);

/// Reads one request without a body and answers it with these octets; gives what was asked.
async fn answer_one(mut stream: impl AsyncRead + AsyncWrite + Unpin, answer: &[u8]) -> String {
    let mut asked = Vec::new();
    while !asked.ends_with(b"\r\n\r\n") {
        assert_ne!(stream.read_buf(&mut asked).await.unwrap(), 0);
    }
    let _may_be_refused = stream.write_all(answer).await;
    let _may_be_gone = stream.shutdown().await;
    String::from_utf8(asked).unwrap()
}

fn long(length: usize) -> Vec<u8> {
    let mut answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n").into_bytes();
    answer.resize(answer.len() + length, b'x');
    answer
}

/// Asks a server with a certificate of `authority`.
async fn ask_in_secret(
    authority: &Authority,
    client: &Client,
    answer: &[u8],
) -> (String, Result<Response<Bytes>, HttpError>) {
    let now = Clock::system().now();
    let leaf = authority.leaf(&["127.0.0.1"], now - days(1)..now + days(1));
    let key = rcgen::KeyPair::from_pem(&leaf.key_pem).unwrap();
    let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/directory", listener.local_addr().unwrap());
    let serving = async {
        let (stream, _) = listener.accept().await.unwrap();
        match TlsAcceptor::from(Arc::new(config)).accept(stream).await {
            Ok(stream) => answer_one(stream, answer).await,
            Err(_not_trusted) => String::new(),
        }
    };
    tokio::join!(serving, client.send(bare(Request::get(url)).unwrap()))
}

/// Asks a server without TLS.
async fn ask(client: &Client, answer: &[u8]) -> Result<Response<Bytes>, HttpError> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/?token=secret", listener.local_addr().unwrap());
    let serving = async {
        let (stream, _) = listener.accept().await.unwrap();
        answer_one(stream, answer).await
    };
    let (_, answered) = tokio::join!(serving, client.send(bare(Request::get(url)).unwrap()));
    answered
}

#[tokio::test]
async fn extra_roots_are_trusted_and_the_agent_is_named() {
    let authority = Authority::new();
    let client = Client::kept(Some(authority.pem.as_bytes()), PATIENCE).unwrap();
    let (asked, answered) = ask_in_secret(&authority, &client, &long(5)).await;
    assert_eq!(answered.unwrap().into_body(), "xxxxx");
    let agent = format!("user-agent: {}", AGENT.to_lowercase());
    assert!(asked.to_lowercase().contains(&agent), "{asked}");
}

#[tokio::test]
async fn a_server_that_nobody_vouches_for_is_refused_with_the_reason() {
    let authority = Authority::new();
    for client in [
        Client::kept(None, PATIENCE).unwrap(),
        Client::single(PATIENCE),
    ] {
        let (asked, answered) = ask_in_secret(&authority, &client, &long(5)).await;
        assert_eq!(asked, "");
        let line = one_line(&answered.unwrap_err());
        assert!(line.contains("invalid peer certificate"), "{line}");
    }
}

#[tokio::test]
async fn an_endless_answer_is_cut() {
    let client = Client::single(PATIENCE);
    let longest = ask(&client, &long(ANSWER_BYTES_MAX)).await.unwrap();
    assert_eq!(longest.body().len(), ANSWER_BYTES_MAX);
    let longer = ask(&client, &long(ANSWER_BYTES_MAX + 1)).await;
    assert!(
        matches!(longer, Err(HttpError::TooLong { .. })),
        "{longer:?}"
    );
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_none() {
    let mut half = long(10);
    half.truncate(half.len() - 5);
    let answered = ask(&Client::single(PATIENCE), &half).await;
    assert!(
        matches!(answered, Err(HttpError::Broken { .. })),
        "{answered:?}"
    );
}

#[tokio::test]
async fn who_never_answers_is_left_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let client = Client::single(Duration::ZERO);
    let request = bare(Request::get(format!("http://{address}/"))).unwrap();
    let error = client.send(request).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("`{address}` did not answer within 0ns")
    );
}

#[tokio::test]
async fn errors_name_the_server_and_no_secret() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let url = format!("http://user:secret@{address}/secret?token=secret");
    let request = bare(Request::get(url)).unwrap();
    let error = Client::single(PATIENCE).send(request).await.unwrap_err();
    let line = one_line(&error);
    let begin = format!("`{address}` cannot be reached: ");
    assert!(line.starts_with(&begin), "{line}");
    assert!(!line.contains("secret"), "{line}");
    assert!(!line.contains("client error"), "{line}");
}

#[tokio::test]
async fn who_insists_on_tls_asks_nothing_without_it() {
    let client = Client::kept(None, PATIENCE).unwrap();
    let request = bare(Request::get("http://127.0.0.1:9/directory")).unwrap();
    let error = client.send(request).await.unwrap_err();
    assert!(matches!(error, HttpError::Unreachable { .. }), "{error:?}");
}

#[test]
fn roots_that_are_none_are_named() {
    let roots = b"-----BEGIN CERTIFICATE-----\n!!!\n";
    let error = Client::kept(Some(roots), PATIENCE).unwrap_err();
    assert!(matches!(error, BadRoots::NoPem(_)), "{error}");
}

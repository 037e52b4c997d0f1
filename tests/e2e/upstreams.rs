//! Ways to an upstream: one of several, by both loopback families, a Unix socket, verified TLS, HTTP/2 with prior knowledge.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::thread;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::support::absent::nobody;
use crate::support::authority::{Authority, Pair};
use crate::support::backend::{Backend, ok};
use crate::support::client::{curl, get};
use crate::support::door::{Door, Home};
use crate::support::peer::{End, Peer, field, fields};
use crate::support::wire::Wire;

/// `a.test` in clear text, to these targets.
fn door(to: &str, rest: &str) -> Door {
    let site = format!("\"a.test\" = {{ to = {to}, tls = \"off\", {rest} }}");
    Door::serving("workers = 1", &site)
}

const GET: &str = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";

#[test]
fn several_targets_take_turns_and_a_dead_one_is_passed_over() {
    let backends = [
        Backend::saying("one"),
        Backend::saying("two"),
        Backend::saying("three"),
    ];
    let [one, two, three] = [0, 1, 2].map(|index: usize| backends[index].address);
    let alive = door(&format!("[\"{one}\", \"{two}\", \"{three}\"]"), "");
    let mut wire = Wire::plain(&alive);
    let mut counts: HashMap<String, u32> = HashMap::new();
    for _ in 0..30 {
        *counts.entry(wire.ask(GET).text()).or_default() += 1;
    }
    assert!(counts.values().all(|count| *count == 10), "{counts:?}");

    let dead = nobody();
    let door = door(&format!("[\"{one}\", \"{dead}\", \"{two}\"]"), "");
    let mut wire = Wire::plain(&door);
    for _ in 0..12 {
        assert_eq!(wire.ask(GET).status(), 200);
        let post = "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 4\r\n\r\nbody";
        assert_eq!(wire.ask(post).status(), 200);
    }
}

#[test]
fn localhost_is_dialled_by_both_families() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let listener = TcpListener::bind(address).unwrap();
        let port = listener.local_addr().unwrap().port();
        let serving = serve(listener, |listener| listener.accept().unwrap().0);
        for target in [
            format!("localhost:{port}"),
            format!("{port}"),
            format!("http://localhost:{port}"),
        ] {
            let door = door(&format!("\"{target}\""), "");
            assert_eq!(
                Wire::plain(&door).ask(GET).text(),
                "served",
                "{target} {address}"
            );
        }
        drop(serving);
    }
}

#[test]
fn a_unix_socket_is_a_target() {
    let home = Home::new("");
    let path = home.path().join("upstream.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let _serving = serve(listener, |listener| listener.accept().unwrap().0);
    let door = door(&format!("\"unix:{}\"", path.display()), "");
    assert_eq!(Wire::plain(&door).ask(GET).text(), "served");
}

/// Answers every request of every connection.
fn serve<L: Send + 'static, S: std::io::Read + std::io::Write + Send + 'static>(
    listener: L,
    accept: impl Fn(&L) -> S + Send + 'static,
) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        loop {
            let stream = accept(&listener);
            thread::spawn(move || answer_all(stream));
        }
    })
}

fn answer_all(stream: impl std::io::Read + std::io::Write) {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    while matches!(stream.read_line(&mut line), Ok(1..)) {
        if line == "\r\n" && stream.get_mut().write_all(&ok("served")).is_err() {
            break;
        }
        line.clear();
    }
}

/// An upstream that speaks TLS with this certificate.
fn secure(pair: &Pair) -> Backend {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![pair.certificate.clone()], pair.key())
        .unwrap();
    let config = Arc::new(config);
    Backend::raw(move |stream| {
        let connection = ServerConnection::new(config.clone()).unwrap();
        answer_all(StreamOwned::new(connection, stream));
    })
}

#[test]
fn tls_upstreams_are_verified_by_name() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let right = secure(&authority.pair(&["localhost", "other.test"]));
    let by_address = secure(&authority.pair(&["127.0.0.1"]));
    let wrong = secure(&authority.pair(&["wrong.test"]));
    let expired = secure(&authority.expired(&["localhost"]));
    let plain = Backend::raw(|mut stream| drop(stream.write_all(&ok("no TLS"))));
    let url = |backend: &Backend, host: &str| format!("https://{host}:{}", backend.address.port());
    let ca = r#"ca = "ca.pem""#;
    let cases = [
        (url(&right, "localhost"), ca.to_owned(), 200),
        (url(&by_address, "127.0.0.1"), ca.to_owned(), 200),
        (
            url(&right, "127.0.0.1"),
            format!(r#"{ca}, sni = "other.test""#),
            200,
        ),
        (
            url(&wrong, "localhost"),
            r#"insecure = true"#.to_owned(),
            200,
        ),
        (
            url(&expired, "localhost"),
            r#"insecure = true"#.to_owned(),
            200,
        ),
        (url(&wrong, "localhost"), ca.to_owned(), 502),
        (url(&right, "127.0.0.1"), ca.to_owned(), 502),
        (
            url(&right, "localhost"),
            format!(r#"{ca}, sni = "third.test""#),
            502,
        ),
        (
            url(&right, "localhost"),
            r#"ca = "stranger.pem""#.to_owned(),
            502,
        ),
        (url(&expired, "localhost"), ca.to_owned(), 502),
        (url(&plain, "127.0.0.1"), ca.to_owned(), 502),
    ];
    let sites: String = cases
        .iter()
        .enumerate()
        .map(|(number, (url, options, _status))| {
            format!("\"{number}.test\" = {{ to = {{ url = \"{url}\", {options} }}, tls = \"off\", host = \"preserve\" }}\n")
        })
        .collect();
    let home = Home::new(&format!(
        "listen = [\"127.0.0.1:0\"]\nhttp = [\"127.0.0.1:0\"]\n[sites]\n{sites}"
    ));
    home.write("ca.pem", &authority.root_pem());
    home.write("stranger.pem", &stranger.root_pem());
    let door = Door::up_in(home, &["up"]);
    for (number, (url, options, status)) in cases.iter().enumerate() {
        let request = format!("GET / HTTP/1.1\r\nHost: {number}.test\r\n\r\n");
        let answer = Wire::plain(&door).ask(request);
        assert_eq!(
            answer.status(),
            *status,
            "{url} {options}: {}",
            answer.text()
        );
        if *status == 502 {
            assert!(answer.text().contains("upstream-tls"), "{}", answer.text());
        }
    }
    // Not even when the pool has a connection of the site that does not verify: pools are kept apart.
    let unsure = "GET / HTTP/1.1\r\nHost: 5.test\r\n\r\n";
    assert_eq!(Wire::plain(&door).ask(unsure).status(), 502);
}

#[test]
fn an_upstream_may_speak_http2_with_prior_knowledge() {
    let (mut upstream, address) = Peer::h2_upstream(&[]);
    let door = door(&format!("\"h2c://{address}\""), "");
    let mut wire = Wire::plain(&door);
    wire.send("GET /x?y HTTP/1.1\r\nHost: a.test\r\nConnection: x-gone\r\nX-Gone: 1\r\n\r\n");
    let request = upstream.wait("request");
    let fields = fields(&request);
    let field = |name| field(&fields, name);
    assert_eq!(field(":path"), Some("/x?y"));
    assert_eq!(field(":authority"), Some("a.test"));
    assert_eq!((field("x-gone"), field("connection")), (None, None));
    let stream = u32::try_from(request["stream"].as_u64().unwrap()).unwrap();
    upstream.headers(stream, &[(":status", "200")], End::No);
    upstream.data(stream, "over h2", End::Yes);
    assert_eq!(wire.answer().text(), "over h2");
}

#[test]
fn the_host_that_the_upstream_sees_is_as_configured() {
    let backend = Backend::saying("yes");
    let address = backend.address;
    let door = Door::up(&format!(
        r#"
        listen = ["127.0.0.1:0"]
        http = ["127.0.0.1:0"]
        [sites]
        "kept.test" = "{address}"
        "own.test" = {{ to = "{address}", host = "upstream" }}
        "said.test" = {{ to = "{address}", host = "said.example:8080" }}
        "#
    ));
    for host in ["kept.test", "own.test", "said.test"] {
        get(&door, host, "/");
    }
    let port = door.tls().port();
    let seen: Vec<String> = backend
        .seen()
        .iter()
        .map(|seen| seen.all("host").join("|"))
        .collect();
    let kept = format!("kept.test:{port}");
    assert_eq!(
        seen,
        [kept, address.to_string(), "said.example:8080".to_owned()]
    );
    let (code, _text) = curl(&door, "own.test", "/", &["--http1.1"]);
    assert_eq!(code, 0);
    let forwarded = format!("own.test:{port}");
    assert_eq!(backend.seen()[3].all("x-forwarded-host"), [forwarded]);
}

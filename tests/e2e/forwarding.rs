//! What passes between client and upstream, what ends here, and what is added: octet by octet.

use std::sync::{Arc, Mutex};

use crate::support::backend::{Backend, ok};
use crate::support::door::Door;
use crate::support::wire::{Answer, Wire};

/// An upstream that gives each request the next of these answers.
fn scripted(answers: &[&str]) -> Backend {
    let answers: Mutex<Vec<Vec<u8>>> = Mutex::new(
        answers
            .iter()
            .rev()
            .map(|answer| answer.as_bytes().to_vec())
            .collect(),
    );
    Backend::http(move |_request| answers.lock().unwrap().pop().unwrap())
}

fn names(head: &str) -> Vec<&str> {
    let lines = head.lines().skip(1);
    lines
        .filter_map(|line| Some(line.split_once(':')?.0))
        .collect()
}

#[test]
fn what_ends_at_our_hop_is_removed_in_both_directions() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive, X-Gone\r\n\
        Connection: x-also-gone\r\nX-Gone: 1\r\nx-also-gone: 2\r\nKeep-Alive: timeout=9\r\n\
        Proxy-Connection: close\r\nProxy-Authenticate: Basic\r\nUpgrade: h2c\r\nTE: x\r\nTrailer: X-Sum\r\nX-Kept: 3\r\n\r\n";
    let backend = scripted(&[answer]);
    let door = Door::before(&backend);
    let mut wire = Wire::tls(&door, "a.test");
    let answer = wire.ask(
        "GET / HTTP/1.1\r\nConnection: Keep-Alive, X-Gone\r\nHost: a.test\r\nx-gone: 1\r\n\
         CONNECTION: cookie\r\nCookie: a=b\r\nKeep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\n\
         Proxy-Authenticate: x\r\nProxy-Authorization: Basic x\r\nTE: gzip\r\nUpgrade: h2c\r\n\
         HTTP2-Settings: x\r\nTrailer: X-Sum\r\nX-Kept: 2\r\n\r\n",
    );
    let ours = [
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-forwarded-host",
        "x-forwarded-port",
        "x-request-id",
        "via",
    ];
    let kept = ["host", "trailer", "x-kept"];
    assert_eq!(names(&backend.only().head), [&kept[..], &ours].concat());
    let mut left = names(&answer.head);
    left.retain(|name| *name != "date" && *name != "content-length");
    assert_eq!(left, ["trailer", "x-kept"], "{}", answer.head);
}

#[test]
fn only_we_say_who_the_client_is() {
    let backend = Backend::saying("yes");
    let door = Door::before(&backend);
    let lies = "X-Forwarded-For: 1.2.3.4\r\nx-forwarded-for: 5.6.7.8\r\nX_Forwarded_For: 1.2.3.4\r\n\
        X-Forwarded_For: 1.2.3.4\r\nX-FORWARDED-PROTO: ftp\r\nX-Forwarded-Host: evil\r\nX-Forwarded-Port: 1\r\n\
        X-Forwarded-Prefix: /evil\r\nX-Forwarded-Server: evil\r\nForwarded: for=1.2.3.4\r\nX-Real-IP: 1.2.3.4\r\nX_Real_IP: 1.2.3.4\r\n\
        X-Client-Cert-Subject: CN=admin\r\nX_Client_Cert_Fingerprint: 00\r\nX-Request-Id: mine\r\nX_Request_Id: mine\r\n\
        Content_Length: 7\r\nTransfer_Encoding: chunked\r\n";
    let mut wires = [
        (
            Wire::tls(&door, "a.test"),
            "a.test",
            "https",
            door.tls().port(),
        ),
        (Wire::plain(&door), "b.test", "http", door.plain().port()),
    ];
    for (wire, host, scheme, port) in &mut wires {
        wire.ask(format!(
            "GET / HTTP/1.1\r\nHost: {host}:{port}\r\n{lies}\r\n"
        ));
        let seen = backend.seen().pop().unwrap();
        assert_eq!(seen.all("x-forwarded-for"), ["127.0.0.1"]);
        assert_eq!(seen.all("x-forwarded-proto"), [*scheme]);
        assert_eq!(seen.all("x-forwarded-host"), [format!("{host}:{port}")]);
        assert_eq!(seen.all("x-forwarded-port"), [port.to_string()]);
        assert_eq!(seen.all("host"), [format!("{host}:{port}")]);
        assert_eq!(names(&seen.head).len(), 7, "{}", seen.head);
        assert!(
            !seen.head.contains("1.2.3.4") && !seen.head.contains("evil"),
            "{}",
            seen.head
        );
        let id = uuid::Uuid::parse_str(seen.field("x-request-id").unwrap()).unwrap();
        assert_eq!(id.get_version_num(), 7);
    }
    let ids: Vec<String> = backend
        .seen()
        .iter()
        .map(|seen| seen.field("x-request-id").unwrap().to_owned())
        .collect();
    assert_ne!(ids[0], ids[1]);
}

#[test]
fn paths_and_values_pass_octet_by_octet() {
    let backend = Backend::http(|_request| {
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Odd: a\xe9\xff\tb \"c\r\n\r\n".to_vec()
    });
    let door = Door::before(&backend);
    let targets = [
        "/%7Euser/%2F//x/../y/./z;p=1,2/(a)!$&'*+=:@-._~",
        "//double//slash//",
        "/a?b=c&d=%20+e?f/g&&=",
        "/?",
        "/%zz%",
        "/{x}|\"^[]\\",
        "/UPPER/lower",
        "/caf\u{e9}?\u{fc}",
    ];
    let mut wire = Wire::tls(&door, "a.test");
    for target in targets {
        assert_eq!(
            wire.ask(format!("GET {target} HTTP/1.1\r\nHost: a.test\r\n\r\n"))
                .status(),
            200,
            "{target}"
        );
        let seen = backend.seen().pop().unwrap();
        assert_eq!(seen.line(), format!("GET {target} HTTP/1.1"));
    }
    let value = "  a\tb  \"c\" \u{e9}, ;=()<>@:\\/[]?={}  ";
    let answer = wire.ask(format!(
        "GET / HTTP/1.1\r\nHost: a.test\r\nX-Odd:{value}\r\nX!#$%&'*+-.^_`|~: 1\r\nX-Empty:\r\n\r\n"
    ));
    let seen = backend.seen().pop().unwrap();
    assert_eq!(seen.field("x-odd"), Some(value.trim()));
    assert_eq!(seen.field("x!#$%&'*+-.^_`|~"), Some("1"));
    assert_eq!(seen.field("x-empty"), Some(""));
    assert_eq!(answer.field("x-odd"), Some("a\u{fffd}\u{fffd}\tb \"c"));
}

#[test]
fn order_and_repeats_are_kept_and_cookies_never_joined() {
    let answer = "HTTP/1.1 200 OK\r\nX-B: 1\r\nSet-Cookie: a=1; Expires=Wed, 01 Jan 2031 00:00:00 GMT\r\nX-A: 2\r\n\
        Set-Cookie: b=2\r\nX-B: 3\r\nServer: theirs\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nContent-Length: 0\r\n\r\n";
    let backend = scripted(&[answer, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"]);
    let door = Door::before(&backend);
    let mut wire = Wire::tls(&door, "a.test");
    let request = "GET / HTTP/1.1\r\nX-B: 1\r\nHost: a.test\r\nX-A: 2\r\nX-B: 3\r\nCookie: a=1\r\nAccept: x, y\r\nX-B: 4, 5\r\n\r\n";
    let answer = wire.ask(request);
    let seen = backend.only();
    assert_eq!(seen.all("x-b"), ["1", "3", "4, 5"]);
    assert_eq!(names(&seen.head)[0], "x-b");
    assert_eq!(answer.all("x-b"), ["1", "3"]);
    assert_eq!(
        answer.all("set-cookie"),
        ["a=1; Expires=Wed, 01 Jan 2031 00:00:00 GMT", "b=2"]
    );
    assert_eq!(answer.all("date"), ["Mon, 01 Jan 2024 00:00:00 GMT"]);
    assert_eq!(answer.all("server"), ["theirs"]);
    assert_eq!(answer.field("via"), None, "{}", answer.head);
    let answer = wire.ask("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    assert_eq!(answer.all("date").len(), 1);
    assert_eq!(answer.field("server"), None);
}

#[test]
fn conditions_ranges_and_codings_pass_untouched() {
    let fields = [
        ("range", "bytes=0-1,5-"),
        ("if-range", "\"x\""),
        ("if-match", "*"),
        ("if-none-match", "W/\"a\", \"b\""),
        ("if-modified-since", "Mon, 01 Jan 2024 00:00:00 GMT"),
        ("if-unmodified-since", "Mon, 01 Jan 2024 00:00:00 GMT"),
        ("accept-encoding", "gzip;q=0.5, br, identity;q=0"),
        ("cache-control", "no-cache, max-age=0"),
        ("accept-language", "de, en;q=0.8"),
    ];
    let partial = "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-1/9\r\nAccept-Ranges: bytes\r\n\
        Content-Encoding: gzip\r\nETag: W/\"a\"\r\nVary: Accept-Encoding\r\nContent-Length: 2\r\n\r\nab";
    let backend = scripted(&[partial]);
    let door = Door::before(&backend);
    let lines: String = fields
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .concat();
    let answer =
        Wire::tls(&door, "a.test").ask(format!("GET / HTTP/1.1\r\nHost: a.test\r\n{lines}\r\n"));
    for (name, value) in fields {
        assert_eq!(backend.only().all(name), [value]);
    }
    assert_eq!((answer.status(), answer.text().as_str()), (206, "ab"));
    assert_eq!(answer.field("content-range"), Some("bytes 0-1/9"));
    assert_eq!(answer.field("etag"), Some("W/\"a\""));
    assert_eq!(answer.field("content-encoding"), Some("gzip"));
}

#[test]
fn answers_without_a_body_keep_their_length_and_the_connection() {
    let backend = Backend::http(|seen| match seen.line() {
        "HEAD /length HTTP/1.1" => "HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n".into(),
        "HEAD /chunked HTTP/1.1" => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".into(),
        "GET /204 HTTP/1.1" => "HTTP/1.1 204 No Content\r\nX: y\r\n\r\n".into(),
        "GET /204-length HTTP/1.1" => "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n".into(),
        "GET /304 HTTP/1.1" => {
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 12345\r\nETag: \"x\"\r\n\r\n".into()
        }
        "GET /empty HTTP/1.1" => "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".into(),
        _ => ok("body"),
    });
    let door = Door::before(&backend);
    let cases = [
        ("HEAD", "/length", 200, Some("12345")),
        ("HEAD", "/chunked", 200, None),
        ("GET", "/204", 204, None),
        ("GET", "/204-length", 204, None),
        ("GET", "/304", 304, Some("12345")),
        ("GET", "/empty", 200, Some("0")),
    ];
    for (mut wire, host) in [
        (Wire::tls(&door, "a.test"), "a.test"),
        (Wire::plain(&door), "b.test"),
    ] {
        for (method, path, status, length) in cases {
            wire.send(format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
            let head: Answer = wire.head().unwrap();
            assert_eq!(head.status(), status, "{path}");
            assert_eq!(
                head.field("content-length"),
                length,
                "{path}: {}",
                head.head
            );
            // A stray body would be read as the next answer.
            let next = wire.ask(format!("GET /next HTTP/1.1\r\nHost: {host}\r\n\r\n"));
            assert_eq!(next.text(), "body", "{path}");
        }
    }
}

#[test]
fn via_grows_by_us_and_a_loop_is_508() {
    let backend = Backend::saying("yes");
    let door = Door::before(&backend);
    let mut wire = Wire::tls(&door, "a.test");
    wire.ask("GET / HTTP/1.1\r\nHost: a.test\r\nVia: 1.0 other\r\n\r\n");
    assert_eq!(backend.only().all("via"), ["1.0 other", "1.1 onedoor"]);
    let again = "Via: 1.1 onedoor\r\n".repeat(5);
    let answer = wire.ask(format!("GET / HTTP/1.1\r\nHost: a.test\r\n{again}\r\n"));
    assert_eq!(answer.status(), 508);
    assert!(answer.text().contains("loop"), "{}", answer.text());
    assert_eq!(backend.seen().len(), 1);
}

#[test]
fn a_door_that_leads_to_itself_is_a_loop() {
    // The upstream passes every request on to wherever `onward` says: here, to the door it came from.
    let onward: Arc<Mutex<Option<std::net::SocketAddr>>> = Arc::default();
    let next = onward.clone();
    let backend = Backend::http(move |seen| {
        let address = next.lock().unwrap().unwrap();
        let mut wire = Wire::over(crate::support::client::plain(address));
        let answer = wire.ask(format!("{}\r\n", seen.head));
        ok(&format!("{} {}", answer.status(), answer.text()))
    });
    let door = Door::before(&backend);
    *onward.lock().unwrap() = Some(door.plain());
    let answer = Wire::plain(&door).ask("GET / HTTP/1.1\r\nHost: b.test\r\n\r\n");
    assert!(
        answer.text().contains("508 Loop Detected: loop"),
        "{}",
        answer.text()
    );
    assert!(backend.seen().len() < 10);
}

#[test]
fn max_forwards_ends_or_counts_trace_and_options_only() {
    let backend = Backend::saying("yes");
    let door = Door::before(&backend);
    let mut wire = Wire::tls(&door, "a.test");
    let mut ask = |method: &str, hops: &str| {
        wire.ask(format!(
            "{method} / HTTP/1.1\r\nHost: a.test\r\nMax-Forwards: {hops}\r\n\r\n"
        ))
    };
    assert_eq!(ask("OPTIONS", "0").status(), 200);
    assert_eq!(ask("TRACE", "0").status(), 405);
    assert!(backend.seen().is_empty());
    for (method, hops, left) in [
        ("OPTIONS", "3", "2"),
        ("TRACE", "1", "0"),
        ("GET", "0", "0"),
    ] {
        assert_eq!(ask(method, hops).text(), "yes");
        assert_eq!(backend.seen().pop().unwrap().all("max-forwards"), [left]);
    }
}

#[test]
fn upstream_connections_are_used_again() {
    let connections: Arc<Mutex<u32>> = Arc::default();
    let counted = connections.clone();
    let backend = Backend::raw(move |stream| {
        *counted.lock().unwrap() += 1;
        let mut reader = std::io::BufReader::new(stream.try_clone().unwrap());
        let mut writer = stream;
        while crate::support::backend::read_request(&mut reader).is_some() {
            std::io::Write::write_all(&mut writer, &ok("yes")).unwrap();
        }
    });
    let door = Door::before(&backend);
    let mut wire = Wire::tls(&door, "a.test");
    for _ in 0..20 {
        assert_eq!(
            wire.ask("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2\r\n\r\nab")
                .text(),
            "yes"
        );
    }
    assert_eq!(*connections.lock().unwrap(), 1);
}

//! Answers that onedoor gives itself, and what a site's rules do to a request on its way.

use std::net::{SocketAddr, UdpSocket};

use crate::support::backend::Backend;
use crate::support::client::{curl, plain};
use crate::support::door::Door;
use crate::support::wire::{Answer, Wire};

/// Both kinds of sockets, then whatever the test adds.
fn door(sites: &str) -> Door {
    Door::up(&format!(
        "listen = [\"127.0.0.1:0\"]\nhttp = [\"127.0.0.1:0\"]\n[sites]\n{sites}"
    ))
}

fn ask(wire: &mut Wire, host: &str, path: &str, fields: &str) -> Answer {
    wire.ask(format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n"
    ))
}

fn on_tls(door: &Door, host: &str, path: &str) -> Answer {
    ask(&mut Wire::tls(door, host), host, path, "")
}

#[test]
fn replies_are_text_or_json_as_accept_prefers() {
    let door = door("\"a.test\" = { to = \"127.0.0.1:1\", tls = \"off\" }");
    let mut wire = Wire::plain(&door);
    for (accept, is_json) in [
        ("", false),
        ("Accept: */*\r\n", false),
        ("Accept: application/json\r\n", true),
        ("Accept: text/plain;q=0.1, application/json\r\n", true),
    ] {
        let answer = ask(&mut wire, "a.test", "/", accept);
        assert_eq!(answer.status(), 502);
        assert_eq!(answer.field("cache-control"), Some("no-store"));
        let id = answer.field("x-request-id").unwrap();
        let kind = answer.field("content-type").unwrap();
        if is_json {
            let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
            assert_eq!(kind, "application/json");
            assert_eq!(body["status"], 502);
            assert_eq!(body["error"], "upstream-refused");
            assert_eq!(body["request_id"], id);
            assert!(
                body["message"].as_str().unwrap().contains("127.0.0.1:1"),
                "{body}"
            );
        } else {
            assert_eq!(kind, "text/plain; charset=utf-8", "{accept}");
            assert!(
                answer
                    .text()
                    .starts_with("502 Bad Gateway: upstream-refused\n127.0.0.1:1"),
                "{}",
                answer.text()
            );
            assert!(answer.text().contains(id));
        }
    }
}

#[test]
fn strangers_are_not_told_how_this_machine_is_set_up() {
    let door = Door::up(
        r#"
        listen = ["127.0.0.1:0"]
        http = ["0.0.0.0:0"]
        [sites]
        "a.test" = { to = "127.0.0.1:1", tls = "off" }
        "#,
    );
    let port = door.plain().port();
    let stranger = SocketAddr::from((address_besides_loopback(), port));
    for (host, code) in [
        ("a.test", "502 Bad Gateway: upstream-refused"),
        ("b.test", "404 Not Found: unknown-host"),
    ] {
        let answer = ask(&mut Wire::over(plain(stranger)), host, "/", "");
        let id = answer.field("x-request-id").unwrap();
        assert_eq!(answer.text(), format!("{code}\nrequest {id}\n"));
        let json = ask(
            &mut Wire::over(plain(stranger)),
            host,
            "/",
            "Accept: application/json\r\n",
        );
        let body: serde_json::Value = serde_json::from_slice(&json.body).unwrap();
        assert_eq!(body.get("message"), None);
        let local = SocketAddr::from(([127, 0, 0, 1], port));
        let told = ask(&mut Wire::over(plain(local)), host, "/", "").text();
        assert!(
            told.contains("127.0.0.1:1") || told.contains("a.test"),
            "{told}"
        );
    }
}

/// This machine as others see it. Nothing is sent: a datagram socket only looks for its route.
fn address_besides_loopback() -> std::net::Ipv4Addr {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    let found = socket
        .connect("192.0.2.1:9")
        .and_then(|()| socket.local_addr());
    match found {
        Ok(SocketAddr::V4(address)) if !address.ip().is_loopback() => *address.ip(),
        other => panic!("this test needs an IPv4 address besides loopback: {other:?}"),
    }
}

#[test]
fn unknown_hosts_are_404_in_the_clear_and_421_behind_another_name() {
    let backend = Backend::saying("yes");
    let to = backend.address;
    let door = door(&format!(
        "\"a.test\" = \"{to}\"\n\"b.test\" = \"{to}\"\n\"c.test\" = {{ to = \"{to}\", aliases = [\"d.test\"] }}\n\
         \"plain.test\" = {{ to = \"{to}\", tls = \"off\" }}"
    ));
    let lost = ask(&mut Wire::plain(&door), "nowhere.test", "/", "");
    assert_eq!(lost.status(), 404);
    assert!(lost.text().contains("unknown-host"), "{}", lost.text());
    assert!(lost.text().contains("plain.test"), "{}", lost.text());
    for host in ["b.test", "nowhere.test", "plain.test"] {
        let mut wire = Wire::tls(&door, "a.test");
        let answer = ask(&mut wire, host, "/", "");
        assert_eq!(answer.status(), 421, "{host}");
        assert!(answer.text().contains("misdirected"), "{}", answer.text());
        wire.closes();
    }
    assert!(backend.seen().is_empty());
    assert_eq!(
        ask(&mut Wire::tls(&door, "a.test"), "A.TEST.:443", "/", "").status(),
        200
    );
}

#[test]
fn the_plain_port_sends_people_to_https_with_path_and_query() {
    let backend = Backend::saying("yes");
    let door = door(&format!("\"a.test\" = \"{}\"", backend.address));
    let port = door.tls().port();
    for method in ["GET", "HEAD", "POST"] {
        let mut wire = Wire::plain(&door);
        wire.send(format!(
            "{method} /x%2Fy/../z?q=%20&r HTTP/1.1\r\nHost: a.test:80\r\nContent-Length: 0\r\n\r\n"
        ));
        let answer = wire.head().unwrap();
        assert_eq!(answer.status(), 308);
        let location = format!("https://a.test:{port}/x%2Fy/../z?q=%20&r");
        assert_eq!(answer.field("location"), Some(location.as_str()));
    }
    assert!(backend.seen().is_empty());
}

#[test]
fn plain_http_on_the_tls_port_gets_a_hint() {
    let door = door("\"a.test\" = \"127.0.0.1:1\"");
    for request in [
        "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n",
        "POST /x HTTP/1.0\r\n\r\n",
    ] {
        let mut wire = Wire::over(plain(door.tls()));
        let answer = wire.ask(request);
        assert_eq!(answer.status(), 400);
        assert!(
            answer.text().contains("plain-http-on-tls"),
            "{}",
            answer.text()
        );
        assert!(answer.text().contains("https://"), "{}", answer.text());
        wire.closes();
    }
}

#[test]
fn redirects_and_fixed_answers_need_no_upstream() {
    let door = door(
        r#"
        "origin.test" = { redirect = "https://new.example" }
        "path.test"   = { redirect = "https://new.example/fixed?x", status = 302 }
        "away.test"   = { respond = { status = 503, body = "back soon", type = "text/html" } }
        "robots.test" = { respond = { status = 200, body = "User-agent: *" } }
        "#,
    );
    let answer = on_tls(&door, "origin.test", "/a/b?c=d");
    assert_eq!(answer.status(), 308);
    assert_eq!(
        answer.field("location"),
        Some("https://new.example/a/b?c=d")
    );
    let answer = on_tls(&door, "path.test", "/a/b?c=d");
    assert_eq!(answer.status(), 302);
    assert_eq!(
        answer.field("location"),
        Some("https://new.example/fixed?x")
    );
    let answer = on_tls(&door, "away.test", "/any");
    assert_eq!(
        (answer.status(), answer.text().as_str()),
        (503, "back soon")
    );
    assert_eq!(answer.field("content-type"), Some("text/html"));
    let (code, text) = curl(&door, "robots.test", "/robots.txt", &["--http2", "--fail"]);
    assert_eq!((code, text.as_str()), (0, "User-agent: *"));
    let (code, text) = curl(&door, "robots.test", "/", &["--head"]);
    assert_eq!(code, 0);
    assert!(text.contains("content-length: 13"), "{text}");
}

#[test]
fn rules_for_fields_set_add_remove_and_expand() {
    let backend = Backend::http(|_request| {
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Powered-By: x\r\nX-More: theirs\r\nServer: theirs\r\n\r\n".into()
    });
    let door = door(&format!(
        r#"
        [sites."a.test"]
        to = "{}"
        hsts = "365d"
        [sites."a.test".headers.request]
        X-Set = "{{client_ip}} {{host}} {{scheme}} {{tls_version}}"
        X-Id = "{{request_id}}"
        X-Several = ["one", "two"]
        X-Gone = false
        "+X-More" = "ours"
        [sites."a.test".headers.response]
        X-Powered-By = false
        Server = "onedoor"
        "+X-More" = "ours"
        X-Id = "{{request_id}}"
        "#,
        backend.address
    ));
    let mut wire = Wire::tls(&door, "a.test");
    let answer = ask(
        &mut wire,
        "a.test",
        "/",
        "X-Gone: 1\r\nX-Set: theirs\r\nX-More: theirs\r\n",
    );
    let seen = backend.only();
    assert_eq!(seen.all("x-set"), ["127.0.0.1 a.test https TLSv1.3"]);
    assert_eq!(seen.all("x-id"), seen.all("x-request-id"));
    assert_eq!(seen.all("x-several"), ["one", "two"]);
    assert_eq!(seen.field("x-gone"), None);
    assert_eq!(seen.all("x-more"), ["theirs", "ours"]);
    assert_eq!(answer.field("x-powered-by"), None);
    assert_eq!(answer.all("server"), ["onedoor"]);
    assert_eq!(answer.all("x-more"), ["theirs", "ours"]);
    assert_eq!(answer.field("x-id"), seen.field("x-request-id"));
    assert_eq!(
        answer.all("strict-transport-security"),
        ["max-age=31536000"]
    );
}

#[test]
fn paths_choose_the_longest_prefix_and_what_is_sent_of_them() {
    let root = Backend::saying("root");
    let api = Backend::saying("api");
    let second = Backend::saying("second");
    let exact = Backend::saying("exact");
    let door = door(&format!(
        r#"
        [sites."a.test"]
        to = "{}"
        [sites."a.test".paths]
        "/api" = {{ to = "{}", strip = true }}
        "/api/v2" = "{}"
        "/api/health$" = "{}"
        "/old" = {{ rewrite = {{ from = "^/old/(.*)$", to = "/new/$1" }} }}
        [sites."only.test".paths]
        "/x" = "{}"
        "#,
        root.address, api.address, second.address, exact.address, root.address
    ));
    let mut wire = Wire::tls(&door, "a.test");
    for (path, whom, sent) in [
        ("/", "root", "/"),
        ("/apis?x", "root", "/apis?x"),
        ("/API", "root", "/API"),
        ("/api", "api", "/"),
        ("/api/", "api", "/"),
        ("/api/users%2F1//x?q=%20", "api", "/users%2F1//x?q=%20"),
        ("/%61pi/users", "api", "/users"),
        ("/api/v2", "second", "/api/v2"),
        ("/api/v2/x", "second", "/api/v2/x"),
        ("/api/v20", "api", "/v20"),
        ("/api/health", "exact", "/api/health"),
        ("/api/health/", "api", "/health/"),
        ("/old/a/b?c", "root", "/new/a/b?c"),
    ] {
        let answer = ask(&mut wire, "a.test", path, "");
        assert_eq!(answer.text(), whom, "{path}");
        let backend = [
            ("root", &root),
            ("api", &api),
            ("second", &second),
            ("exact", &exact),
        ];
        let (_name, backend) = backend.into_iter().find(|(name, _)| *name == whom).unwrap();
        let seen = backend.seen().pop().unwrap();
        assert_eq!(seen.line(), format!("GET {sent} HTTP/1.1"), "{path}");
        let prefix = (whom == "api").then_some("/api");
        assert_eq!(seen.field("x-forwarded-prefix"), prefix, "{path}");
    }
    let (before, other) = (root.seen().len(), api.seen().len());
    for path in [
        "/../x",
        "/api/..%2fadmin",
        "/api/%2e%2e%2fx",
        "/api/..\\x",
        "/api/../../x",
        "/api/..;/x",
    ] {
        let answer = on_tls(&door, "a.test", path);
        assert_eq!(answer.status(), 400, "{path}");
        assert!(
            answer.text().contains("escaping-path"),
            "{path}: {}",
            answer.text()
        );
    }
    assert_eq!((root.seen().len(), api.seen().len()), (before, other));
    let answer = on_tls(&door, "only.test", "/y");
    assert_eq!(answer.status(), 404);
    assert!(answer.text().contains("no-route"), "{}", answer.text());
}

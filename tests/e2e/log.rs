//! The access log: one line a request, in three forms, into a file that may be rotated.

use std::fs;
use std::io::{Read as _, Write as _};
use std::sync::Mutex;
use std::sync::mpsc;

use rustix::process::Signal;
use serde_json::Value;

use crate::support::absent::nobody;
use crate::support::answer::get_on;
use crate::support::backend::Backend;
use crate::support::client::{ask, get, plain, read_all, tls};
use crate::support::door::{Door, Home};
use crate::support::eventually;

#[test]
fn a_request_is_one_line_of_text() {
    let backend = Backend::saying("twelve bytes");
    let door = up(&config(&backend, "text"));
    assert_eq!(get(&door, "a.test", "/path?q=1"), "twelve bytes");
    let line = &lines(&door, 1)[0];
    let fields: Vec<&str> = line.split(' ').collect();
    assert!(fields[0].ends_with('Z'), "{line}");
    let place = format!("a.test:{}/path?q=1", door.tls().port());
    assert_eq!(
        fields[1..7],
        ["127.0.0.1", "GET", &place, "HTTP/2", "200", "12B"]
    );
    assert!(
        line.contains(&format!(" to={} ", backend.address)),
        "{line}"
    );
}

#[test]
fn a_request_is_one_object_of_json() {
    let backend = Backend::saying("twelve bytes");
    let door = up(&config(&backend, "json"));
    let mut stream = tls(&door, "a.test", &["http/1.1"]);
    ask(
        &mut stream,
        b"POST /\"x HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\nConnection: close\r\n\
          User-Agent: quo\"te\r\nReferer: https://b.test/\r\n\r\nabc",
    );
    get_on(&mut tls(&door, "a.test", &[]), "a.test", "/second");
    let lines: Vec<Value> = lines(&door, 2)
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    // Two connections may be two workers, whose lines arrive in any order.
    let (posts, others): (Vec<_>, Vec<_>) = lines.iter().partition(|line| line["method"] == "POST");
    let line = posts[0];
    assert_eq!(line["site"], "a.test");
    assert_eq!(line["target"], "/\"x");
    assert_eq!(line["version"], "HTTP/1.1");
    assert_eq!(line["status"], 200);
    assert_eq!((&line["sent"], &line["received"]), (&12.into(), &3.into()));
    assert_eq!(line["upstream"], backend.address.to_string());
    assert_eq!(line["user_agent"], "quo\"te");
    assert_eq!(line["referer"], "https://b.test/");
    assert_eq!(line["tls"], "TLSv1.3");
    assert_eq!(
        line["request_id"],
        backend.seen()[0].field("x-request-id").unwrap()
    );
    assert_eq!(others[0]["target"], "/second");
}

#[test]
fn a_request_is_one_line_of_the_combined_format() {
    let backend = Backend::saying("twelve bytes");
    let door = up(&config(&backend, "combined"));
    get_on(&mut tls(&door, "a.test", &[]), "a.test", "/path");
    let line = &lines(&door, 1)[0];
    assert!(line.starts_with("127.0.0.1 - - ["), "{line}");
    assert!(
        line.ends_with("] \"GET /path HTTP/1.1\" 200 12 \"-\" \"-\""),
        "{line}"
    );
}

#[test]
fn a_log_that_was_moved_away_is_reopened() {
    let backend = Backend::saying("served");
    let door = up(&config(&backend, "text"));
    get(&door, "a.test", "/first");
    assert_eq!(lines(&door, 1).len(), 1);
    let folder = door.home().path();
    fs::rename(folder.join("logs/access.log"), folder.join("logs/old.log")).unwrap();
    get(&door, "a.test", "/second");
    eventually("the line in the moved file", || {
        door.home()
            .read("logs/old.log")
            .contains("/second")
            .then_some(())
    });
    door.signal(Signal::USR1);
    eventually("the new file", || {
        folder.join("logs/access.log").exists().then_some(())
    });
    // It is there a moment before it is written to.
    eventually("a line in the new file", || {
        get(&door, "a.test", "/third");
        let log = door.home().read("logs/access.log");
        log.contains("/third").then_some(())
    });
    let old = door.home().read("logs/old.log");
    get(&door, "a.test", "/fourth");
    eventually("the next line in the new file", || {
        let log = door.home().read("logs/access.log");
        log.contains("/fourth").then_some(())
    });
    assert_eq!(door.home().read("logs/old.log"), old);
}

#[test]
fn a_client_that_leaves_is_logged_as_499() {
    let (arrived, arrival) = mpsc::channel();
    let arrived = Mutex::new(arrived);
    let backend = Backend::raw(move |mut stream| {
        let mut space = [0; 4096];
        let _head = stream.read(&mut space);
        // The test may be over.
        let _over = arrived.lock().unwrap().send(());
        let _end = stream.read(&mut space);
    });
    let door = up(&config(&backend, "json"));
    let mut stream = tls(&door, "a.test", &[]);
    stream
        .write_all(b"GET /slow HTTP/1.1\r\nHost: a.test\r\n\r\n")
        .unwrap();
    arrival.recv_timeout(crate::support::PATIENCE).unwrap();
    drop(stream);
    let line: Value = serde_json::from_str(&lines(&door, 1)[0]).unwrap();
    assert_eq!((&line["status"], &line["sent"]), (&499.into(), &0.into()));
    assert_eq!(line["target"], "/slow");
}

#[test]
fn refused_requests_are_logged_too() {
    let backend = Backend::saying("served");
    let door = up(&config(&backend, "json"));
    let requests: [(&[u8], u16); 4] = [
        (
            b"GET / HTTP/1.1\r\nHost: other.test\r\nConnection: close\r\n\r\n",
            421,
        ),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (
            b"GET / HTTP/1.1\r\nHost: a.test\r\nbad name: x\r\n\r\n",
            400,
        ),
        (
            b"POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            501,
        ),
    ];
    for (number, (request, status)) in requests.iter().enumerate() {
        let mut stream = tls(&door, "a.test", &[]);
        let answer = ask(&mut stream, request);
        let said: u16 = answer.split(' ').nth(1).unwrap().parse().unwrap();
        let lines = lines(&door, number + 1);
        let line: Value = serde_json::from_str(&lines[number]).unwrap();
        assert_eq!(line["status"], said, "{answer}");
        assert_eq!(said, *status, "{answer}");
        assert!(line["sent"].as_u64().unwrap() > 0, "{line}");
    }
    assert!(backend.seen().is_empty());
}

#[test]
fn an_upstream_that_is_gone_is_logged_with_its_reason() {
    let address = nobody();
    let backend = Backend::saying("");
    let text = config(&backend, "json").replace(&backend.address.to_string(), &address.to_string());
    let door = up(&text);
    let answer = get_on(&mut tls(&door, "a.test", &[]), "a.test", "/");
    assert_eq!(answer.status(), 502);
    let line: Value = serde_json::from_str(&lines(&door, 1)[0]).unwrap();
    assert_eq!(line["status"], 502);
    assert!(line["outcome"].is_string(), "{line}");
    assert_eq!(line["upstream"], address.to_string());
}

#[test]
fn a_tunnel_is_one_line_at_its_end() {
    let upstream = Backend::raw(|mut stream| {
        let asked = read_all(&mut stream);
        stream.write_all(&vec![b'x'; asked.len() * 2]).unwrap();
    });
    let nobody = nobody();
    let sites = format!(
        "\"shop.onedoor.test\" = {{ passthrough = \"{0}\" }}\n\"db.test\" = {{ tcp = \"{0}\" }}\n\
         \"gone.test\" = {{ tcp = \"{nobody}\" }}\n\"quiet.test\" = {{ tcp = \"{0}\", log = false }}\n",
        upstream.address
    );
    let config = config(&upstream, "json").replace("[sites]", "workers = 1\n[sites]");
    let door = up(&(config + &sites));
    let through = |name: &str| {
        let mut client = tls(&door, name, &[]);
        client.write_all(b"words").unwrap();
        client.conn.send_close_notify();
        read_all(&mut client).len()
    };
    assert_eq!(through("quiet.test"), 10);
    assert_eq!(through("db.test"), 10);
    let line: Value = serde_json::from_str(&lines(&door, 1)[0]).unwrap();
    let expected = [
        ("site", "db.test".into()),
        ("host", "db.test".into()),
        ("peer", "127.0.0.1".into()),
        ("version", "TCP".into()),
        ("tls", "TLSv1.3".into()),
        ("status", 200.into()),
        ("received", 5.into()),
        ("sent", 10.into()),
        ("upstream", upstream.address.to_string().into()),
        ("outcome", Value::Null),
    ];
    for (key, value) in expected {
        assert_eq!(line[key], value, "{key}");
    }
    assert!(line["duration_ms"].is_number(), "{line}");

    assert_eq!(through("gone.test"), 0);
    let line: Value = serde_json::from_str(&lines(&door, 2)[1]).unwrap();
    assert_eq!(line["status"], 502);
    assert_eq!(line["upstream"], nobody.to_string());
    assert_eq!(line["outcome"], "upstream-refused");

    let hello = include_bytes!("../hellos/chromium.bin");
    let mut client = plain(door.tls());
    client.write_all(hello).unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    read_all(&mut client);
    let line: Value = serde_json::from_str(&lines(&door, 3)[2]).unwrap();
    assert_eq!(
        (&line["version"], &line["tls"]),
        (&"TLS".into(), &Value::Null)
    );
    assert_eq!(line["host"], "shop.onedoor.test");
    assert_eq!(line["received"], hello.len());
}

#[test]
fn lines_of_the_last_moment_are_written() {
    let backend = Backend::saying("served");
    let mut door = up(&config(&backend, "text"));
    let mut stream = tls(&door, "a.test", &[]);
    for number in 0..20 {
        get_on(&mut stream, "a.test", &format!("/{number}"));
    }
    door.signal(Signal::TERM);
    assert!(door.ended().success());
    assert_eq!(door.home().read("logs/access.log").lines().count(), 20);
}

#[test]
fn a_busy_log_beside_the_configuration_does_not_hinder_reloads() {
    let backend = Backend::saying("served");
    let text = config(&backend, "text").replace("logs/access.log", "access.log");
    let door = up(&text);
    let mut stream = tls(&door, "a.test", &[]);
    let more = format!("\"b.test\" = \"{}\"\n", backend.address);
    door.home().write("proxy.toml", &(text + &more));
    eventually("the reload", || {
        get_on(&mut stream, "a.test", "/");
        (door.revision() == 2).then_some(())
    });
}

/// The folder of the log is not onedoor's to make.
fn up(config: &str) -> Door {
    let home = Home::new(config);
    fs::create_dir(home.path().join("logs")).unwrap();
    Door::up_in(home, &["up"])
}

fn config(backend: &Backend, format: &str) -> String {
    format!(
        "listen = [\"127.0.0.1:0\"]\nhttp = false\nlog.access = \"logs/access.log\"\nlog.format = \"{format}\"\n\
         [sites]\n\"a.test\" = \"{}\"\n",
        backend.address
    )
}

/// The log once it has this many lines; never more.
fn lines(door: &Door, count: usize) -> Vec<String> {
    eventually("the lines of the log", || {
        let text = door.home().read("logs/access.log");
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        assert!(lines.len() <= count, "{text}");
        (lines.len() == count && text.ends_with('\n')).then_some(lines)
    })
}

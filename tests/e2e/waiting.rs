//! The page that waits for a local upstream.

use std::io::{BufReader, Write as _};
use std::net::TcpStream;
use std::thread;

use crate::support::absent::Absent;
use crate::support::backend::{ok, read_request};
use crate::support::browser::Browser;
use crate::support::door::Door;
use crate::support::wire::{Answer, Wire};

const BROWSER: &str = "Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\n";

/// Answers every request with `answer` from now on.
fn start(absent: Absent, answer: &'static str) {
    let listener = absent.listens();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || serve(stream, answer));
        }
    });
}

fn serve(mut stream: TcpStream, answer: &str) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    while read_request(&mut reader).is_some() {
        let bytes = String::from_utf8(ok(answer)).unwrap();
        let bytes = bytes.replace("text/plain", "text/html");
        if stream.write_all(bytes.as_bytes()).is_err() {
            return;
        }
    }
}

fn ask(door: &Door, method: &str, fields: &str) -> Answer {
    Wire::tls(door, "app.localhost").ask(format!(
        "{method} /deep?x=1 HTTP/1.1\r\nHost: app.localhost\r\nContent-Length: 0\r\n{fields}\r\n"
    ))
}

fn waits(answer: &Answer) -> bool {
    let shows = answer.text().contains("http-equiv=\"refresh\"");
    assert_eq!(answer.field("retry-after"), shows.then_some("1"));
    shows
}

#[test]
fn a_browser_waits_and_shows_the_upstream_as_soon_as_it_is_there() {
    let absent = Absent::new();
    let address = absent.address;
    let door = Door::serving("", &format!("\"app.localhost\" = \"{address}\""));
    let mut browser = Browser::at(&door, "app.localhost", "/deep?x=1");
    let (tab, _title) = browser.shows(&format!("Waiting for {address}"));
    start(absent, "<title>The app is here</title>");
    let (same, _title) = browser.shows("The app is here");
    assert_eq!(same, tab);
    assert!(!waits(&ask(&door, "GET", BROWSER)));
}

#[test]
fn only_a_browser_that_goes_somewhere_waits() {
    let absent = Absent::new();
    let address = absent.address;
    let door = Door::serving("", &format!("\"app.localhost\" = \"{address}\""));
    let browser = ask(&door, "GET", BROWSER);
    assert_eq!(browser.status(), 502);
    assert!(waits(&browser), "{}", browser.text());
    assert!(
        browser
            .text()
            .contains(&format!("Nothing listens on {address} yet"))
    );
    let navigates = format!("{BROWSER}Sec-Fetch-Mode: navigate\r\n");
    assert!(waits(&ask(&door, "GET", &navigates)));
    let fetches = format!("{BROWSER}Sec-Fetch-Mode: cors\r\n");
    for (method, fields) in [
        ("GET", &*fetches),
        ("POST", BROWSER),
        ("GET", "Accept: */*\r\n"),
    ] {
        let other = ask(&door, method, fields);
        assert_eq!(other.status(), 502);
        assert!(!waits(&other), "{method} {fields}");
    }
}

#[test]
fn a_socket_that_is_not_there_is_waited_for_and_a_far_target_is_not() {
    let door = Door::serving(
        "",
        r#"
        "app.localhost" = "unix:app.sock"
        "far.localhost" = { to = "192.0.2.1:9", timeout = { connect = "50ms" } }
        "#,
    );
    let missing = ask(&door, "GET", BROWSER);
    assert!(waits(&missing), "{}", missing.text());
    assert!(
        missing.text().contains("app.sock yet"),
        "{}",
        missing.text()
    );
    let far = Wire::tls(&door, "far.localhost").ask(format!(
        "GET / HTTP/1.1\r\nHost: far.localhost\r\n{BROWSER}\r\n"
    ));
    assert!(!waits(&far), "{}", far.text());
    assert!(far.text().contains("<title>50"), "{}", far.text());
}

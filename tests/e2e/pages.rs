//! Replies of our own: a site's pages, browsers, programs.

use crate::support::backend::Backend;
use crate::support::browser::Browser;
use crate::support::client::curl;
use crate::support::door::{Door, Home};
use crate::support::eventually;
use crate::support::wire::{Answer, Wire};

const BROWSER: &str = "text/html,application/xhtml+xml,*/*;q=0.8";
const PAGE: &str = "<!doctype html><title>Oh: {status} {reason}</title><style>p{color:red}</style>{code} {request_id}";

fn home() -> Home {
    let silent = Backend::raw(|mut stream| {
        // The connection stays open until the proxy gives up.
        let _all = std::io::copy(&mut stream, &mut std::io::sink());
    });
    let home = Home::new(&format!(
        r#"
        listen = ["127.0.0.1:0"]
        http = ["127.0.0.1:0"]
        [defaults]
        errors = {{ 5xx = "pages/sorry.html" }}
        [sites."a.localhost"]
        to = "127.0.0.1:1"
        errors = {{ 502 = "pages/down.html" }}
        [sites."a.localhost".paths]
        "/plain" = {{ errors = false }}
        "/slow" = {{ to = "{}", timeout = "50ms" }}
        [sites."b.localhost".paths]
        "/x" = {{ to = "127.0.0.1:1", errors = {{ 404 = "pages/down.html" }} }}
        "#,
        silent.address
    ));
    home.write("pages/down.html", PAGE);
    home.write("pages/sorry.html", "<title>Sorry: {status}</title>");
    home
}

fn door() -> Door {
    Door::up_in(home(), &["up"])
}

fn ask(door: &Door, host: &str, path: &str, accept: &str) -> Answer {
    Wire::tls(door, host).ask(format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nAccept: {accept}\r\nSec-Fetch-Mode: cors\r\n\r\n"
    ))
}

#[test]
fn browsers_get_the_sites_page_and_programs_do_not() {
    let door = door();
    let shown = ask(&door, "a.localhost", "/", BROWSER);
    assert_eq!(shown.status(), 502);
    assert_eq!(
        shown.field("content-type"),
        Some("text/html; charset=utf-8")
    );
    assert_eq!(shown.field("cache-control"), Some("no-store"));
    assert_eq!(shown.field("x-content-type-options"), Some("nosniff"));
    let id = shown.field("x-request-id").unwrap();
    let expected = PAGE
        .replace("{status}", "502")
        .replace("{reason}", "Bad Gateway")
        .replace("{code}", "upstream-refused")
        .replace("{request_id}", id);
    assert_eq!(shown.text(), expected);
    let json = ask(&door, "a.localhost", "/", "application/json");
    let body: serde_json::Value = serde_json::from_slice(&json.body).unwrap();
    assert_eq!(body["error"], "upstream-refused");
    let text = ask(&door, "a.localhost", "/", "*/*");
    assert!(
        text.text()
            .starts_with("502 Bad Gateway: upstream-refused\n")
    );
}

#[test]
fn the_most_exact_and_the_nearest_page_is_shown() {
    let door = door();
    let slow = ask(&door, "a.localhost", "/slow", BROWSER);
    assert_eq!(slow.text(), "<title>Sorry: 504</title>");
    let ours = ask(&door, "a.localhost", "/plain", BROWSER).text();
    assert!(ours.contains("<h1>Bad Gateway</h1>"), "{ours}");
    let lost = ask(&door, "b.localhost", "/y", BROWSER);
    assert_eq!(lost.status(), 404);
    assert!(
        lost.text().starts_with("<!doctype html><title>Oh: 404"),
        "{}",
        lost.text()
    );
}

#[test]
fn a_page_has_its_length_where_nobody_reads_it() {
    let door = door();
    let accept = format!("Accept: {BROWSER}");
    for version in ["--http1.1", "--http2"] {
        let options = [version, "--head", "--header", &accept];
        let (code, head) = curl(&door, "a.localhost", "/slow", &options);
        assert_eq!(code, 0, "{head}");
        let length = "<title>Sorry: 504</title>".len();
        let says = format!("content-length: {length}");
        assert!(head.to_ascii_lowercase().contains(&says), "{head}");
        assert!(!head.contains("<title>"), "{head}");
        let (_, body) = curl(
            &door,
            "a.localhost",
            "/slow",
            &[version, "--header", &accept],
        );
        assert_eq!(body, "<title>Sorry: 504</title>");
    }
}

#[test]
fn a_changed_page_is_shown_by_itself_and_a_bad_one_changes_nothing() {
    let door = door();
    let shown = || ask(&door, "a.localhost", "/", BROWSER).text();
    door.home().write("pages/down.html", "<p>new</p>");
    eventually("the new page", || (shown() == "<p>new</p>").then_some(()));
    door.home().write("pages/down.html", " ");
    eventually("a refusal", || {
        door.home().read("err").contains("bad-page").then_some(())
    });
    assert_eq!(shown(), "<p>new</p>");
}

#[test]
fn a_page_that_is_not_there_is_told_before_anything_is_served() {
    let home = Home::new("[sites]\n\"a.test\" = { to = 3000, errors = { 502 = \"gone.html\" } }");
    let (code, _out, err) = home.run(&["check"]);
    assert_ne!(code, 0);
    assert!(
        err.contains("gone.html") && err.contains("error[unreadable]"),
        "{err}"
    );
}

#[test]
fn a_browser_shows_our_page_and_that_of_a_site() {
    let door = door();
    let mut own = Browser::at(&door, "a.localhost", "/");
    own.shows("Oh: 502 Bad Gateway");
    drop(own);
    let home = Home::new(
        "listen = [\"127.0.0.1:0\"]\nhttp = false\n[sites.\"c.localhost\".paths]\n\"/x\" = { respond = {} }",
    );
    let door = Door::up_in(home, &["up"]);
    Browser::at(&door, "c.localhost", "/").shows("404 Not Found");
}

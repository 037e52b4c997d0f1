//! Each coding, over both versions, by the decoders that everybody has.

use std::fs;

use serde_json::Value;

use super::{answer, compressing, decoded, text};
use crate::support::backend::Backend;
use crate::support::client::curl;
use crate::support::door::{Door, Home};
use crate::support::eventually;
use crate::support::wire::Wire;

const TEXT: &str = "Content-Type: text/html; charset=utf-8";

#[test]
fn the_reference_tools_decode_every_coding() {
    let page = text(300_000);
    let whole = answer(&[TEXT], &page);
    let backend = Backend::http(move |_request| whole.clone());
    let door = compressing(&backend);
    for version in ["--http1.1", "--http2"] {
        for coding in ["gzip", "br", "zstd"] {
            let [got, head] = ["got", "head"].map(|name| door.home().path().join(name));
            let accept = format!("Accept-Encoding: {coding}");
            let [output, dump] = [got.to_str().unwrap(), head.to_str().unwrap()];
            let options = [version, "-H", &accept, "--output", output, "-D", dump];
            let (code, words) = curl(&door, "a.test", "/", &options);
            assert_eq!(code, 0, "{words}");
            let head = fs::read_to_string(head).unwrap().to_lowercase();
            assert!(
                head.contains(&format!("content-encoding: {coding}\r\n")),
                "{head}"
            );
            assert!(!head.contains("content-length"), "{head}");
            let octets = fs::read(got).unwrap();
            assert!(octets.len() * 4 < page.len(), "{}", octets.len());
            assert_eq!(decoded(coding, &octets), page, "{version} {coding}");
        }
    }
}

#[test]
fn curl_decodes_what_it_asks_for() {
    let page = text(50_000);
    let whole = answer(&[TEXT], &page);
    let backend = Backend::http(move |_request| whole.clone());
    let door = compressing(&backend);
    for version in ["--http1.1", "--http2"] {
        let (code, got) = curl(&door, "a.test", "/", &["--compressed", version]);
        assert_eq!((code, got == page), (0, true));
    }
}

#[test]
fn the_site_says_which_codings_and_in_which_order() {
    let page = text(5_000);
    let whole = answer(&[TEXT], &page);
    let backend = Backend::http(move |_request| whole.clone());
    let to = backend.address;
    let door = Door::serving(
        "",
        &format!(
            "\"b.test\" = {{ to = \"{to}\", tls = \"off\", compress = [\"gzip\", \"br\"], \
             paths = {{ \"/off\" = {{ to = \"{to}\", compress = false }} }} }}"
        ),
    );
    let coding = |path: &str, accept: &str| {
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: b.test\r\nAccept-Encoding: {accept}\r\n\r\n");
        let answer = Wire::plain(&door).ask(request);
        let coding = answer.field("content-encoding").map(str::to_owned);
        (coding, answer.field("vary").is_some())
    };
    assert_eq!(coding("/", "br, gzip, zstd"), (Some("gzip".into()), true));
    assert_eq!(coding("/", "br, gzip;q=0.5"), (Some("br".into()), true));
    assert_eq!(coding("/", "zstd"), (None, true));
    assert_eq!(coding("/off", "gzip"), (None, false));
}

#[test]
fn a_coding_that_nobody_knows_is_refused() {
    let home = Home::new("[sites]\n\"a.test\" = { to = 1, compress = [\"lzma\"] }");
    let (code, out, err) = home.run(&["check"]);
    assert_ne!(code, 0, "{out}{err}");
    assert!((out + &err).contains("lzma"));
}

#[test]
fn answers_of_our_own_are_encoded_too() {
    let page = text(3_000);
    let quoted = toml_string(&page);
    let door = Door::serving(
        "",
        &format!(
            "\"b.test\" = {{ respond = {{ body = {quoted}, type = \"text/html\" }}, tls = \"off\", compress = true }}"
        ),
    );
    let request = |method: &str, more: &str| {
        format!("{method} / HTTP/1.1\r\nHost: b.test\r\n{more}Connection: close\r\n\r\n")
    };
    let gzip = "Accept-Encoding: gzip\r\n";
    let answer = Wire::plain(&door).ask(request("GET", gzip));
    assert_eq!(answer.field("content-encoding"), Some("gzip"));
    assert_eq!(decoded("gzip", &answer.body), page);
    let answer = Wire::plain(&door).ask(request("GET", ""));
    assert_eq!(answer.field("vary"), Some("Accept-Encoding"));
    assert_eq!(answer.text(), page);
    let mut wire = Wire::plain(&door);
    wire.send(request("HEAD", gzip));
    let head = wire.head().unwrap();
    assert_eq!(head.field("content-encoding"), Some("gzip"));
    assert_eq!(head.field("content-length"), None);
    wire.closes();
}

#[test]
fn the_access_log_counts_what_went_out() {
    let page = text(100_000);
    let whole = answer(&[TEXT], &page);
    let backend = Backend::http(move |_request| whole.clone());
    let door = compressing(&backend);
    let request = "GET / HTTP/1.1\r\nHost: b.test\r\nAccept-Encoding: zstd\r\n\r\n";
    let answer = Wire::plain(&door).ask(request);
    let line: Value = eventually("a line in the access log", || {
        serde_json::from_str(door.home().read("access.log").lines().next()?).ok()
    });
    assert_eq!(line["sent"], answer.body.len());
}

fn toml_string(text: &str) -> String {
    Value::from(text).to_string()
}

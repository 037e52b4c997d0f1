//! A real Vite behind `onedoor run`: its page, and the WebSocket on which it tells of changes.

use std::io::{Read, Write as _};
use std::os::unix::fs::symlink;

use serde_json::Value;

use super::{home, run, url};
use crate::support::answer::read_answer;
use crate::support::client::{get, tls};

const NODE_PACKAGES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/node/node_modules");

#[test]
fn vite_serves_its_page_and_tells_of_changes_through_the_door() {
    let home = home();
    home.write(
        "package.json",
        r#"{"private": true, "scripts": {"dev": "vite"}}"#,
    );
    home.write("index.html", "<script type=module src=/main.js></script>\n");
    home.write("main.js", "document.title = 'one'\n");
    symlink(NODE_PACKAGES, home.path().join("node_modules")).unwrap();
    assert!(
        home.path().join("node_modules/.bin/vite").exists(),
        "no npm packages: run `tests/run --prepare`"
    );
    let door = run(home, &["shop", "--", "npm", "run", "dev"]);
    url(&door);
    assert!(door.said().contains("`-- --port "), "{}", door.said());
    let page = get(&door, "shop.localhost", "/");
    assert!(page.contains("/@vite/client"), "{page}");
    let client = get(&door, "shop.localhost", "/@vite/client");
    let (_before, token) = client.split_once("wsToken = \"").unwrap();
    let token = token.split('"').next().unwrap();
    get(&door, "shop.localhost", "/main.js");

    let mut socket = tls(&door, "shop.localhost", &["http/1.1"]);
    let request = format!(
        "GET /?token={token} HTTP/1.1\r\nHost: shop.localhost\r\nOrigin: https://shop.localhost\r\n\
         Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: vite-hmr\r\n\r\n"
    );
    socket.write_all(request.as_bytes()).unwrap();
    let answer = read_answer(&mut socket).unwrap();
    assert_eq!(answer.status(), 101, "{answer:?}");
    assert_eq!(answer.field("sec-websocket-protocol"), Some("vite-hmr"));
    assert_eq!(message(&mut socket)["type"], "connected");
    door.home().write("main.js", "document.title = 'two'\n");
    assert_eq!(message(&mut socket)["type"], "full-reload");
}

/// A short message of a server (RFC 6455 section 5.2).
fn message(socket: &mut impl Read) -> Value {
    let mut head = [0; 2];
    socket.read_exact(&mut head).unwrap();
    assert_eq!(head[0], 0x81, "one whole text");
    let length = match head[1] {
        126 => {
            let mut length = [0; 2];
            socket.read_exact(&mut length).unwrap();
            usize::from(u16::from_be_bytes(length))
        }
        length => usize::from(length),
    };
    let mut text = vec![0; length];
    socket.read_exact(&mut text).unwrap();
    serde_json::from_slice(&text).unwrap()
}

//! What the demo says: what is served, why where, and what to paste into another terminal.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use super::attempt::Opened;
use super::{ECHO, HELLO, TICKS};
use crate::ports::permission::quoted;

/// Any 16 octets do; this is the example of RFC 6455 section 1.3.
pub(super) const WEBSOCKET_KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

const HTTPS: u16 = 443;
/// curl obeys them even for names of this machine.
const PROXY_VARIABLES: [&str; 4] = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];

/// Everything that is said while the door is open.
#[must_use]
pub(super) fn text(opened: &Opened, folder: &Path) -> String {
    let upgrade = format!(
        "--http1.1 -i -H 'Connection: Upgrade' -H 'Upgrade: websocket' \
         -H 'Sec-WebSocket-Version: 13' -H 'Sec-WebSocket-Key: {WEBSOCKET_KEY}'"
    );
    let mut text = refused(&opened.refused);
    text.push_str(&opened.app.banner());
    let tries = [
        ("plain HTTP, over HTTP/2 outside", HELLO, "/", "-i"),
        (
            "a WebSocket: curl shows the 101, a greeting, and the end",
            ECHO,
            "/greeting",
            &upgrade,
        ),
        ("a stream, event by event", TICKS, "/", "-N"),
    ];
    for (what, host, path, options) in tries {
        let curl = curl(opened, host, path, options);
        // Writing into a string cannot fail.
        let _written = write!(text, "\n{what}:\n{curl}\n");
    }
    let _written = writeln!(
        text,
        "\nCtrl-C ends it and removes {}; requests show below",
        folder.display()
    );
    text
}

/// Why the door is not where it was wanted; empty if it is.
#[must_use]
pub(super) fn refused(refused: &[(SocketAddr, String)]) -> String {
    let mut text = String::new();
    for (address, reason) in refused {
        let _written = writeln!(text, "not on {address}: {reason}");
    }
    if !refused.is_empty() {
        text.push('\n');
    }
    text
}

fn curl(opened: &Opened, host: &str, path: &str, options: &str) -> String {
    let (ca, address, port) = (quoted(&opened.ca), opened.door.ip(), opened.door.port());
    let proxied = PROXY_VARIABLES
        .iter()
        .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()));
    let direct = if proxied { " --noproxy '*'" } else { "" };
    let authority = if port == HTTPS {
        host.to_owned()
    } else {
        format!("{host}:{port}")
    };
    format!(
        "curl -sS{direct} {options} --cacert {ca} --resolve {host}:{port}:{address} https://{authority}{path}"
    )
}

//! The agent or daemon of launchd, as the text of a property list.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::wanted::{MARK, Scope, Wanted};
use crate::ports::launchd::SOCKETS;

/// What launchd calls it.
pub(super) const LABEL: &str = "onedoor";
/// What launchd calls its file.
pub(super) const FILE: &str = "onedoor.plist";
/// `OPEN_MAX` of macOS.
const DESCRIPTORS: u32 = 10_240;

/// Where the service says what goes wrong.
pub(super) fn log(wanted: &Wanted) -> PathBuf {
    let folder = match (wanted.scope, &wanted.home) {
        (Scope::User, Some(home)) => home.join("Library/Logs/onedoor"),
        (Scope::User, None) | (Scope::System, _) => PathBuf::from("/Library/Logs/onedoor"),
    };
    folder.join("onedoor.log")
}

/// The property list. launchd opens the sockets, low ports on a particular address too, and keeps them.
pub(super) fn property_list(wanted: &Wanted) -> String {
    let (program, config) = (
        escaped(&wanted.program.display().to_string()),
        escaped(&wanted.config.display().to_string()),
    );
    let log = escaped(&log(wanted).display().to_string());
    let mut text = format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<!-- {MARK} -->
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>Label</key>
  <string>{LABEL}</string>
  <key>ProgramArguments</key>
  <array>
    <string>{program}</string>
    <string>up</string>
    <string>-c</string>
    <string>{config}</string>
  </array>
  <key>RunAtLoad</key>
  <true/>
  <key>KeepAlive</key>
  <dict>
    <key>SuccessfulExit</key>
    <false/>
  </dict>
  <key>ProcessType</key>
  <string>Interactive</string>
  <key>ExitTimeOut</key>
  <integer>{}</integer>
  <key>SoftResourceLimits</key>
  <dict>
    <key>NumberOfFiles</key>
    <integer>{DESCRIPTORS}</integer>
  </dict>
  <key>StandardOutPath</key>
  <string>{log}</string>
  <key>StandardErrorPath</key>
  <string>{log}</string>
  <key>Sockets</key>
  <dict>
    <key>{SOCKETS}</key>
    <array>
"#,
        wanted.stop_seconds
    );
    for spec in &wanted.sockets {
        socket(&mut text, spec.address);
    }
    text.push_str("    </array>\n  </dict>\n</dict>\n</plist>\n");
    text
}

fn socket(text: &mut String, address: SocketAddr) {
    let family = if address.is_ipv4() { "IPv4" } else { "IPv6" };
    let (ip, port) = (address.ip(), address.port());
    let _written = write!(
        text,
        "      <dict>
        <key>SockNodeName</key>
        <string>{ip}</string>
        <key>SockServiceName</key>
        <string>{port}</string>
        <key>SockFamily</key>
        <string>{family}</string>
        <key>SockType</key>
        <string>stream</string>
      </dict>
"
    );
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::super::systemd::tests::wanted;
    use super::*;

    #[test]
    fn an_agent_has_each_address_as_a_socket() {
        let mut wanted = wanted(Scope::User, &["127.0.0.1:443", "[::1]:443"]);
        wanted.config = PathBuf::from("/Users/ana/a & b/<proxy>.toml");
        let text = property_list(&wanted);
        assert!(text.contains(&format!("<!-- {MARK} -->")));
        assert!(text.contains("<string>/Users/ana/a &amp; b/&lt;proxy&gt;.toml</string>"));
        assert_eq!(text.matches("<key>SockNodeName</key>").count(), 2);
        assert!(text.contains("<string>::1</string>") && text.contains("<string>IPv6</string>"));
        assert!(text.contains("/Users/ana/Library/Logs/onedoor/onedoor.log"));
    }

    #[test]
    fn a_daemon_logs_where_the_system_does() {
        let wanted = wanted(Scope::System, &["0.0.0.0:443"]);
        let text = property_list(&wanted);
        assert!(text.contains("<string>/Library/Logs/onedoor/onedoor.log</string>"));
    }
}

//! The entry of the configuration that asks for an address, so that a way out can be written as the file has it.

use std::net::SocketAddr;

/// The key of a list of sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    Listen,
    Http,
}

/// An entry without its port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub key: Key,
    /// As the file has it, `localhost` or `[::1]`; empty for every address.
    pub host: String,
}

impl Entry {
    /// From the text of an entry, such as `localhost:443` or `443`.
    #[must_use]
    pub fn new(key: Key, text: &str) -> Self {
        let host = text.rsplit_once(':').map_or("", |(host, _port)| host);
        Self {
            key,
            host: host.to_owned(),
        }
    }

    /// Of an address that no file names.
    #[must_use]
    pub fn of(address: SocketAddr) -> Self {
        if address.ip().is_unspecified() {
            return Self::new(Key::Listen, "");
        }
        Self::new(Key::Listen, &address.to_string())
    }
}

/// The line that asks for the same hosts at this port; the first entry says under which key.
#[must_use]
pub fn line(entries: &[&Entry], port: u16) -> String {
    let key = entries.first().map_or(Key::Listen, |entry| entry.key);
    let mut hosts: Vec<&str> = Vec::new();
    for entry in entries.iter().filter(|entry| entry.key == key) {
        if !hosts.contains(&entry.host.as_str()) {
            hosts.push(&entry.host);
        }
    }
    if hosts.is_empty() || hosts.contains(&"") {
        hosts = vec![""];
    }
    let items: Vec<String> = hosts.iter().map(|host| item(host, port)).collect();
    match (key, items.as_slice()) {
        (Key::Http, [item]) => format!("http = {item}"),
        (Key::Http, _) => format!("http = [{}]", items.join(", ")),
        (Key::Listen, _) => format!("listen = [{}]", items.join(", ")),
    }
}

fn item(host: &str, port: u16) -> String {
    match host {
        "" => port.to_string(),
        _ => format!("\"{host}:{port}\""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_keeps_key_and_hosts() {
        #[track_caller]
        fn check(key: Key, entries: &[&str], expected: &str) {
            let entries: Vec<Entry> = entries.iter().map(|text| Entry::new(key, text)).collect();
            let entries: Vec<&Entry> = entries.iter().collect();
            assert_eq!(line(&entries, 8443), expected);
        }
        check(Key::Listen, &["443", "443"], "listen = [8443]");
        check(
            Key::Listen,
            &["localhost:443", "localhost:443"],
            r#"listen = ["localhost:8443"]"#,
        );
        check(
            Key::Listen,
            &["192.0.2.1:443", "[::1]:443"],
            r#"listen = ["192.0.2.1:8443", "[::1]:8443"]"#,
        );
        check(Key::Listen, &["192.0.2.1:443", "443"], "listen = [8443]");
        check(Key::Http, &["80"], "http = 8443");
        check(Key::Http, &["localhost:80"], r#"http = "localhost:8443""#);
    }

    #[test]
    fn an_address_alone_is_an_entry_too() {
        let host = |address: &str| Entry::of(address.parse().unwrap()).host;
        assert_eq!(host("[::]:443"), "");
        assert_eq!(host("[::1]:443"), "[::1]");
        assert_eq!(host("127.0.0.1:443"), "127.0.0.1");
    }
}

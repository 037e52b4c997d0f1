//! What sites are called: the keys of `[sites]`, `aliases`, and that no listener knows a name twice.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::listen::Listen;
use super::problem::{At, Problem};
use super::problems::Problems;
use super::reader::Item;
use crate::hostname::{HostPattern, InvalidHostName};

/// A site's key: a name, and the port of `"host:port"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) name: HostPattern,
    pub(super) port: Option<u16>,
}

/// Why a text is no key of a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum InvalidKey {
    Name(InvalidHostName),
    Port,
    Url,
}

impl Key {
    pub(super) fn parse(text: &str) -> Result<Self, InvalidKey> {
        if text.contains("://") {
            return Err(InvalidKey::Url);
        }
        let (host, port) = split_port(text);
        let port = match port {
            None => None,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                Some(digits.parse().map_err(|_overflow| InvalidKey::Port)?)
            }
            Some(_) => return Err(InvalidKey::Port),
        };
        let name = HostPattern::parse(host).map_err(InvalidKey::Name)?;
        Ok(Self { name, port })
    }
}

/// An address with several colons has a port only behind its brackets.
fn split_port(text: &str) -> (&str, Option<&str>) {
    if text.starts_with('[') {
        return match text.split_once("]:") {
            Some((host, port)) => (&text[..=host.len()], Some(port)),
            None => (text, None),
        };
    }
    match text.split_once(':') {
        Some((host, port)) if !port.contains(':') => (host, Some(port)),
        Some(_) | None => (text, None),
    }
}

impl InvalidKey {
    /// What to say about the key `text` at `at`.
    pub(super) fn problem(self, text: &str, at: At) -> Problem {
        let problem = Problem::error("bad-host", format!("`{text}` is no host name"));
        let why = match self {
            Self::Name(why) => why.to_string(),
            Self::Url => "this is a URL".to_owned(),
            Self::Port => "a port is a number from 0 to 65535".to_owned(),
        };
        problem.at(at, why).help(help(text))
    }
}

fn help(text: &str) -> String {
    let without_scheme = text.split_once("://").map_or(text, |(_, rest)| rest);
    let host = without_scheme
        .split(['/', '?', '#'])
        .next()
        .unwrap_or_default();
    if host != without_scheme && !host.is_empty() {
        return format!(
            "the site is \"{host}\"; what differs by path stands in its `paths = {{ \"/path\" = … }}`"
        );
    }
    if without_scheme != text && !host.is_empty() {
        return format!("write \"{host}\" alone");
    }
    r#"names look like "dao.example.com", "*.example.com", "*", "127.0.0.1" or "dao.example.com:8443""#
        .to_owned()
}

/// Reads `aliases`.
pub(super) fn aliases(item: &Item<'_>, problems: &mut Problems) -> Vec<(HostPattern, At)> {
    let Some(list) = item.as_list() else {
        item.wrong_type("a list of host names", problems);
        return Vec::new();
    };
    list.iter()
        .filter_map(|item| alias(item, problems).map(|name| (name, item.at())))
        .collect()
}

fn alias(item: &Item<'_>, problems: &mut Problems) -> Option<HostPattern> {
    let text = item.text("a list of host names", problems)?;
    match Key::parse(text) {
        Ok(Key { name, port: None }) => Some(name),
        Ok(Key { name, .. }) => {
            problems.error(
                "bad-host",
                "an alias has no port",
                item.at(),
                "it is served where its site is",
                format!("write \"{name}\", or make it a site of its own"),
            );
            None
        }
        Err(why) => {
            problems.push(why.problem(text, item.at()));
            None
        }
    }
}

/// Every name on every listener, and where it was given.
#[derive(Debug, Default)]
pub(super) struct Names {
    taken: HashMap<(HostPattern, Listen), At, foldhash::fast::RandomState>,
    /// What was taken since the last [`Names::keep`].
    recent: Vec<(HostPattern, Listen)>,
}

impl Names {
    /// Takes a name on all of a site's listeners; a name that is taken is reported with both places.
    pub(super) fn take(
        &mut self,
        name: &HostPattern,
        listens: &[Listen],
        at: At,
        problems: &mut Problems,
    ) {
        for listen in listens {
            match self.taken.entry((name.clone(), *listen)) {
                Entry::Vacant(free) => {
                    self.recent.push(free.key().clone());
                    free.insert(at);
                }
                Entry::Occupied(first) => {
                    problems.push(
                        Problem::error("duplicate-host", format!("`{name}` is there twice"))
                            .at(at, "again here")
                            .also(*first.get(), "first here")
                            .help("keep one of them, or join them into one site"),
                    );
                    return;
                }
            }
        }
    }

    /// Takes a name if it is free on all of a site's listeners, and says whether it was.
    pub(super) fn take_free(&mut self, name: &HostPattern, listens: &[Listen], at: At) -> bool {
        let keys = || listens.iter().map(|listen| (name.clone(), *listen));
        if keys().any(|key| self.taken.contains_key(&key)) {
            return false;
        }
        self.taken.extend(keys().map(|key| (key, at)));
        true
    }

    /// What was taken since the last time stays.
    pub(super) fn keep(&mut self) {
        self.recent.clear();
    }

    /// What was taken since the last [`Names::keep`] is free again.
    pub(super) fn give_back(&mut self) {
        for key in self.recent.drain(..) {
            self.taken.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<(&str, Option<u16>)>) {
        let parsed = Key::parse(text).ok();
        let parsed = parsed.map(|key| (key.name.to_string(), key.port));
        let expected = expected.map(|(name, port)| (name.to_owned(), port));
        assert_eq!(parsed, expected, "{text}");
    }

    #[test]
    fn keys_are_names_with_an_optional_port() {
        check("a.test", Some(("a.test", None)));
        check("A.test:8443", Some(("a.test", Some(8443))));
        check("*:8443", Some(("*", Some(8443))));
        check("::1", Some(("::1", None)));
        check("[::1]", Some(("::1", None)));
        check("[::1]:8443", Some(("::1", Some(8443))));
        check("127.0.0.1:8443", Some(("127.0.0.1", Some(8443))));
        check("a.test:", None);
        check("a.test:65536", None);
        check("a.test:+1", None);
        check("https://a.test", None);
        check("a.test/path", None);
    }
}

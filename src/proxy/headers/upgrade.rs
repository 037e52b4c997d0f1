//! Leaving HTTP: which protocol a client asked for, and whether an answer switches to one it asked for (R9110 7.8).

use http::header::UPGRADE;
use http::{HeaderMap, HeaderValue};
use hyper::ext::Protocol;

use super::edit::joined;

/// A switch of protocols that a request asks for.
#[derive(Debug, Clone)]
pub enum Upgrade {
    /// HTTP/1.1: the protocols of the `Upgrade` field.
    Field(HeaderValue),
    /// HTTP/2: extended `CONNECT` with `:protocol` (R8441).
    Connect(Protocol),
}

impl Upgrade {
    /// The switch that an HTTP/1.1 head asks for, provided that `Connection` names `Upgrade`.
    /// Never `h2c`: behind it the upstream would take requests that nobody here has seen.
    pub(super) fn asked(headers: &HeaderMap) -> Option<Self> {
        let first = headers.get(UPGRADE)?;
        let field = joined(headers, &UPGRADE, b", ").unwrap_or_else(|| first.clone());
        let names_something = protocols(&field).next().is_some();
        let names_h2c = protocols(&field).any(|name| name.eq_ignore_ascii_case(b"h2c"));
        (names_something && !names_h2c).then_some(Self::Field(field))
    }

    /// The `Upgrade` field of a 101, if it switches to a protocol that was asked for.
    pub(super) fn agreed(&self, answer: &HeaderMap) -> Option<HeaderValue> {
        let asked = match self {
            Self::Field(asked) => asked,
            // HTTP/2 has no 101.
            Self::Connect(_) => return None,
        };
        let mut lines = answer.get_all(UPGRADE).iter();
        let chosen = lines.next()?;
        let was_asked =
            |name: &[u8]| protocols(asked).any(|asked| asked.eq_ignore_ascii_case(name));
        let agrees = lines.next().is_none()
            && protocols(chosen).next().is_some()
            && protocols(chosen).all(was_asked);
        agrees.then(|| chosen.clone())
    }
}

fn protocols(field: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    field
        .as_bytes()
        .split(|byte| *byte == b',')
        .map(<[u8]>::trim_ascii)
        .filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(lines: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(UPGRADE, HeaderValue::from_static(line));
        }
        headers
    }

    #[track_caller]
    fn check(asked: &[&'static str], answered: &[&'static str], expected: bool) {
        let agrees = Upgrade::asked(&fields(asked))
            .and_then(|upgrade| upgrade.agreed(&fields(answered)))
            .is_some();
        assert_eq!(agrees, expected, "{asked:?} {answered:?}");
    }

    #[test]
    fn only_a_protocol_that_was_asked_for_is_switched_to() {
        check(&["websocket"], &["WebSocket"], true);
        check(&["tcp", "websocket"], &["tcp"], true);
        check(&["websocket"], &["tcp"], false);
        check(&["websocket"], &["websocket, tcp"], false);
        check(&["websocket"], &["websocket", "websocket"], false);
        check(&["websocket"], &[], false);
        check(&["websocket"], &[" , "], false);
        check(&[], &["websocket"], false);
        check(&[","], &["websocket"], false);
    }

    #[test]
    fn nobody_is_upgraded_to_h2c() {
        check(&["h2c"], &["h2c"], false);
        check(&["websocket, H2C"], &["websocket"], false);
    }
}

//! What a head says about its own connection: `Connection`, `TE`, and the fields that HTTP/2 has no place for.

use http::header::{CONNECTION, TE};
use http::{HeaderMap, HeaderName};

use super::field::{Kind, Kinds, classify};
use super::refusal::Refusal;
use crate::framing::is_token;

/// What the `Connection` lines say.
#[derive(Debug, Default)]
pub(super) struct Options {
    pub(super) names_upgrade: bool,
    /// The fields that end here only because they are named.
    pub(super) listed: Vec<HeaderName>,
}

/// Whether the client said that it reads trailers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trailers {
    Welcome,
    Unmentioned,
}

/// More options than any honest `Connection` has; each is looked for in every field.
const OPTIONS_MAX: usize = 32;

/// Reads every `Connection` line; naming a field that is not the connection's own is how requests are split, and refused.
pub(super) fn options(headers: &HeaderMap, kinds: Kinds) -> Result<Options, Refusal> {
    let mut options = Options::default();
    if !kinds.contains(Kind::Connection) {
        return Ok(options);
    }
    let mut count = 0;
    for line in headers.get_all(CONNECTION) {
        for option in line.as_bytes().split(|byte| *byte == b',') {
            let option = option.trim_ascii();
            if option.is_empty() || is_mere_option(option) {
                continue;
            }
            count += 1;
            if count > OPTIONS_MAX {
                return Err(Refusal::BadConnection);
            }
            options.add(option)?;
        }
    }
    Ok(options)
}

impl Options {
    fn add(&mut self, option: &[u8]) -> Result<(), Refusal> {
        // Pseudo-headers are no tokens either.
        if !is_token(option) {
            return Err(Refusal::BadConnection);
        }
        let name = HeaderName::from_bytes(option).map_err(|_too_long| Refusal::BadConnection)?;
        match classify(&name) {
            Kind::Host | Kind::ContentLength => return Err(Refusal::BadConnection),
            Kind::Upgrade => self.names_upgrade = true,
            Kind::Connection
            | Kind::HopByHop
            | Kind::Te
            | Kind::TransferEncoding
            | Kind::Lookalike => {}
            Kind::Plain
            | Kind::Via
            | Kind::Cookie
            | Kind::Expect
            | Kind::MaxForwards
            | Kind::Forwarding => self.listed.push(name),
        }
        Ok(())
    }
}

/// The options that nearly every `Connection` consists of; they name no field that would have to be looked for.
fn is_mere_option(option: &[u8]) -> bool {
    option.eq_ignore_ascii_case(b"keep-alive") || option.eq_ignore_ascii_case(b"close")
}

/// Whether `TE` has `trailers`.
pub(super) fn trailers(headers: &HeaderMap, kinds: Kinds) -> Trailers {
    if !kinds.contains(Kind::Te) {
        return Trailers::Unmentioned;
    }
    let welcome = headers
        .get_all(TE)
        .iter()
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
        .any(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"trailers"));
    if welcome {
        Trailers::Welcome
    } else {
        Trailers::Unmentioned
    }
}

/// Refuses what HTTP/2 has other means for (R9113 8.2.2).
pub(super) fn refuse_in_http2(headers: &HeaderMap, kinds: Kinds) -> Result<(), Refusal> {
    const FORBIDDEN: Kinds = Kinds::of(&[Kind::Connection, Kind::Upgrade, Kind::TransferEncoding]);
    let is_odd_te = |line: &http::HeaderValue| !line.as_bytes().eq_ignore_ascii_case(b"trailers");
    let is_specific = |name: &str| headers.contains_key(name);
    let forbidden = kinds.intersects(FORBIDDEN)
        || (kinds.contains(Kind::Te) && headers.get_all(TE).iter().any(is_odd_te))
        || (kinds.contains(Kind::HopByHop)
            && (is_specific("keep-alive") || is_specific("proxy-connection")));
    if forbidden {
        return Err(Refusal::ConnectionField);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[track_caller]
    fn check(lines: &[&str], expected: Result<(bool, &[&str]), Refusal>) {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(CONNECTION, HeaderValue::from_str(line).unwrap());
        }
        let read = options(&headers, Kinds::of(&[Kind::Connection]));
        let seen = read.map(|options| {
            let listed: Vec<String> = options.listed.iter().map(ToString::to_string).collect();
            (options.names_upgrade, listed)
        });
        let expected = expected
            .map(|(upgrade, listed)| (upgrade, listed.iter().map(ToString::to_string).collect()));
        assert_eq!(seen, expected, "{lines:?}");
    }

    #[test]
    fn every_line_and_option_counts() {
        check(&["keep-alive"], Ok((false, &[])));
        check(&["Close, ,X-A"], Ok((false, &["x-a"])));
        check(&["keep-alive", "Upgrade,x-b"], Ok((true, &["x-b"])));
        check(
            &["te, transfer-encoding, proxy-authorization"],
            Ok((false, &[])),
        );
        check(
            &["cookie, x-forwarded-for"],
            Ok((false, &["cookie", "x-forwarded-for"])),
        );
    }

    #[test]
    fn what_is_not_the_connections_own_is_refused() {
        for line in [
            "host",
            "Content-Length",
            ":path",
            "close, :authority",
            "a b",
            "\"x\"",
        ] {
            check(&[line], Err(Refusal::BadConnection));
        }
        check(
            &["x,".repeat(OPTIONS_MAX + 1).as_str()],
            Err(Refusal::BadConnection),
        );
    }
}

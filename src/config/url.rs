//! URLs of services that this program calls itself.

use std::net::IpAddr;

use http::Uri;
use http::uri::Scheme;

use super::problem::{At, Problem};
use super::problems::Problems;
use super::reader::Item;

/// Where `http://` is good enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plain {
    /// On this machine only.
    OnLoopback,
    Anywhere,
}

/// Reads an absolute URL without user and fragment.
pub(super) fn read(item: &Item<'_>, plain: Plain, problems: &mut Problems) -> Option<Box<str>> {
    let text = item.text("a URL", problems)?;
    parse(text, item.key, item.at(), plain, problems)
}

/// Reads the text of a URL that stands at `at`; the problems do not repeat it.
pub(super) fn parse(
    text: &str,
    key: &str,
    at: At,
    plain: Plain,
    problems: &mut Problems,
) -> Option<Box<str>> {
    let bad = |why: &str| {
        Problem::error("bad-url", format!("`{key}` takes a URL"))
            .at(at, why)
            .help("for example \"https://host/path\"")
    };
    let uri: Uri = match text.parse() {
        Ok(uri) if !text.contains('#') => uri,
        Ok(_) | Err(_) => {
            problems.push(bad("this is none"));
            return None;
        }
    };
    let (Some(host), Some(scheme)) = (uri.host().filter(|host| !host.is_empty()), uri.scheme())
    else {
        problems.push(bad("a scheme and a host are missing"));
        return None;
    };
    if uri
        .authority()
        .is_some_and(|authority| authority.as_str().contains('@'))
    {
        problems.hide(at);
        problems.push(bad("a user and a password are not sent"));
        return None;
    }
    if *scheme == Scheme::HTTP {
        if plain == Plain::OnLoopback && !is_loopback(host) {
            problems.error(
                "insecure-url",
                format!("`{key}` takes an `https://` URL"),
                at,
                "what is sent there could be read and changed on the way",
                "`http://` is for this machine only: localhost, 127.0.0.1 or [::1]",
            );
            return None;
        }
    } else if *scheme != Scheme::HTTPS {
        problems.push(bad("the scheme is `https` or `http`"));
        return None;
    }
    Some(text.into())
}

/// The host of a URL that was read.
pub(super) fn host(url: &str) -> Option<String> {
    let uri: Uri = url.parse().ok()?;
    let host = uri.host()?;
    Some(bare(host).to_ascii_lowercase())
}

fn is_loopback(host: &str) -> bool {
    let address = bare(host).parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost")
        || address.is_ok_and(|address| address.to_canonical().is_loopback())
}

fn bare(host: &str) -> &str {
    host.strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(host)
}

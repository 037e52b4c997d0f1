//! What is sent of a target: a prefix less, a path rewritten, the query as it came.

use std::borrow::Cow;

use bytes::{BufMut, Bytes, BytesMut};
use http::uri::PathAndQuery;

use super::choice::is_under;
use super::normal::{
    canonical, careless, is_settled, most_careless, next_unit, normalise, resolve,
};
use crate::config::site::Rewrite;
use crate::proxy::headers::Refusal;

/// What a rewrite may make of a path, in octets; beyond it no target is valid anyway.
const REWRITTEN_BYTES_MAX: usize = 65_000;

/// The target in origin-form after `strip_prefix` and `rewrite`, and the prefix that was stripped.
/// Without either to do, every octet is as it was.
///
/// # Errors
/// [`Refusal::EscapingPath`] when the prefix is there only by a detour, or what is behind it climbs out of it;
/// [`Refusal::BadRewrite`] when a rewrite gives no path.
pub fn retarget<'p>(
    sent: &PathAndQuery,
    strip_prefix: Option<&'p str>,
    rewrites: &[Rewrite],
) -> Result<(PathAndQuery, Option<&'p str>), Refusal> {
    if sent.as_str() == "*" {
        return Ok((sent.clone(), None));
    }
    let path = sent.path();
    let rest = strip_prefix.map_or(Ok(None), |prefix| strip(path, prefix))?;
    let stripped = rest.and(strip_prefix);
    let path = rest.unwrap_or(path);
    let rewritten = rewrite(path, sent.query(), rewrites)?;
    if stripped.is_none() && rewritten.is_none() && sent.as_str().starts_with('/') {
        return Ok((sent.clone(), None));
    }
    let (path, query) = match &rewritten {
        Some((path, query)) => (&**path, query.as_deref()),
        None => (path.as_bytes(), sent.query().map(str::as_bytes)),
    };
    let target = assemble(path, query).ok_or(match rewritten {
        Some(_) => Refusal::BadRewrite,
        None => Refusal::BadTarget,
    })?;
    Ok((target, stripped))
}

/// What is behind a prefix, if the path lies under it; never empty, never starting with two slashes.
fn strip<'a>(path: &'a str, prefix: &str) -> Result<Option<&'a str>, Refusal> {
    if is_settled(path) && is_settled(prefix) {
        return Ok(is_under(path, prefix)
            .then(|| path.get(prefix.len()..).map(rooted))
            .flatten());
    }
    let prefix = normalise(prefix);
    if !is_under(&normalise(path), &prefix) {
        return Ok(None);
    }
    // What is sent is judged: slashes that go cannot stand for a place to climb from.
    let rest = rooted(behind(path, &prefix).ok_or(Refusal::EscapingPath)?);
    let strict = canonical(rest);
    let careless = careless(&strict);
    let readings = [&most_careless(&careless), &strict, &careless];
    if readings.into_iter().any(|reading| resolve(reading).climbs) {
        return Err(Refusal::EscapingPath);
    }
    Ok(Some(rest))
}

fn rooted(rest: &str) -> &str {
    let bare = rest.trim_start_matches('/');
    let slash = rest.len() - bare.len();
    match slash {
        0 => "/",
        _ => rest.get(slash - 1..).unwrap_or("/"),
    }
}

/// The raw rest of a path behind a canonical prefix that it literally starts with.
fn behind<'a>(path: &'a str, prefix: &str) -> Option<&'a str> {
    let mut raw = path.as_bytes();
    let mut wanted = prefix.as_bytes();
    while !wanted.is_empty() {
        let (unit, tail) = next_unit(raw)?;
        wanted = unit.strip_from(wanted)?;
        raw = tail;
    }
    let rest = path.get(path.len() - raw.len()..)?;
    (rest.is_empty() || rest.starts_with('/')).then_some(rest)
}

type Rewritten = (Vec<u8>, Option<Vec<u8>>);

/// The path and query after every rewrite that matches; none if none does.
/// A query in a replacement comes before the client's own.
fn rewrite(
    path: &str,
    query: Option<&str>,
    rewrites: &[Rewrite],
) -> Result<Option<Rewritten>, Refusal> {
    let mut current = Cow::Borrowed(path.as_bytes());
    let mut queries: Vec<Vec<u8>> = Vec::new();
    for Rewrite { from, to } in rewrites {
        let Cow::Owned(mut new) = from.replace(&current, &**to) else {
            continue;
        };
        if new.len() > REWRITTEN_BYTES_MAX {
            return Err(Refusal::BadRewrite);
        }
        if let Some(mark) = new.iter().position(|byte| *byte == b'?') {
            queries.push(new.split_off(mark).split_off(1));
        }
        current = Cow::Owned(new);
    }
    let Cow::Owned(path) = current else {
        return Ok(None);
    };
    if !path.starts_with(b"/") || path.contains(&b'#') {
        return Err(Refusal::BadRewrite);
    }
    queries.extend(query.map(|query| query.as_bytes().to_vec()));
    if queries.iter().any(|query| query.contains(&b'#')) {
        return Err(Refusal::BadRewrite);
    }
    let query = (!queries.is_empty()).then(|| queries.join(&b'&'));
    Ok(Some((path, query)))
}

fn assemble(path: &[u8], query: Option<&[u8]>) -> Option<PathAndQuery> {
    let query_bytes = query.map_or(0, |query| query.len() + 1);
    let mut text = BytesMut::with_capacity(path.len() + query_bytes);
    text.put_slice(path);
    if let Some(query) = query {
        text.put_u8(b'?');
        text.put_slice(query);
    }
    PathAndQuery::from_maybe_shared(Bytes::from(text)).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(sent: &str, prefix: Option<&str>, expected: Result<(&str, Option<&str>), Refusal>) {
        let target = PathAndQuery::try_from(sent).unwrap();
        let made = retarget(&target, prefix, &[]);
        let made = made
            .as_ref()
            .map(|(target, prefix)| (target.as_str(), *prefix))
            .map_err(|refusal| *refusal);
        assert_eq!(made, expected, "{sent}");
    }

    #[test]
    fn a_prefix_is_stripped_on_a_segment_boundary() {
        let prefix = Some("/authnz.ap");
        check("/authnz.ap/x?q=1", prefix, Ok(("/x?q=1", prefix)));
        check("/authnz.ap", prefix, Ok(("/", prefix)));
        check("/authnz.ap/", prefix, Ok(("/", prefix)));
        check("/authnz.ap?q", prefix, Ok(("/?q", prefix)));
        check(
            "/authnz.ap//evil.test/x",
            prefix,
            Ok(("/evil.test/x", prefix)),
        );
        check("/authnz.ape/x", prefix, Ok(("/authnz.ape/x", None)));
        check("/x/authnz.ap", prefix, Ok(("/x/authnz.ap", None)));
        check("/", prefix, Ok(("/", None)));
        check("*", prefix, Ok(("*", None)));
    }

    #[test]
    fn the_rest_is_passed_octet_by_octet() {
        let prefix = Some("/p");
        check(
            "/p/%7Ea//b%2Fc/é/{x}?a=%20&&b#",
            prefix,
            Ok(("/%7Ea//b%2Fc/é/{x}?a=%20&&b", prefix)),
        );
        check("/%70/%70", prefix, Ok(("/%70", prefix)));
        check("/p/a/../b", prefix, Ok(("/a/../b", prefix)));
        check("//x//%2e?%", None, Ok(("//x//%2e?%", None)));
        check("/caf%C3%a9/x", Some("/café"), Ok(("/x", Some("/café"))));
        check("?q", None, Ok(("/?q", None)));
    }

    #[test]
    fn a_rest_that_climbs_out_is_refused() {
        for path in [
            "/x/../p/y",
            "/p/a/../../p/b",
            "/p/..%2f..%2fetc",
            "/p/a/..;/..;/x/../../p/x",
            "/./p/y",
            "/p//../x",
            "/p/a//../../x",
        ] {
            check(path, Some("/p"), Err(Refusal::EscapingPath));
        }
        check("/p/../x", Some("/p"), Ok(("/p/../x", None)));
    }

    #[track_caller]
    fn check_rewrite(sent: &str, rewrites: &[(&str, &str)], expected: Result<&str, Refusal>) {
        let target = PathAndQuery::try_from(sent).unwrap();
        let rewrites: Vec<Rewrite> = rewrites
            .iter()
            .map(|(from, to)| Rewrite {
                from: regex::bytes::Regex::new(from).unwrap(),
                to: to.as_bytes().into(),
            })
            .collect();
        let made = retarget(&target, None, &rewrites);
        let made = made
            .as_ref()
            .map(|(target, _)| target.as_str())
            .map_err(|refusal| *refusal);
        assert_eq!(made, expected, "{sent}");
    }

    #[test]
    fn rewrites_change_the_path_and_keep_the_query() {
        check_rewrite(
            "/a/1?x=%20",
            &[("^/a/(.*)$", "/b/$1/c")],
            Ok("/b/1/c?x=%20"),
        );
        check_rewrite("/a", &[("^/a$", "/b"), ("b$", "c")], Ok("/c"));
        check_rewrite("/z?q", &[("^/a", "/b")], Ok("/z?q"));
        check_rewrite(
            "/a?x=1",
            &[("^/(.*)$", "/index.php?p=$1")],
            Ok("/index.php?p=a&x=1"),
        );
    }

    #[test]
    fn a_rewrite_that_gives_no_path_is_refused() {
        let refused = Err(Refusal::BadRewrite);
        check_rewrite("/a", &[("^/", "")], refused);
        check_rewrite("/a", &[("a", "b c")], refused);
        check_rewrite("/a", &[("a", "#")], refused);
        check_rewrite("/a", &[("a", "?#")], refused);
        check_rewrite("/é", &[(r"(?-u:\xC3)", "")], refused);
        let doubling = [("^(.*)$", "$1$1"); 17];
        check_rewrite("/aaa", &doubling, refused);
    }

    proptest! {
        #[test]
        fn what_is_stripped_starts_with_one_slash(path in "/[p%/.a0-9]{0,16}") {
            let target = PathAndQuery::try_from(path.as_str()).unwrap();
            if let Ok((made, Some(_))) = retarget(&target, Some("/p"), &[]) {
                prop_assert!(made.as_str().starts_with('/') && !made.as_str().starts_with("//"));
                prop_assert!(path.ends_with(made.path()) || made.path() == "/");
            }
        }
    }
}

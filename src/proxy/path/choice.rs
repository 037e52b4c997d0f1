//! Which entry of `paths` a request falls under.

use std::cmp::Reverse;
use std::ptr;
use std::sync::Arc;

use super::normal::{
    canonical, careless, is_ambiguous, is_settled, most_careless, normalise, resolve,
};
use crate::config::site::{Http, Matching, PathRule, Rule};
use crate::proxy::headers::Refusal;

/// Puts rules into the order and the spelling that [`choose`] relies on. Done once, when routes are compiled.
pub fn sort(paths: &mut [PathRule]) {
    for path in paths.iter_mut() {
        let normal = normalise(&path.prefix).into_owned();
        path.prefix = normal.into();
    }
    paths.sort_by_key(|path| {
        let is_prefix = path.matching == Matching::Prefix;
        (is_prefix, Reverse(path.prefix.len()))
    });
}

/// The sorted rule for a request's raw path: an exact one, else the longest prefix on a segment boundary; none when no rule matches.
/// To be asked for every request, rules or none, because it also sees the paths that escape.
///
/// # Errors
/// [`Refusal::EscapingPath`] when dot segments climb above the root, or lead to another rule once encoded slashes,
/// backslashes and parameters are read as a careless upstream reads them.
pub fn choose<'a>(paths: &'a [PathRule], path: &str) -> Result<Option<&'a PathRule>, Refusal> {
    if is_settled(path) {
        return Ok(find(paths, path));
    }
    let strict = canonical(path);
    let careless = careless(&strict);
    let resolved = resolve(&strict);
    let chosen = find(paths, &resolved.path);
    let reading = resolve(&careless);
    if resolved.climbs || reading.climbs {
        return Err(Refusal::EscapingPath);
    }
    let has_dots = reading.path != careless;
    if has_dots && !is_same(chosen, find(paths, &reading.path)) {
        return Err(Refusal::EscapingPath);
    }
    Ok(chosen)
}

/// What a site has for a path.
#[derive(Debug, Clone, Copy)]
pub enum Chosen<'a> {
    Path(&'a PathRule),
    /// The rule for every path that no entry of `paths` matches.
    Root(&'a Arc<Rule>),
}

impl<'a> Chosen<'a> {
    #[must_use]
    pub fn rule(self) -> &'a Arc<Rule> {
        match self {
            Self::Path(path) => &path.rule,
            Self::Root(rule) => rule,
        }
    }
}

/// The rule of a site for a request's raw path, as [`choose`] finds it; none when the site has nothing for it.
///
/// # Errors
/// As [`choose`]; and when the most careless upstream reads a path that another guard stands before.
pub fn choose_of<'a>(http: &'a Http, path: &str) -> Result<Option<Chosen<'a>>, Refusal> {
    let or_root = |found: Option<&'a PathRule>| {
        let found = found.map(Chosen::Path);
        found.or_else(|| http.root.as_ref().map(Chosen::Root))
    };
    let chosen = or_root(choose(&http.paths, path)?);
    if !http.paths.is_empty() && is_ambiguous(path) {
        let reading = resolve(&most_careless(&careless(&canonical(path)))).path;
        let read = or_root(find(&http.paths, &reading));
        if evades(chosen, read) {
            return Err(Refusal::EscapingPath);
        }
    }
    Ok(chosen)
}

/// Whether a request comes to where `read` is by way of `chosen`, and past a guard.
fn evades(chosen: Option<Chosen<'_>>, read: Option<Chosen<'_>>) -> bool {
    let (Some(chosen), Some(read)) = (chosen, read) else {
        return false;
    };
    let guard = &read.rule().guard;
    guard.is_some() && *guard != chosen.rule().guard
}

/// Whether a path lies under a prefix, on a segment boundary. Both in the same spelling.
pub(super) fn is_under(path: &str, prefix: &str) -> bool {
    prefix == "/"
        || path
            .strip_prefix(prefix)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn find<'a>(paths: &'a [PathRule], path: &str) -> Option<&'a PathRule> {
    paths.iter().find(|rule| match rule.matching {
        Matching::Exact => *rule.prefix == *path,
        Matching::Prefix => is_under(path, &rule.prefix),
    })
}

fn is_same(left: Option<&PathRule>, right: Option<&PathRule>) -> bool {
    match (left, right) {
        (Some(left), Some(right)) => ptr::eq(left, right),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::guard::{Access, Guard};
    use crate::proxy::testing;

    fn rules(prefixes: &[&str]) -> Vec<PathRule> {
        let rule = Arc::new(testing::rule());
        let mut rules: Vec<PathRule> = prefixes
            .iter()
            .map(|text| {
                let (prefix, matching) = match text.strip_suffix('$') {
                    Some(prefix) => (prefix, Matching::Exact),
                    None => (*text, Matching::Prefix),
                };
                PathRule {
                    prefix: prefix.into(),
                    matching,
                    rule: Arc::clone(&rule),
                }
            })
            .collect();
        sort(&mut rules);
        rules
    }

    #[track_caller]
    fn check(prefixes: &[&str], path: &str, expected: Result<Option<&str>, Refusal>) {
        let rules = rules(prefixes);
        let chosen = choose(&rules, path).map(|rule| rule.map(|rule| &*rule.prefix));
        assert_eq!(chosen, expected, "{path}");
    }

    const PREFIXES: [&str; 6] = ["/", "/api", "/api/v2", "/api/v2/x$", "/health$", "/café"];

    #[test]
    fn the_longest_prefix_on_a_segment_boundary_wins() {
        check(&PREFIXES, "/api", Ok(Some("/api")));
        check(&PREFIXES, "/api/", Ok(Some("/api")));
        check(&PREFIXES, "/api/v2/y", Ok(Some("/api/v2")));
        check(&PREFIXES, "/apis", Ok(Some("/")));
        check(&PREFIXES, "/API", Ok(Some("/")));
        check(&PREFIXES, "//api", Ok(Some("/")));
        check(&["/api"], "/other", Ok(None));
        check(&[], "/", Ok(None));
        check(&PREFIXES, "*", Ok(Some("/")));
    }

    #[test]
    fn an_exact_rule_is_for_exactly_its_path() {
        check(&PREFIXES, "/health", Ok(Some("/health")));
        check(&PREFIXES, "/health/", Ok(Some("/")));
        check(&PREFIXES, "/api/v2/x", Ok(Some("/api/v2/x")));
        check(&PREFIXES, "/api/v2/x/y", Ok(Some("/api/v2")));
    }

    #[test]
    fn matching_reads_the_normal_form() {
        check(&PREFIXES, "/%61pi/x", Ok(Some("/api")));
        check(&PREFIXES, "/x/../api/y", Ok(Some("/api")));
        check(&PREFIXES, "/api/../x", Ok(Some("/")));
        check(&PREFIXES, "/api/%2e%2E/x", Ok(Some("/")));
        check(&PREFIXES, "/caf%c3%a9/x", Ok(Some("/caf%C3%A9")));
        check(&PREFIXES, "/café", Ok(Some("/caf%C3%A9")));
        check(&PREFIXES, "/api%2Fv2", Ok(Some("/")));
        check(&PREFIXES, "/api/a%2Fb", Ok(Some("/api")));
    }

    #[test]
    fn a_path_that_escapes_its_rule_is_refused() {
        for path in [
            "/../x",
            "/a/../../x",
            "/%2e%2e/x",
            "/api/..%2fx",
            "/api/..%5Cx",
            "/api/..\\x",
            "/api/v2/%2e%2e%2f%2e%2e%2fx",
            "/api/..;/x",
            "/api/..;a=b/x",
            "/..%2f",
        ] {
            check(&PREFIXES, path, Err(Refusal::EscapingPath));
        }
        check(&[], "/../x", Err(Refusal::EscapingPath));
    }

    /// A site with `/admin` and `/open`, where a guard stands before these prefixes; "" is the rest of the site.
    fn site(guarded: &[&str]) -> Http {
        let rule = |prefix: &str| {
            let guard = Guard {
                access: Access::default(),
                rate: None,
                auth: None,
            };
            let mut rule = testing::rule();
            rule.guard = guarded.contains(&prefix).then(|| Arc::new(guard));
            Arc::new(rule)
        };
        let mut paths = ["/admin", "/open"].map(|prefix| PathRule {
            prefix: prefix.into(),
            matching: Matching::Prefix,
            rule: rule(prefix),
        });
        sort(&mut paths);
        Http {
            root: Some(rule("")),
            paths: paths.into(),
        }
    }

    #[test]
    fn nobody_reads_a_path_past_a_guard() {
        let is_refused = |http: &Http, path: &str| match choose_of(http, path) {
            Err(refusal) => refusal == Refusal::EscapingPath,
            Ok(_) => false,
        };
        let admin = site(&["/admin"]);
        for path in [
            "//admin",
            "//admin/x",
            "/admin%2Fx",
            "/%2fadmin",
            "/admin\\x",
            "/admin;a=b/x",
            "/;a/admin",
            "/open//../admin",
        ] {
            assert!(is_refused(&admin, path), "{path}");
            // With the same before all of it there is nothing to evade.
            let all = site(&["", "/admin", "/open"]);
            assert!(!is_refused(&all, path), "{path}");
            assert!(!is_refused(&site(&[]), path), "{path}");
        }
        for path in ["/admin//x", "/admin/x;y", "/open/a%2Fb", "//x", "/adminx;y"] {
            assert!(!is_refused(&admin, path), "{path}");
        }
        let rest = site(&[""]);
        assert!(is_refused(&rest, "/open//../x"));
        assert!(is_refused(&rest, "/open/;/../x"));
        assert!(!is_refused(&rest, "/open//x/../y"));
    }

    #[test]
    fn dots_that_stay_within_their_rule_pass() {
        check(&PREFIXES, "/api/a/..%2fb", Ok(Some("/api")));
        check(&PREFIXES, "/api/a/..;x/b", Ok(Some("/api")));
    }
}

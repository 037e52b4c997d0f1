//! Which lines somebody who watches wants to see: those of one name. Pure.

use crate::hostname::{HostPattern, parent};

/// One name, or all.
#[derive(Debug)]
pub(super) enum Filter {
    All,
    Of {
        pattern: HostPattern,
        /// The pattern as a site is called by it.
        text: Box<str>,
    },
}

impl Filter {
    pub(super) fn of(pattern: Option<HostPattern>) -> Self {
        match pattern {
            None | Some(HostPattern::CatchAll) => Self::All,
            Some(pattern) => Self::Of {
                text: pattern.to_string().into(),
                pattern,
            },
        }
    }

    /// Whether a line is of the name: its site is called so, or its client asked for such a host. `host` is as the client sent it.
    pub(super) fn admits(&self, site: &str, host: &[u8]) -> bool {
        match self {
            Self::All => true,
            Self::Of { text, .. } if **text == *site => true,
            Self::Of { pattern, .. } => str::from_utf8(host).is_ok_and(|host| fits(pattern, host)),
        }
    }
}

fn fits(pattern: &HostPattern, host: &str) -> bool {
    let name = bare(host);
    match pattern {
        HostPattern::Exact(own) => own.as_str().eq_ignore_ascii_case(name),
        HostPattern::Wildcard(base) => {
            parent(name).is_some_and(|parent| parent.eq_ignore_ascii_case(base.as_str()))
        }
        HostPattern::CatchAll => true,
    }
}

/// A host without its port, its brackets and its trailing dot.
fn bare(host: &str) -> &str {
    if let Some((address, _port)) = host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return address;
    }
    let name = match host.rsplit_once(':') {
        Some((name, _port)) if !name.contains(':') => name,
        Some(_) | None => host,
    };
    name.strip_suffix('.').unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, site: &str, host: &str, expected: bool) {
        let filter = Filter::of(Some(HostPattern::parse(pattern).unwrap()));
        let admits = filter.admits(site, host.as_bytes());
        assert_eq!(admits, expected, "{pattern} {site} {host}");
    }

    #[test]
    fn a_name_admits_its_site_and_its_host() {
        check("a.test", "a.test", "alias.test", true);
        check("a.test", "*.test", "A.test.:8443", true);
        check("a.test", "b.test", "b.test", false);
        check("a.test", "b.test", "a.test.evil", false);
        check("a.test", "", "", false);
        check("*.dev.test", "*.dev.test", "", true);
        check("*.dev.test", "a.dev.test", "a.dev.test:1", true);
        check("*.dev.test", "b.test", "a.b.dev.test", false);
        check("*", "b.test", "", true);
    }

    #[test]
    fn addresses_are_names_too() {
        check("::1", "x", "[::1]:8443", true);
        check("::1", "x", "::1", true);
        check("127.0.0.1", "x", "127.0.0.1:80", true);
    }

    #[test]
    fn octets_that_are_no_text_are_nobodys_name() {
        let filter = Filter::of(Some(HostPattern::parse("a.test").unwrap()));
        assert!(!filter.admits("b.test", b"a.test\xff"));
        assert!(Filter::of(None).admits("b.test", b"\xff"));
    }
}

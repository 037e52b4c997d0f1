//! Whom a limit counts: registered domains, single names, exact sets of names.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::net::{IpAddr, Ipv6Addr};

use aws_lc_rs::digest;

/// Octets of a subject in the ledger, which any host name fits.
pub(super) const SUBJECT_BYTES_MAX: usize = 253;

/// The registered domain of a name, or of an address itself (IPv4) or its network (IPv6).
pub(super) fn domain(name: &str) -> String {
    let name = identifier(name);
    match name.parse::<IpAddr>().map(|ip| ip.to_canonical()) {
        Ok(IpAddr::V4(ip)) => ip.to_string(),
        Ok(IpAddr::V6(ip)) => {
            let [a, b, c, d, ..] = ip.segments();
            format!("{}/64", Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        // A public suffix has no registered domain: it is its own.
        Err(_) => psl::domain_str(&name).map_or_else(|| bounded(&name), bounded),
    }
}

/// What is validated: for a wildcard the name below it.
pub(super) fn identifier(name: &str) -> String {
    let name = canonical(name);
    bounded(name.strip_prefix("*.").unwrap_or(&name))
}

/// The names themselves if they are short enough, else the first of them and a digest of all.
pub(super) fn set(names: &BTreeSet<String>) -> String {
    let names: BTreeSet<String> = names.iter().map(|name| canonical(name)).collect();
    let joined = names.into_iter().collect::<Vec<_>>().join(",");
    if joined.len() <= SUBJECT_BYTES_MAX {
        return joined;
    }
    let first = joined.split(',').next().unwrap_or_default();
    let mut shown = cut(first, SUBJECT_BYTES_MAX - DIGEST_BYTES * 2 - 2);
    shown.push_str(",#");
    let hash = digest::digest(&digest::SHA256, joined.as_bytes());
    for byte in hash.as_ref().iter().take(DIGEST_BYTES) {
        // Writing to a string cannot fail.
        let _ = write!(shown, "{byte:02x}");
    }
    shown
}

/// Not more than `bytes`, without control characters, which a terminal would obey.
pub(super) fn cut(text: &str, bytes: usize) -> String {
    let end = text.floor_char_boundary(bytes);
    text[..end].replace(char::is_control, " ")
}

fn canonical(name: &str) -> String {
    name.parse::<IpAddr>().map_or_else(
        |_| name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase(),
        |ip| ip.to_canonical().to_string(),
    )
}

fn bounded(name: &str) -> String {
    cut(name, SUBJECT_BYTES_MAX)
}

const DIGEST_BYTES: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, expected: &str) {
        assert_eq!(domain(name), expected);
    }

    #[test]
    fn domains_are_those_of_the_public_suffix_list() {
        check("www.example.com", "example.com");
        check("*.Example.COM.", "example.com");
        check("a.b.example.co.uk", "example.co.uk");
        check("pages.github.io", "pages.github.io");
        check("github.io", "github.io");
        check("localhost", "localhost");
        check("", "");
        check("..", ".");
    }

    #[test]
    fn addresses_count_for_themselves_or_their_network() {
        check("192.0.2.7", "192.0.2.7");
        check("::ffff:192.0.2.7", "192.0.2.7");
        check("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64");
    }

    #[test]
    fn a_set_has_one_name_however_it_is_written() {
        let set_of = |names: &[&str]| set(&names.iter().map(|name| (*name).to_owned()).collect());
        assert_eq!(
            set_of(&["B.example", "a.example"]),
            set_of(&["a.example.", "b.example"])
        );
        assert_eq!(set_of(&["2001:DB8:0::1"]), set_of(&["2001:db8::1"]));
        assert_ne!(set_of(&["*.example.com"]), set_of(&["example.com"]));
        let many: Vec<String> = (0..100).map(|n| format!("host-{n}.example.com")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let long = set_of(&many);
        assert!(long.len() <= SUBJECT_BYTES_MAX && long.starts_with("host-0.example.com,#"));
        assert_ne!(long, set_of(&many[1..]));
        assert_ne!(long, set_of(&many[..99]));
    }
}

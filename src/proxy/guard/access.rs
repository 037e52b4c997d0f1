//! `allow` and `deny`.

use std::net::IpAddr;

use crate::config::guard::Access;

/// Whether a client may ask at all. Being denied is stronger than being allowed.
pub(super) fn is_admitted(access: &Access, client: IpAddr) -> bool {
    let is_allowed = access
        .allow
        .as_ref()
        .is_none_or(|allowed| allowed.contains(client));
    is_allowed && !access.deny.contains(client)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::network::Networks;

    fn networks(list: &[&str]) -> Networks {
        Networks(list.iter().map(|text| text.parse().unwrap()).collect())
    }

    #[track_caller]
    fn check(allow: Option<&[&str]>, deny: &[&str], client: &str, expected: bool) {
        let access = Access {
            allow: allow.map(networks),
            deny: networks(deny),
        };
        let seen = is_admitted(&access, client.parse().unwrap());
        assert_eq!(seen, expected, "{allow:?} {deny:?} {client}");
    }

    #[test]
    fn nobody_is_kept_out_by_nothing() {
        check(None, &[], "192.0.2.7", true);
        check(None, &[], "2001:db8::7", true);
        // An empty list is a list.
        check(Some(&[]), &[], "192.0.2.7", false);
    }

    #[test]
    fn only_the_allowed_come_in_and_never_the_denied() {
        let office: Option<&[&str]> = Some(&["192.0.2.0/24", "2001:db8::/32"]);
        check(office, &[], "192.0.2.7", true);
        check(office, &[], "192.0.3.7", false);
        check(office, &[], "2001:db8:1::7", true);
        check(office, &[], "2001:db9::7", false);
        check(office, &["192.0.2.7/32"], "192.0.2.7", false);
        check(office, &["192.0.2.7/32"], "192.0.2.8", true);
        check(None, &["::/0"], "192.0.2.7", true);
        check(None, &["0.0.0.0/0"], "2001:db8::7", true);
    }

    #[test]
    fn an_ipv4_address_is_one_in_any_clothes() {
        check(Some(&["192.0.2.0/24"]), &[], "::ffff:192.0.2.7", true);
        check(None, &["192.0.2.0/24"], "::ffff:192.0.2.7", false);
    }
}

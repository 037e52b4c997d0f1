//! Which CA made a certificate, where the tool that had it does not say.

/// The directory of the CA behind an issuer's distinguished name, if it is one that many use.
#[must_use]
pub(super) fn directory_of(issuer: &str) -> Option<&'static str> {
    let known = KNOWN
        .iter()
        .find(|(part, _directory)| issuer.contains(part));
    known.map(|(_part, directory)| *directory)
}

/// Parts of issuers' names, the more peculiar first.
const KNOWN: &[(&str, &str)] = &[
    (
        "(STAGING)",
        "https://acme-staging-v02.api.letsencrypt.org/directory",
    ),
    (
        "O=Let's Encrypt",
        "https://acme-v02.api.letsencrypt.org/directory",
    ),
    (
        "O=Google Trust Services",
        "https://dv.acme-v02.api.pki.goog/directory",
    ),
    ("O=ZeroSSL", "https://acme.zerossl.com/v2/DV90"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(issuer: &str, host: Option<&str>) {
        let found = directory_of(issuer);
        assert_eq!(found.is_some(), host.is_some(), "{issuer}");
        assert!(
            found.unwrap_or_default().contains(host.unwrap_or_default()),
            "{issuer}"
        );
    }

    #[test]
    fn the_cas_that_many_use_are_known_by_their_names() {
        check(
            "C=US, O=Let's Encrypt, CN=E7",
            Some("acme-v02.api.letsencrypt"),
        );
        check(
            "C=US, O=(STAGING) Let's Encrypt, CN=(STAGING) Fake",
            Some("staging"),
        );
        check("C=US, O=Google Trust Services, CN=WE1", Some("pki.goog"));
        check("CN=Pebble Intermediate CA 1", None);
    }
}

//! What a command finds in its environment: where to listen, how it is reached, and whom to trust.

use std::ffi::OsString;
use std::path::Path;

/// Read by Node beside its own roots.
const EXTRA: &str = "NODE_EXTRA_CA_CERTS";
/// Read by OpenSSL, Python, Ruby and Go; by Python's requests; by curl: each in place of its own roots.
const BUNDLES: [&str; 3] = ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"];

/// Certificates of the local CA as files.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trust<'a> {
    /// Its root alone.
    pub(super) root: &'a Path,
    /// The system's roots and its own; none where the system has no roots.
    pub(super) bundle: Option<&'a Path>,
}

/// Variables to set, and those that somebody has set otherwise already.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Variables {
    pub(super) set: Vec<(&'static str, OsString)>,
    pub(super) kept: Vec<&'static str>,
}

impl Variables {
    /// `known` is the environment as it is.
    pub(super) fn new(
        known: &dyn Fn(&str) -> Option<OsString>,
        port: u16,
        url: &str,
        trust: Option<Trust<'_>>,
    ) -> Self {
        let mut variables = Self {
            set: vec![
                ("PORT", port.to_string().into()),
                ("HOST", "127.0.0.1".into()),
                ("ONEDOOR_URL", url.into()),
            ],
            kept: Vec::new(),
        };
        let Some(Trust { root, bundle }) = trust else {
            return variables;
        };
        let bundles = bundle
            .into_iter()
            .flat_map(|bundle| BUNDLES.map(|name| (name, bundle)));
        for (name, file) in std::iter::once((EXTRA, root)).chain(bundles) {
            match known(name) {
                Some(other) if !other.is_empty() && other != file => variables.kept.push(name),
                Some(_) | None => variables.set.push((name, file.into())),
            }
        }
        variables
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trust() -> Trust<'static> {
        Trust {
            root: Path::new("/ca/root.pem"),
            bundle: Some(Path::new("/ca/bundle.pem")),
        }
    }

    fn names(variables: &Variables) -> Vec<&str> {
        variables.set.iter().map(|(name, _value)| *name).collect()
    }

    #[test]
    fn a_command_learns_its_port_its_url_and_the_local_ca() {
        let Variables { set, kept } =
            Variables::new(&|_name| None, 4001, "https://a.localhost", Some(trust()));
        let expected = [
            ("PORT", "4001"),
            ("HOST", "127.0.0.1"),
            ("ONEDOOR_URL", "https://a.localhost"),
            ("NODE_EXTRA_CA_CERTS", "/ca/root.pem"),
            ("SSL_CERT_FILE", "/ca/bundle.pem"),
            ("REQUESTS_CA_BUNDLE", "/ca/bundle.pem"),
            ("CURL_CA_BUNDLE", "/ca/bundle.pem"),
        ];
        assert_eq!(set, expected.map(|(name, value)| (name, value.into())));
        assert!(kept.is_empty());
    }

    #[test]
    fn whom_a_person_trusts_is_left_to_them() {
        let known = |name: &str| match name {
            "PORT" => Some("80".into()),
            "SSL_CERT_FILE" => Some("/own.pem".into()),
            "CURL_CA_BUNDLE" => Some("/ca/bundle.pem".into()),
            "REQUESTS_CA_BUNDLE" => Some(OsString::new()),
            _ => None,
        };
        let variables = Variables::new(&known, 4001, "", Some(trust()));
        assert_eq!(variables.kept, ["SSL_CERT_FILE"]);
        assert!(!names(&variables).contains(&"SSL_CERT_FILE"));
        assert!(names(&variables).contains(&"CURL_CA_BUNDLE"));
        assert!(names(&variables).contains(&"REQUESTS_CA_BUNDLE"));
        assert_eq!(variables.set[0], ("PORT", "4001".into()));
    }

    #[test]
    fn without_a_bundle_or_a_local_ca_fewer_are_set() {
        let trust = Trust {
            bundle: None,
            ..trust()
        };
        let known = |_name: &str| None;
        let variables = Variables::new(&known, 1, "", Some(trust));
        assert_eq!(
            names(&variables),
            ["PORT", "HOST", "ONEDOOR_URL", "NODE_EXTRA_CA_CERTS"]
        );
        assert_eq!(Variables::new(&known, 1, "", None).set.len(), 3);
    }
}

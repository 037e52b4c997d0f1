//! Which certificates and directories are of a CA's test environment.

/// Whether a CA's directory is one for tests.
#[must_use]
pub fn is_staging_directory(url: &str) -> bool {
    STAGING_DIRECTORIES.iter().any(|part| url.contains(part))
}

/// Whether an issuer's distinguished name is one for tests.
#[must_use]
pub fn is_staging_issuer(name: &str) -> bool {
    STAGING_ISSUERS.iter().any(|part| name.contains(part))
}

/// Let's Encrypt, Google, Buypass, SSL.com and Actalis.
const STAGING_DIRECTORIES: &[&str] = &[
    "acme-staging",
    "test-api.pki.goog",
    "api.test4.buypass",
    "://acme-try.",
];
/// Let's Encrypt, now and in earlier years.
const STAGING_ISSUERS: &[&str] = &["(STAGING)", "Fake LE ", "happy hacker fake CA"];

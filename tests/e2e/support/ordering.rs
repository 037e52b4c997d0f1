//! Configurations that order certificates from a test's CA.

use std::path::Path;

use super::pebble::Pebble;

/// A door on the address that the CA asks, with these lines in `[acme]` and these sites.
pub(crate) fn config(ca: &Pebble, acme: &str, sites: &str) -> String {
    config_on("storage".as_ref(), ca, acme, sites)
}

/// The same with the storage elsewhere.
pub(crate) fn config_on(storage: &Path, ca: &Pebble, acme: &str, sites: &str) -> String {
    config_of(
        storage,
        ca,
        &format!("directory = \"{}\"\n{acme}", ca.directory()),
        sites,
    )
}

/// The same with other CAs; this one's roots are trusted.
pub(crate) fn config_of(storage: &Path, ca: &Pebble, acme: &str, sites: &str) -> String {
    format!(
        r#"
        listen = ["{tls}"]
        http = ["{plain}"]
        storage = "{storage}"
        [acme]
        roots = "{roots}"
        email = "ada@example.com"
        {acme}
        [sites]
        {sites}
        "#,
        tls = ca.tls(),
        plain = ca.plain(),
        storage = storage.display(),
        roots = ca.roots_file(),
    )
}

pub(crate) fn site(name: &str) -> String {
    format!("\"{name}\" = {{ respond = {{ body = \"{name}\" }} }}\n")
}

//! CAs that everybody uses: where their directories are. Tools often keep but a part of the address.

/// Directories of public CAs and of their test environments.
const DIRECTORIES: &[&str] = &[
    "https://acme-v02.api.letsencrypt.org/directory",
    "https://acme-staging-v02.api.letsencrypt.org/directory",
    "https://acme.zerossl.com/v2/DV90",
    "https://dv.acme-v02.api.pki.goog/directory",
    "https://dv.acme-v02.test-api.pki.goog/directory",
    "https://api.buypass.com/acme/directory",
    "https://api.test4.buypass.no/acme/directory",
    "https://acme.ssl.com/sslcom-dv-rsa",
    "https://acme.ssl.com/sslcom-dv-ecc",
    "https://acme-api.actalis.com/acme/directory",
];

/// Earlier addresses whose accounts moved.
const MOVED: &[(&str, &str)] = &[
    (
        "https://acme-v01.api.letsencrypt.org/directory",
        "https://acme-v02.api.letsencrypt.org/directory",
    ),
    (
        "https://acme-staging.api.letsencrypt.org/directory",
        "https://acme-staging-v02.api.letsencrypt.org/directory",
    ),
];

/// The directory of the CA that an URL of it, such as an account's, belongs to; none if no or more than one is known there.
#[must_use]
pub fn directory_of_url(url: &str) -> Option<&'static str> {
    directory_of_host(authority(url)?)
}

/// As [`directory_of_url`], from the host alone.
#[must_use]
pub fn directory_of_host(host: &str) -> Option<&'static str> {
    let at = |directory: &&&str| authority(directory) == Some(host);
    let mut found = DIRECTORIES.iter().filter(at);
    let first = found.next()?;
    found.next().is_none().then_some(first)
}

/// The directory that an address without its scheme stands for.
#[must_use]
pub fn directory_of_address(address: &str) -> String {
    let address = address.trim_matches('/');
    if !address.contains('/')
        && let Some(directory) = directory_of_host(address)
    {
        return directory.to_owned();
    }
    current(&format!("https://{address}"))
}

/// The directory as it is called today.
#[must_use]
pub fn current(directory: &str) -> String {
    let moved = MOVED.iter().find(|(earlier, _)| *earlier == directory);
    moved.map_or(directory, |(_, today)| today).to_owned()
}

/// The directory that a shortened form stands for, which `shorten` gives.
#[must_use]
pub fn directory_by(shortened: &str, shorten: impl Fn(&str) -> String) -> Option<&'static str> {
    let is_it = |directory: &&&str| shorten(directory) == shortened;
    DIRECTORIES.iter().find(is_it).copied()
}

/// The directory that a certificate comes from, going by its issuer's distinguished name. Only CAs with one directory are told.
#[must_use]
pub fn directory_of_issuer(issuer: &str) -> Option<&'static str> {
    if !issuer.contains("O=Let's Encrypt") && !issuer.contains("O=(STAGING) Let's Encrypt") {
        return None;
    }
    directory_of_host(match issuer.contains("(STAGING)") {
        true => "acme-staging-v02.api.letsencrypt.org",
        false => "acme-v02.api.letsencrypt.org",
    })
}

/// Octets of an URL; none that a CA gives is as long.
const URL_BYTES_MAX: usize = 2000;

/// Whether a text can be the URL of a CA's directory or of an account: of the letters that URLs are made of (RFC 3986 section 2) and no
/// others, so that whatever file it is written to, it is one word there. An apostrophe is none of them, though the RFC lets it be one.
#[must_use]
pub fn is_url(text: &str) -> bool {
    let address = ["https://", "http://"]
        .iter()
        .find_map(|scheme| text.strip_prefix(scheme));
    let is_letter =
        |octet: u8| octet.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&()*+,;=%".contains(&octet);
    let is_encoded = |(at, _percent): (usize, &str)| {
        let digits = text.as_bytes().get(at + 1..at + 3);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    address.is_some_and(|address| !address.is_empty() && !address.starts_with('/'))
        && text.len() <= URL_BYTES_MAX
        && text.bytes().all(is_letter)
        && text.match_indices('%').all(is_encoded)
}

/// Host and port of an URL.
#[must_use]
pub fn authority(url: &str) -> Option<&str> {
    let (_scheme, rest) = url.split_once("://")?;
    rest.split('/').next().filter(|host| !host.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_url_is_one_word_in_any_file() {
        for directory in DIRECTORIES {
            assert!(is_url(directory), "{directory}");
        }
        for fine in [
            "http://[::1]:14000/dir?a=b,c#d",
            "https://ca.test/%7Eada/(x)",
        ] {
            assert!(is_url(fine), "{fine}");
        }
        for odd in [
            "",
            "https://",
            "https:///etc",
            "ca.test/dir",
            "ftp://ca.test",
            "https://ca.test/dir\nrenew_hook = id",
            "https://ca.test/\u{2028}x",
            "https://ca.test/ x",
            "https://ca.test/\"x",
            "https://ca.test/'x",
            "https://ca.test/%(server)s",
            "https://ca.test/%4",
            "https://ca.test/é",
            "https://ca.test/\u{1b}[2J",
        ] {
            assert!(!is_url(odd), "{odd:?}");
        }
        assert!(!is_url(&format!("https://{}", "a".repeat(URL_BYTES_MAX))));
    }
}

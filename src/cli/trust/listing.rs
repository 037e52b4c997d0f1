//! What the tools of stores print, read.

/// A certificate in a data base of NSS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) nickname: String,
    /// For TLS, for mail, for code.
    trust: String,
}

impl Entry {
    /// Whether it may sign for servers.
    pub(super) fn is_trusted_root(&self) -> bool {
        let tls = self.trust.split(',').next().unwrap_or_default();
        tls.contains('C')
    }
}

/// What a data base of NSS has beside certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keys {
    Some,
    None,
    /// A password is wanted.
    Locked,
    Unknown,
}

/// Of `certutil -K`, which fails as well where there is none: what it says tells why.
pub(super) fn keys(has_succeeded: bool, complaint: &str) -> Keys {
    if has_succeeded {
        Keys::Some
    } else if complaint.contains("no keys found") {
        Keys::None
    } else if complaint.contains("SEC_ERROR_BAD_PASSWORD") {
        Keys::Locked
    } else {
        Keys::Unknown
    }
}

/// Of `certutil -L`: nicknames may have spaces in them, what is trusted is the last word.
pub(super) fn entries(text: &str) -> Vec<Entry> {
    let entry = |line: &str| {
        let (nickname, trust) = line.trim_end().rsplit_once(char::is_whitespace)?;
        let flags = |text: &str| text.bytes().all(|byte| b"pPcCTuwW,".contains(&byte));
        let is_entry = trust.matches(',').count() == 2 && flags(trust);
        is_entry.then(|| Entry {
            nickname: nickname.trim_end().to_owned(),
            trust: trust.to_owned(),
        })
    };
    text.lines().filter_map(entry).collect()
}

/// Whether `security find-certificate -Z` or `keytool -list` names this fingerprint, with colons or without.
pub(super) fn names(text: &str, fingerprint: &str) -> bool {
    text.lines().any(|line| {
        let word = line.rsplit(' ').next().unwrap_or_default();
        let digits: String = word.chars().filter(|c| *c != ':').collect();
        digits.eq_ignore_ascii_case(fingerprint)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nicknames_with_spaces_are_told_from_what_is_trusted() {
        let text = "\nCertificate Nickname                      Trust Attributes\n\
                    \x20                                         SSL,S/MIME,JAR/XPI\n\n\
                    onedoor local CA 3f9ac01b                 C,,  \n\
                    Some intermediate                         ,,   \n\
                    mine                                      u,u,u\n";
        let found = entries(text);
        let seen: Vec<(&str, bool)> = found
            .iter()
            .map(|entry| (entry.nickname.as_str(), entry.is_trusted_root()))
            .collect();
        assert_eq!(
            seen,
            [
                ("onedoor local CA 3f9ac01b", true),
                ("Some intermediate", false),
                ("mine", false)
            ]
        );
    }

    #[test]
    fn no_keys_are_told_from_keys_that_cannot_be_seen() {
        assert_eq!(keys(true, ""), Keys::Some);
        assert_eq!(keys(false, "certutil: no keys found\n"), Keys::None);
        let locked = "Error opening input terminal for read\ncertutil: could not authenticate to token NSS Certificate DB.: \
                      SEC_ERROR_BAD_PASSWORD: The security password entered is incorrect.\n";
        assert_eq!(keys(false, locked), Keys::Locked);
        let broken =
            "certutil: function failed: SEC_ERROR_BAD_DATABASE: security library: bad database.\n";
        for complaint in [broken, "runuser: user ana does not exist", ""] {
            assert_eq!(keys(false, complaint), Keys::Unknown, "{complaint}");
        }
    }

    #[test]
    fn a_fingerprint_is_found_however_it_is_written() {
        let keytool =
            "a, Jan 1, 2026, trustedCertEntry, \nCertificate fingerprint (SHA-256): AB:CD:01\n";
        assert!(names(keytool, "abcd01"));
        assert!(!names(keytool, "abcd"));
        assert!(names("SHA-1 hash: ABCD01\nkeychain: \"x\"\n", "abcd01"));
    }
}

//! ACME directories: the ones with a name, and all others.

use crate::config::problem::Problem;
use crate::config::problems::Problems;
use crate::config::reader::Item;
use crate::config::suggest;
use crate::config::url::{self, Plain};
use crate::hostname::{HostName, HostPattern};

/// Where a CA's service begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directory {
    pub authority: Authority,
    pub url: Box<str>,
}

/// Whose directory it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authority {
    LetsEncrypt,
    LetsEncryptStaging,
    ZeroSsl,
    Google,
    Other,
}

const KNOWN: &[(&str, Authority, &str)] = &[
    (
        "letsencrypt",
        Authority::LetsEncrypt,
        "https://acme-v02.api.letsencrypt.org/directory",
    ),
    (
        "letsencrypt-staging",
        Authority::LetsEncryptStaging,
        "https://acme-staging-v02.api.letsencrypt.org/directory",
    ),
    (
        "zerossl",
        Authority::ZeroSsl,
        "https://acme.zerossl.com/v2/DV90",
    ),
    (
        "google",
        Authority::Google,
        "https://dv.acme-v02.api.pki.goog/directory",
    ),
];
/// What other programs call them.
const FOREIGN: &[(&str, &str)] = &[
    ("le", "letsencrypt"),
    ("acme", "letsencrypt"),
    ("production", "letsencrypt"),
    ("staging", "letsencrypt-staging"),
    ("letsencrypt_test", "letsencrypt-staging"),
    ("le_staging", "letsencrypt-staging"),
    ("gts", "google"),
    ("googletrust", "google"),
];
const DIRECTORY_FORM: &str =
    r#""letsencrypt", "letsencrypt-staging", "zerossl", "google", or a URL"#;

impl Directory {
    /// Let's Encrypt's.
    #[must_use]
    pub fn lets_encrypt() -> Self {
        let (_, authority, url) = KNOWN[0];
        Self {
            authority,
            url: url.into(),
        }
    }

    /// The URLs of the ones with a name.
    pub fn known() -> impl Iterator<Item = &'static str> {
        KNOWN.iter().map(|(_name, _authority, url)| *url)
    }

    /// A name or a URL.
    pub(super) fn read(item: &Item<'_>, problems: &mut Problems) -> Option<Self> {
        let text = item.text(DIRECTORY_FORM, problems)?;
        if text.contains("://") {
            let url = url::read(item, Plain::OnLoopback, problems)?;
            let known = KNOWN
                .iter()
                .find(|(_, _, known)| known.eq_ignore_ascii_case(url.trim_end_matches('/')));
            let authority = known.map_or(Authority::Other, |(_, authority, _)| *authority);
            return Some(Self { authority, url });
        }
        let known = KNOWN.iter().find(|(name, _, _)| *name == text);
        if known.is_none() {
            problems.push(unknown(item, text));
        }
        known.map(|(_, authority, url)| Self {
            authority: *authority,
            url: (*url).into(),
        })
    }

    /// Whether everybody may order there, and is limited in it. Unknown directories are taken for such, unless their host has a name or an
    /// address that only a neighbour could mean.
    #[must_use]
    pub fn is_public(&self) -> bool {
        match self.authority {
            Authority::LetsEncrypt | Authority::ZeroSsl | Authority::Google => true,
            Authority::LetsEncryptStaging => false,
            Authority::Other => {
                let host = url::host(&self.url).and_then(|host| HostName::parse(&host).ok());
                host.is_none_or(|host| {
                    let is_local = crate::config::is_local(&HostPattern::Exact(host.clone()), &[]);
                    host.ip().is_none() && host.parent().is_some() && !is_local
                })
            }
        }
    }

    /// Whether it is one of Let's Encrypt's.
    pub(in crate::config) fn is_lets_encrypt(&self) -> bool {
        match self.authority {
            Authority::LetsEncrypt | Authority::LetsEncryptStaging => true,
            Authority::ZeroSsl | Authority::Google | Authority::Other => false,
        }
    }

    /// Whether nobody gets an account there without another one that vouches for it.
    pub(super) fn needs_eab(&self) -> bool {
        match self.authority {
            Authority::ZeroSsl | Authority::Google => true,
            Authority::LetsEncrypt | Authority::LetsEncryptStaging | Authority::Other => false,
        }
    }
}

fn unknown(item: &Item<'_>, text: &str) -> Problem {
    let folded = suggest::fold(text);
    let foreign = FOREIGN.iter().find(|(theirs, _)| *theirs == folded);
    let near = foreign
        .map(|(_, ours)| *ours)
        .or_else(|| suggest::nearest(text, KNOWN.iter().map(|(name, _, _)| *name)));
    let label = match near {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => "this is none of them".to_owned(),
    };
    Problem::error(
        "unknown-value",
        format!("`{}` takes {DIRECTORY_FORM}", item.key),
    )
    .at(item.at(), label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_public_unless_only_a_neighbour_could_mean_it() {
        let other = |url: &str| Directory {
            authority: Authority::Other,
            url: url.into(),
        };
        assert!(Directory::lets_encrypt().is_public());
        assert!(other("https://acme.example.com/directory").is_public());
        for private in [
            "https://127.0.0.1:14000/dir",
            "https://[fd00::1]/dir",
            "https://ca/dir",
            "https://ca.internal/acme/acme/directory",
            "http://localhost:8080/dir",
        ] {
            assert!(!other(private).is_public(), "{private}");
        }
    }
}

//! Says whose files a tree holds: each reader takes what is its tool's, and what is left may still be plain pairs.

use std::time::SystemTime;

use crate::certs::import::findings::Findings;
use crate::certs::import::survey::Survey;
use crate::certs::import::tree::{Content, Tree};
use crate::certs::import::walk::IMPORT_BYTES_MAX;
use crate::certs::import::{
    acme_sh, acmetool, archive, caddy, certbot, companion, dehydrated, kubernetes, lego, plain,
    proxy_manager, traefik,
};

type Reader = fn(&mut Survey<'_>);

/// From the most to the least peculiar layout; one that another builds on comes before it.
const READERS: &[Reader] = &[
    caddy::read,
    traefik::read,
    kubernetes::read,
    certbot::read,
    proxy_manager::read,
    lego::read,
    acme_sh::read,
    companion::read,
    dehydrated::read,
    acmetool::read,
    plain::read,
];

/// Recognises what a tree holds, archives in it included. Whatever is in it, there is an answer.
#[must_use]
pub fn recognise(tree: &Tree, now: SystemTime) -> Findings {
    recognise_within(IMPORT_BYTES_MAX, tree, now)
}

/// What archives hold is counted as what the tree holds is.
pub(super) fn recognise_within(bytes_max: u64, tree: &Tree, now: SystemTime) -> Findings {
    let mut budget = bytes_max.saturating_sub(tree.bytes());
    let mut survey = Survey::new(tree, now);
    let mut archives = Vec::new();
    for (path, content) in tree.files() {
        let Content::Bytes(bytes) = content else {
            continue;
        };
        if let Some(unpacked) = archive::unpack(bytes, tree.place(path), &mut budget) {
            survey.set_aside(path);
            archives.push(unpacked);
        }
    }
    of_files(&mut survey);
    for unpacked in &archives {
        let mut inside = Survey::new(unpacked, now);
        of_files(&mut inside);
        survey.absorb(inside.finish());
    }
    survey.finish()
}

fn of_files(survey: &mut Survey<'_>) {
    for read in READERS {
        read(survey);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;
    use crate::certs::import::fault::AccountFault;
    use crate::certs::import::fixture::{Ca, found, now, p256, tree};

    #[test]
    fn everything_below_one_folder_is_told_once() {
        let ca = Ca::new();
        let (one, two) = (ca.pair(&["a.test"]), ca.pair(&["b.test"]));
        let findings = found(&[
            (
                "caddy/certificates/ca.test-dir/a.test/a.test.crt",
                &one.chain,
            ),
            ("caddy/certificates/ca.test-dir/a.test/a.test.key", &one.key),
            ("letsencrypt/live/b.test/fullchain.pem", &two.chain),
            ("letsencrypt/live/b.test/privkey.pem", &two.key),
            ("copies/b.pem", &format!("{}{}", two.chain, two.key)),
        ]);
        assert_eq!(findings.tools.len(), 3, "{findings:#?}");
        let places: Vec<&str> = findings
            .certificates
            .iter()
            .map(|found| found.place.as_str())
            .collect();
        assert_eq!(
            places,
            [
                "/base/caddy/certificates/ca.test-dir/a.test",
                "/base/letsencrypt/live/b.test"
            ]
        );
    }

    #[test]
    fn a_directory_that_is_no_url_is_dropped_with_a_word() {
        let pair = Ca::new().pair(&["a.test"]);
        let at = "certificates/ca.test-dir/a.test/a.test";
        let user = "acme/ca.test-dir/users/default/default";
        let record =
            r#"{"sans":["a.test"],"issuer_data":{"ca":"https://ca.test/dir\nrenew_hook = id"}}"#;
        let findings = found(&[
            (&format!("{at}.crt"), &pair.chain),
            (&format!("{at}.key"), &pair.key),
            (&format!("{at}.json"), record),
            (&format!("{user}.key"), &p256().1),
            (
                &format!("{user}.json"),
                r#"{"location":"https://ca.test/ a"}"#,
            ),
        ]);
        let [certificate] = &findings.certificates[..] else {
            panic!("{findings:#?}");
        };
        assert_eq!((&certificate.directory, &certificate.fault), (&None, &None));
        let [warning] = &certificate.warnings[..] else {
            panic!("{certificate:#?}");
        };
        let warning = warning.to_string();
        assert!(
            warning.contains(r"https://ca.test/dir\nrenew_hook"),
            "{warning}"
        );
        let account = &findings.accounts[0];
        assert_eq!(account.url, None);
        assert!(
            matches!(account.fault, Some(AccountFault::OddUrl(_))),
            "{account:#?}"
        );
    }

    #[test]
    fn nothing_is_found_in_nothing() {
        let findings = found(&[
            ("a.json", "{}"),
            ("b.conf", "x=1"),
            ("c.yaml", "apiVersion: v1"),
        ]);
        assert!(findings.tools.is_empty() && findings.certificates.is_empty());
    }

    /// Where readers look.
    const PLACES: &[&str] = &[
        "certificates/ca.test-dir/a.test/a.test.crt",
        "certificates/ca.test-dir/a.test/a.test.key",
        "certificates/ca.test-dir/a.test/a.test.json",
        "acme/ca.test-dir/users/ada/ada.json",
        "acme/ca.test-dir/users/ada/ada.key",
        "acme.json",
        "live/a.test/fullchain.pem",
        "live/a.test/fullchain",
        "archive/a.test/cert1.pem",
        "renewal/a.test.conf",
        "accounts/ca.test/dir/1/private_key.json",
        "accounts/ca.test/dir/1/regr.json",
        "accounts/ca.test/ada/account.json",
        "accounts/ca.test/ada/ada.key",
        "accounts/aHR0cHM6Ly9h/account_key.pem",
        "accounts/aHR0cHM6Ly9h/account_id.json",
        "accounts/ca.test%2fdir/1/privkey",
        "certificates/a.test.json",
        "certificates/a.test.crt",
        "a.test/a.test.conf",
        "a.test/a.test.key",
        "a.test/.companion",
        "a.test/fullchain-1800000000.pem",
        "ca/ca.test/dir/account.key",
        "ca/ca.test/dir/account.json",
        "ca/ca.test/dir/ca.conf",
        "certs/1/url",
        "certs/1/cert",
        "custom_ssl/npm-1/fullchain.pem",
        "tls.crt",
        "tls.key",
        "a.tar",
        "a.yaml",
    ];
    /// What files are made of.
    const WORDS: &[&str] = &[
        "-----BEGIN CERTIFICATE-----\n",
        "-----END CERTIFICATE-----\n",
        "-----BEGIN PRIVATE KEY-----\n",
        "-----END PRIVATE KEY-----\n",
        "MIIB\n",
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "1",
        "null",
        "\"Account\"",
        "\"Certificates\"",
        "\"kind\"",
        "\"apiVersion\"",
        "\"items\"",
        "\"Secret\"",
        "tls.crt",
        "apiVersion: ",
        "---\n",
        "- ",
        "&a ",
        "*a ",
        "\"data\"",
        "\"issuer_data\"",
        "\"registration\"",
        "\"body\"",
        "\"contact\"",
        "\"url\"",
        "Le_Domain=",
        "Le_API='",
        "\n",
        "\u{0}",
        "é",
    ];

    proptest! {
        #[test]
        fn whatever_lies_where_readers_look_is_answered(
            files in prop::collection::vec((select(PLACES), prop::collection::vec(select(WORDS), 0..12)), 0..12)
        ) {
            let files: Vec<(&str, String)> =
                files.into_iter().map(|(place, words)| (place, words.concat())).collect();
            let files: Vec<(&str, &str)> =
                files.iter().map(|(place, text)| (*place, text.as_str())).collect();
            drop(recognise(&tree(&files), now()));
        }
    }
}

use super::*;
use crate::certs::import::fault::Fault;
use crate::certs::import::findings::AccountKey;
use crate::certs::import::fixture::{
    Ca, LETS_ENCRYPT, RSA_JWK, found, now, rsa, sound, survives_damage, tree,
};
use crate::certs::import::recognise;

const RENEWAL: &str = "# renew_before_expiry = 30 days\nversion = 2.1.0\narchive_dir = /etc/letsencrypt/archive/a.test\n\
    [renewalparams]\naccount = 0123\nserver = https://acme-v02.api.letsencrypt.org/directory\nkey_type = ecdsa\n";
const REGISTRATION: &str =
    r#"{"body": {}, "uri": "https://acme-v02.api.letsencrypt.org/acme/acct/7"}"#;
const ACCOUNTS: &str = "accounts/acme-v02.api.letsencrypt.org/directory/0123";

fn account() -> [(String, &'static str); 3] {
    [
        (format!("{ACCOUNTS}/private_key.json"), RSA_JWK),
        (format!("{ACCOUNTS}/regr.json"), REGISTRATION),
        (format!("{ACCOUNTS}/meta.json"), "{}"),
    ]
}

fn with_account<'a>(
    account: &'a [(String, &'a str)],
    files: &[(&'a str, &'a str)],
) -> Vec<(&'a str, &'a str)> {
    let account = account.iter().map(|(path, text)| (path.as_str(), *text));
    account.chain(files.iter().copied()).collect()
}

#[test]
fn a_lineage_comes_with_its_account() {
    let pair = Ca::new().pair(&["a.test"]);
    let account = account();
    let findings = found(&with_account(
        &account,
        &[
            ("live/a.test/fullchain.pem", &pair.chain),
            ("live/a.test/cert.pem", &pair.leaf),
            ("live/a.test/privkey.pem", &pair.key),
            ("archive/a.test/fullchain1.pem", &pair.chain),
            ("archive/a.test/privkey1.pem", &pair.key),
            ("archive/a.test/cert1.pem", &pair.leaf),
            ("renewal/a.test.conf", RENEWAL),
        ],
    ));
    let certificate = sound(&findings);
    assert_eq!(findings.tools, [Tool::Certbot]);
    assert_eq!(certificate.place, "/base/live/a.test");
    assert_eq!(certificate.chain, pair.chain);
    assert_eq!(certificate.directory.as_deref(), Some(LETS_ENCRYPT));
    assert_eq!(certificate.account, Some(0));
    let account = &findings.accounts[0];
    assert_eq!(account.key, Some(AccountKey::Rsa(rsa().0)));
    assert_eq!(account.directory.as_deref(), Some(LETS_ENCRYPT));
    assert!(account.url.as_deref().unwrap().ends_with("/acct/7"));
    assert_eq!(account.fault, None);
}

#[test]
fn without_links_the_newest_of_the_archive_counts() {
    let ca = Ca::new();
    let (old, new) = (ca.pair(&["a.test"]), ca.pair(&["a.test"]));
    let mut tree = tree(&[
        ("letsencrypt/archive/a.test/cert9.pem", &old.leaf),
        ("letsencrypt/archive/a.test/fullchain9.pem", &old.chain),
        ("letsencrypt/archive/a.test/privkey9.pem", &old.key),
        ("letsencrypt/archive/a.test/fullchain10.pem", &new.chain),
        ("letsencrypt/archive/a.test/privkey10.pem", &new.key),
        ("letsencrypt/renewal/a.test.conf", RENEWAL),
    ]);
    for kind in ["cert", "fullchain", "privkey"] {
        let path = format!("letsencrypt/live/a.test/{kind}.pem");
        tree.insert(path, Content::Unreadable("is a link to nothing".to_owned()));
    }
    let findings = recognise(&tree, now());
    assert_eq!(sound(&findings).chain, new.chain);
}

#[test]
fn a_lineage_without_its_files_is_told() {
    let findings = found(&[
        ("renewal/a.test.conf", RENEWAL),
        ("live/b.test/cert.pem", ""),
    ]);
    let faults: Vec<_> = findings
        .certificates
        .iter()
        .map(|found| &found.fault)
        .collect();
    assert_eq!(faults, [&Some(Fault::NoCertificate)]);
}

#[test]
fn lineages_of_nginx_proxy_manager_are_told_apart() {
    let pair = Ca::new().pair(&["a.test"]);
    let findings = found(&[
        ("letsencrypt/live/npm-12/fullchain.pem", &pair.chain),
        ("letsencrypt/live/npm-12/privkey.pem", &pair.key),
    ]);
    assert_eq!(sound(&findings).tool, Tool::ProxyManager);
    assert!(findings.tools.contains(&Tool::ProxyManager));
    assert!(!is_managed("npm-x"));
}

#[test]
fn an_account_of_the_first_api_is_one_with_the_second() {
    let earlier = "accounts/acme-v01.api.letsencrypt.org/directory/0123";
    let mut account = account().to_vec();
    account.push((format!("{earlier}/private_key.json"), RSA_JWK));
    account.push((format!("{earlier}/regr.json"), REGISTRATION));
    let findings = found(&with_account(&account, &[]));
    let [account] = &findings.accounts[..] else {
        panic!("{findings:#?}");
    };
    assert_eq!(account.directory.as_deref(), Some(LETS_ENCRYPT));
}

#[test]
fn a_damaged_folder_is_answered() {
    let pair = Ca::new().pair(&["a.test"]);
    let account = account();
    survives_damage(&with_account(
        &account,
        &[
            ("live/a.test/fullchain.pem", &pair.chain),
            ("live/a.test/privkey.pem", &pair.key),
            ("archive/a.test/fullchain1.pem", &pair.chain),
            ("archive/a.test/privkey1.pem", &pair.key),
            ("renewal/a.test.conf", RENEWAL),
        ],
    ));
}

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};

use super::*;
use crate::certs::bundle::Origin;
use crate::certs::import::account_key;
use crate::certs::import::findings::{AccountKey, Findings, Tool};
use crate::certs::import::fixture::{Ca, EC_JWK, LETS_ENCRYPT, now};
use crate::certs::import::recognise;
use crate::certs::import::tree::{self, Tree};

const URL: &str = "https://acme-v02.api.letsencrypt.org/acme/acct/7";

pub(super) fn bundle(names: &[&str], directory: &str) -> Bundle {
    let pair = Ca::new().pair(names);
    let origin = Origin {
        generation: 1,
        directory,
        profile: None,
    };
    let ready = Bundle::of(pair.chain, pair.key, origin, now()).unwrap();
    (*ready.bundle).clone()
}

pub(super) fn account() -> Account {
    let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
    Account {
        directory: LETS_ENCRYPT.to_owned(),
        url: Some(URL.to_owned()),
        email: Some("ada@a.test".to_owned()),
        key: key.unwrap().as_ref().to_vec(),
    }
}

pub(super) fn outlay(layout: Layout, bundles: &[Bundle], accounts: &[Account]) -> Outlay {
    lay_out(
        layout,
        &Holdings {
            bundles,
            accounts,
            root: "/base",
            now: now(),
        },
    )
}

/// As the disk would show it, links followed.
fn written(outlay: &Outlay) -> Tree {
    let mut tree = Tree::new("/base".to_owned());
    let content = |path: &str| {
        let entry = outlay.entries.iter().find(|entry| entry.path == path);
        match entry.map(|entry| &entry.content) {
            Some(Content::File { bytes, .. }) => tree::Content::Bytes(bytes.clone()),
            Some(Content::Link(_)) | None => panic!("{path} is no file"),
        }
    };
    for entry in &outlay.entries {
        let path = match &entry.content {
            Content::File { .. } => entry.path.clone(),
            Content::Link(target) => target.trim_start_matches("../").to_owned(),
        };
        tree.insert(entry.path.clone(), content(&path));
    }
    tree
}

#[track_caller]
fn read_again(layout: Layout, bundles: &[Bundle], accounts: &[Account]) -> Findings {
    let findings = recognise(&written(&outlay(layout, bundles, accounts)), now());
    let faults: Vec<_> = findings
        .certificates
        .iter()
        .filter_map(|found| found.fault.as_ref())
        .collect();
    assert!(faults.is_empty(), "{faults:?}");
    for bundle in bundles {
        let found = findings
            .certificates
            .iter()
            .find(|found| found.chain == bundle.chain);
        assert_eq!(found.unwrap().key, bundle.key);
    }
    findings
}

#[test]
fn what_is_laid_out_is_recognised_with_its_account() {
    let account = account();
    let bundles = [
        bundle(&["a.test"], LETS_ENCRYPT),
        bundle(&["*.a.test", "b.test"], LETS_ENCRYPT),
    ];
    for (layout, tool) in [
        (Layout::Certbot, Tool::Certbot),
        (Layout::Caddy, Tool::Caddy),
    ] {
        let findings = read_again(layout, &bundles, std::slice::from_ref(&account));
        assert_eq!(findings.tools, [tool]);
        assert_eq!(findings.certificates.len(), 2);
        for found in &findings.certificates {
            assert_eq!(found.directory.as_deref(), Some(LETS_ENCRYPT));
            assert_eq!(found.account, Some(0));
        }
        let [found] = &findings.accounts[..] else {
            panic!("{findings:#?}");
        };
        assert_eq!(found.key, Some(AccountKey::P256(account.key.clone())));
        assert_eq!(found.url.as_deref(), Some(URL));
    }
    let findings = read_again(Layout::Pem, &bundles, &[account]);
    assert_eq!(findings.tools, [Tool::Plain]);
}

#[test]
fn keys_are_for_their_owner_alone() {
    let bundles = [bundle(&["a.test"], LETS_ENCRYPT)];
    for layout in [Layout::Certbot, Layout::Caddy, Layout::Pem] {
        let mut secrets = 0;
        for entry in outlay(layout, &bundles, &[account()]).entries {
            let Content::File { bytes, mode } = entry.content else {
                continue;
            };
            let text = String::from_utf8(bytes).unwrap();
            if text.contains("PRIVATE KEY") || text.contains("\"d\":") {
                assert_eq!(mode & 0o077, 0, "{layout}: {}", entry.path);
                secrets += 1;
            }
        }
        assert_eq!(secrets, 2, "{layout}");
    }
}

#[test]
fn links_of_certbot_lead_where_it_expects_them() {
    let bundles = [bundle(&["a.test"], LETS_ENCRYPT), bundle(&["*.a.test"], "")];
    let outlay = outlay(Layout::Certbot, &bundles, &[account()]);
    let find = |path: &str| {
        let mut entries = outlay.entries.iter();
        entries
            .find(|entry| entry.path == path)
            .map(|entry| &entry.content)
    };
    let link = Content::Link("../../archive/a.test/privkey1.pem".to_owned());
    assert_eq!(find("live/a.test/privkey.pem"), Some(&link));
    let Some(Content::File { bytes, .. }) = find("renewal/a.test.conf") else {
        panic!("{outlay:?}");
    };
    let text = String::from_utf8(bytes.clone()).unwrap();
    // The wildcard comes first in the order of names, and takes the name.
    let Some(Content::File { bytes, .. }) = find("renewal/a.test-0001.conf") else {
        panic!("{outlay:?}");
    };
    let other = String::from_utf8(bytes.clone()).unwrap();
    assert!(
        text.contains("fullchain = /base/live/a.test/fullchain.pem\n"),
        "{text}"
    );
    assert!(!text.contains("server ="), "{text}");
    let kind = "key_type = ecdsa\nelliptic_curve = secp256r1\n";
    assert!(text.contains(kind), "{text}");
    assert!(
        other.contains(&format!("server = {LETS_ENCRYPT}\n")),
        "{other}"
    );
    assert!(
        other.contains("archive_dir = /base/archive/a.test-0001\n"),
        "{other}"
    );
}

#[test]
fn one_certificate_under_many_names_is_laid_out_as_the_layout_wants() {
    let shared = bundle(&["a.test", "b.test"], LETS_ENCRYPT);
    let bundles = [shared.clone(), shared];
    let count = |layout| {
        let outlay = outlay(layout, &bundles, &[]);
        let is_chain = |entry: &&Entry| {
            entry.path.ends_with("fullchain1.pem")
                || entry.path.ends_with(".crt")
                || entry.path.ends_with("fullchain.pem") && layout == Layout::Pem
        };
        outlay.entries.iter().filter(is_chain).count()
    };
    assert_eq!(
        [Layout::Certbot, Layout::Caddy, Layout::Pem].map(count),
        [1, 2, 1]
    );
}

#[test]
fn of_two_certificates_for_a_name_caddy_gets_the_one_that_lasts() {
    let mut old = bundle(&["a.test"], LETS_ENCRYPT);
    let new = bundle(&["a.test"], LETS_ENCRYPT);
    old.not_after = old.not_before;
    let outlay = outlay(Layout::Caddy, &[old, new.clone()], &[]);
    let findings = recognise(&written(&outlay), now());
    let [found] = &findings.certificates[..] else {
        panic!("{findings:#?}");
    };
    assert_eq!(found.chain, new.chain);
}

#[test]
fn what_has_no_place_is_told() {
    let nowhere = [bundle(&["a.test"], "")];
    let told = outlay(Layout::Caddy, &nowhere, &[]);
    assert!(told.entries.is_empty());
    assert!(told.remarks[0].contains("--layout pem"), "{told:?}");
    let mut account = account();
    account.url = None;
    for layout in [Layout::Certbot, Layout::Caddy] {
        let told = outlay(layout, &[], std::slice::from_ref(&account));
        assert!(told.entries.is_empty());
        assert!(told.remarks[0].contains("left out"), "{told:?}");
    }
}

#[test]
fn a_chain_is_halved_behind_its_leaf() {
    let pair = Ca::new().pair(&["a.test"]);
    let (leaf, rest) = halves(&pair.chain);
    assert_eq!(leaf, pair.leaf);
    assert_eq!(format!("{leaf}{rest}"), pair.chain);
    assert_eq!(halves(leaf), (leaf, ""));
    assert_eq!(halves(leaf.trim_end()), (leaf.trim_end(), ""));
    assert_eq!(halves("x"), ("x", ""));
}

/// The key of RFC 7517 appendix A.2; the digest is what Python's `cryptography` and `hashlib` make of it as certbot uses them.
#[test]
fn accounts_are_called_what_certbot_calls_them() {
    let Ok(AccountKey::P256(pkcs8)) = account_key::from_jwk(EC_JWK.as_bytes()) else {
        panic!("the key of the RFC is one");
    };
    let form = account_form::AccountForm::of(&pkcs8).unwrap();
    assert_eq!(
        form.certbot_id().as_deref(),
        Some("66731e33a2db46ceffceefbedf96a98b")
    );
    let jwk = form.jwk().unwrap();
    assert_eq!(
        jwk,
        serde_json::from_str::<serde_json::Value>(EC_JWK).unwrap()
    );
}

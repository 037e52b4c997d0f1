use super::*;
use crate::certs::import::fault::{Fault, Warning};
use crate::certs::import::fixture::{Ca, found, pem, sound, survives_damage};

#[test]
fn pairs_are_found_by_their_keys_whatever_they_are_called() {
    let ca = Ca::new();
    let (one, two) = (ca.pair(&["a.test"]), ca.pair(&["b.test", "*.b.test"]));
    let findings = found(&[
        ("certs/one.crt", &one.chain),
        ("private/shop.key", &one.key),
        ("both.pem", &format!("{}{}", two.key, two.chain)),
        ("root.pem", &ca.root),
    ]);
    assert_eq!(findings.tools, [Tool::Plain]);
    let [both, crt] = &findings.certificates[..] else {
        panic!("{findings:#?}");
    };
    assert_eq!((&both.fault, &crt.fault), (&None, &None));
    assert_eq!(both.names, ["b.test", "*.b.test"]);
    assert_eq!((&both.chain, &both.key.0), (&two.chain, &two.key));
    assert_eq!(crt.place, "/base/certs/one.crt");
    assert_eq!((&crt.chain, &crt.key.0), (&one.chain, &one.key));
}

#[test]
fn a_leaf_is_joined_with_its_issuer_and_told_once() {
    let ca = Ca::new();
    let pair = ca.pair(&["a.test"]);
    let findings = found(&[
        ("cert.pem", &pair.leaf),
        ("chain.pem", &ca.intermediate),
        ("privkey.pem", &pair.key),
    ]);
    assert_eq!(sound(&findings).chain, pair.chain);
    let findings = found(&[
        ("cert.pem", &pair.leaf),
        ("fullchain.pem", &pair.chain),
        ("privkey.pem", &pair.key),
    ]);
    assert_eq!(sound(&findings).place, "/base/fullchain.pem");
}

#[track_caller]
fn check(files: &[(&str, &str)], fault: Option<&Fault>, warnings: &[Warning]) {
    let findings = found(files);
    let [certificate] = &findings.certificates[..] else {
        panic!("{findings:#?}");
    };
    assert_eq!(
        (certificate.fault.as_ref(), &certificate.warnings[..]),
        (fault, warnings)
    );
}

#[test]
fn what_is_wrong_with_a_pair_is_said_of_it() {
    let ca = Ca::new();
    let (pair, other) = (ca.pair(&["a.test"]), ca.pair(&["a.test"]));
    check(&[("a.crt", &pair.chain)], Some(&Fault::NoKey), &[]);
    check(
        &[("a.crt", &pair.chain), ("a.key", &other.key)],
        Some(&Fault::KeyMismatch),
        &[],
    );
    check(
        &[("a.crt", &pair.leaf), ("a.key", &pair.key)],
        None,
        &[Warning::NoChain],
    );
    let encrypted = pem("ENCRYPTED PRIVATE KEY", b"secret");
    check(
        &[("a.crt", &pair.chain), ("a.key", &encrypted)],
        Some(&Fault::EncryptedKey),
        &[],
    );
    let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
    check(
        &[("a.crt", &pair.chain), ("a.key", old)],
        Some(&Fault::EncryptedKey),
        &[],
    );
    let turned = format!("{}{}", ca.intermediate, pair.leaf);
    check(
        &[("a.crt", &turned), ("a.key", &pair.key)],
        Some(&Fault::LeafNotFirst(2)),
        &[Warning::ChainBroken(1)],
    );
    let broken = format!("{}{}", pair.leaf, pem("CERTIFICATE", b"nonsense"));
    check(
        &[("a.crt", &broken), ("a.key", &pair.key)],
        Some(&Fault::BrokenCertificate(2)),
        &[],
    );
    check(
        &[
            ("a.crt", "-----BEGIN CERTIFICATE-----\n!"),
            ("a.key", &pair.key),
        ],
        Some(&Fault::BrokenPem),
        &[],
    );
    check(
        &[
            ("a.crt", &pair.chain),
            ("a.key", &pem("PRIVATE KEY", b"no")),
        ],
        Some(&Fault::UnusableKey),
        &[],
    );
    let nameless = ca.pair(&[]);
    check(
        &[("a.crt", &nameless.chain), ("a.key", &nameless.key)],
        Some(&Fault::NamesNoHost),
        &[],
    );
}

#[test]
fn authorities_are_nobodys_servers() {
    let ca = Ca::new();
    let findings = found(&[("ca.crt", &ca.root), ("chain.pem", &ca.intermediate)]);
    assert!(findings.certificates.is_empty(), "{findings:#?}");
    assert!(findings.tools.is_empty());
}

#[test]
fn damaged_pairs_are_answered() {
    let pair = Ca::new().pair(&["a.test"]);
    survives_damage(&[("a.crt", &pair.chain), ("a.key", &pair.key)]);
}

#[test]
fn a_file_named_alone_has_partners() {
    let pair = Ca::new().pair(&["a.test"]);
    let partners = |name: &str, text: &str| partners(name, text.as_bytes());
    assert!(partners("a.test.crt", &pair.chain).contains(&"a.test.key".to_owned()));
    assert!(partners("fullchain.pem", &pair.chain).contains(&"privkey.pem".to_owned()));
    assert!(partners("a-key.pem", &pair.key).contains(&"a.pem".to_owned()));
    assert!(partners("both.pem", &format!("{}{}", pair.chain, pair.key)).is_empty());
    assert!(partners("acme.json", "{}").is_empty());
}

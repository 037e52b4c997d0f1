use super::*;
use crate::certs::import::fixture::{Ca, LETS_ENCRYPT, found, pem, rsa, sound, survives_damage};

#[test]
fn a_mounted_secret_is_a_pair() {
    let ca = Ca::new();
    let pair = ca.pair(&["a.test"]);
    let files = [
        ("tls.crt", pair.chain.as_str()),
        ("tls.key", &pair.key),
        ("ca.crt", &ca.root),
    ];
    let findings = found(&files);
    assert_eq!(findings.tools, [Tool::Kubernetes]);
    assert_eq!(sound(&findings).place, "/base");
    survives_damage(&files);
}

fn secret(name: &str, entries: &[(&str, &str)], annotations: &str) -> String {
    let entries = entries
        .iter()
        .map(|(name, text)| format!("\"{name}\":\"{}\"", BASE64_STANDARD.encode(text)));
    let entries: Vec<String> = entries.collect();
    format!(
        r#"{{"apiVersion":"v1","kind":"Secret","type":"kubernetes.io/tls","metadata":{{"name":"{name}","namespace":"web",
        "annotations":{{{annotations}}}}},"data":{{{}}}}}"#,
        entries.join(",")
    )
}

#[test]
fn a_dump_brings_the_accounts_of_issuers() {
    let pair = Ca::new().pair(&["a.test"]);
    let (_, pkcs1) = rsa();
    let account = pem("RSA PRIVATE KEY", &pkcs1);
    let annotations = r#""cert-manager.io/issuer-name":"le","cert-manager.io/alt-names":"a.test""#;
    let certificate = secret(
        "a-tls",
        &[("tls.crt", &pair.chain), ("tls.key", &pair.key)],
        annotations,
    );
    let key = secret("le-account", &[("tls.key", &account)], "");
    let issuer = format!(
        r#"{{"apiVersion":"cert-manager.io/v1","kind":"ClusterIssuer","metadata":{{"name":"le"}},
        "spec":{{"acme":{{"server":"{LETS_ENCRYPT}","email":"ada@a.test","privateKeySecretRef":{{"name":"le-account"}}}}}},
        "status":{{"acme":{{"uri":"https://acme-v02.api.letsencrypt.org/acme/acct/7"}}}}}}"#
    );
    let list = format!(
        r#"{{"apiVersion":"v1","kind":"List","items":[{certificate},{key},{issuer},{{"kind":"Pod"}},7]}}"#
    );
    let findings = found(&[("dump.json", &list)]);
    let found_one = sound(&findings);
    assert_eq!(findings.tools, [Tool::Kubernetes]);
    assert_eq!(found_one.place, "/base/dump.json: web/a-tls");
    assert_eq!(found_one.directory.as_deref(), Some(LETS_ENCRYPT));
    assert_eq!(found_one.account, Some(0));
    assert_eq!(findings.accounts[0].fault, None);
    assert!(findings.accounts[0].url.is_some());
    survives_damage(&[("dump.json", &list)]);
    let alone = found(&[("secret.json", &certificate)]);
    assert_eq!(sound(&alone).account, None);
}

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

/// As `kubectl get -o yaml` prints it: keys in order, base 64 on one line.
fn yaml(name: &str, entries: &[(&str, &str)], annotations: &str) -> String {
    let entries = entries
        .iter()
        .map(|(name, text)| format!("  {name}: {}\n", BASE64_STANDARD.encode(text)));
    let entries: Vec<String> = entries.collect();
    format!(
        "apiVersion: v1\ndata:\n{}kind: Secret\nmetadata:\n  annotations:\n    x: y\n    n: 1\n{annotations}  creationTimestamp: \"2026-11-22T17:00:00Z\"\n  name: {name}\n  namespace: web\ntype: kubernetes.io/tls\n",
        entries.concat()
    )
}

const ISSUER: &str = "apiVersion: cert-manager.io/v1\nkind: ClusterIssuer\nmetadata:\n  name: le\nspec:\n  acme:\n    email: ada@a.test\n    privateKeySecretRef:\n      name: le-account\n    server: https://acme-v02.api.letsencrypt.org/directory\nstatus:\n  acme:\n    uri: https://acme-v02.api.letsencrypt.org/acme/acct/7\n";

/// As an item of a list.
fn item(document: &str) -> String {
    let lines = document.lines().enumerate();
    let lines = lines.map(|(number, line)| match number {
        0 => format!("- {line}\n"),
        _ => format!("  {line}\n"),
    });
    lines.collect()
}

#[test]
fn yaml_brings_what_json_brings_in_one_document_a_list_or_many() {
    let pair = Ca::new().pair(&["a.test"]);
    let (_, pkcs1) = rsa();
    let account = pem("RSA PRIVATE KEY", &pkcs1);
    let annotations =
        "    cert-manager.io/alt-names: a.test\n    cert-manager.io/issuer-name: le\n";
    let entries = [("tls.crt", pair.chain.as_str()), ("tls.key", &pair.key)];
    let certificate = yaml("a-tls", &entries, annotations);
    let key = yaml("le-account", &[("tls.key", &account)], "");
    let items = [&certificate, &key, ISSUER].map(item).concat();
    let list =
        format!("apiVersion: v1\nitems:\n{items}kind: List\nmetadata:\n  resourceVersion: \"\"\n");
    let many = format!("---\n{certificate}---\n# the account\n{key}---\n---\n{ISSUER}...\n");
    for text in [&list, &many] {
        let findings = found(&[("dump.yaml", text)]);
        let found_one = sound(&findings);
        assert_eq!(findings.tools, [Tool::Kubernetes]);
        assert_eq!(found_one.place, "/base/dump.yaml: web/a-tls");
        assert_eq!(found_one.directory.as_deref(), Some(LETS_ENCRYPT));
        assert_eq!(found_one.account, Some(0));
        assert_eq!(findings.accounts[0].fault, None);
        survives_damage(&[("dump.yaml", text)]);
    }
    let alone = found(&[("secret.yml", &certificate)]);
    assert_eq!(sound(&alone).account, None);
}

#[test]
fn what_people_wrote_into_yaml_is_read_and_what_is_broken_is_told() {
    let pair = Ca::new().pair(&["a.test"]);
    let block = |text: &str| {
        let lines = text.lines().map(|line| format!("    {line}\n"));
        lines.collect::<String>()
    };
    let folded = |text: &str| {
        let text = BASE64_STANDARD.encode(text);
        let lines = text.as_bytes().chunks(76).map(String::from_utf8_lossy);
        block(&lines.collect::<Vec<_>>().join("\n"))
    };
    let text = format!(
        "kind: Secret\napiVersion: v1\nmetadata: {{name: a}}\nstringData:\n  tls.key: |\n{}data:\n  tls.crt: |\n{}",
        block(&pair.key),
        folded(&pair.chain)
    );
    assert_eq!(sound(&found(&[("a.yaml", &text)])).place, "/base/a.yaml: a");
    let odd = found(&[("a.yaml", &text.replace("{name: a}", "7"))]);
    assert!(odd.remarks[0].contains("1 of its secrets"), "{odd:?}");
    let broken = found(&[("a.yaml", &format!("{text}  bad: *none\n"))]);
    assert!(
        broken
            .certificates
            .iter()
            .all(|it| it.tool != Tool::Kubernetes)
    );
    let [remark] = &broken.remarks[..] else {
        panic!("{broken:?}");
    };
    assert!(
        remark.starts_with("/base/a.yaml cannot be read as YAML from line "),
        "{remark}"
    );
}

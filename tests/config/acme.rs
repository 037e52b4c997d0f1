//! Certificates, secrets and alerts in the configuration.

use std::fs;
use std::io::Write as _;

use onedoor::config;
use onedoor::config::acme::directory::Directory;
use onedoor::config::acme::dns::Publisher;
use onedoor::config::acme::names::Ordered;
use onedoor::config::problem;
use onedoor::hostname::HostPattern;

use super::{EXAMPLE, read, refused, rendered, shown};

#[test]
fn the_example_of_acme_loads_and_says_its_defaults() {
    let begin = EXAMPLE.find("# [acme]\n").unwrap();
    let end = begin + EXAMPLE[begin..].find("\n#\n").unwrap();
    let lines: Vec<&str> = EXAMPLE[begin..end]
        .lines()
        .skip(1)
        .map(|line| line.strip_prefix("# ").unwrap())
        .collect();
    let acme = |lines: &[&str]| read(&format!("[acme]\n{}", lines.join("\n"))).config.acme;
    let (defaults, others): (Vec<&str>, Vec<&str>) = lines
        .iter()
        .partition(|line| line.contains("# the default"));
    assert_eq!(defaults.len(), 6);
    assert_eq!(acme(&defaults), acme(&[]));
    assert!(acme(&[]).is_some());
    for line in others {
        assert_ne!(acme(&[line]), acme(&[]), "{line}");
    }
    for line in EXAMPLE.lines().filter(|line| line.starts_with("# storage")) {
        assert!(read(&line[2..]).config.storage.place.is_some(), "{line}");
    }
}

#[test]
fn an_email_address_is_all_that_a_beginner_needs() {
    let text = "acme = \"ada@example.com\"\n[sites]\n\"dao.example.com\" = \"3000\"";
    let config = read(text).config;
    let acme = config.acme.as_ref().unwrap();
    assert_eq!(acme.email.as_deref(), Some("ada@example.com"));
    assert_eq!(acme.first.directory, Directory::lets_encrypt());
    let dao = &config.sites[0].names[0];
    assert_eq!(config.ordered(dao), Some(Ordered::AtStart));
    let local = HostPattern::parse("app.localhost").unwrap();
    assert_eq!(config.ordered(&local), None);
}

#[test]
fn a_site_without_a_certificate_is_shown_how_to_get_one() {
    let text = rendered("[sites]\n\"dao.example.com\" = \"3000\"");
    let fixes = [
        "acme = \"you@example.com\"",
        "cert = ",
        "cert_dir = ",
        "local_suffixes = ",
    ];
    let places: Vec<usize> = fixes.iter().map(|fix| text.find(fix).unwrap()).collect();
    assert!(places.is_sorted(), "{text}");
}

#[test]
fn secrets_are_found_where_they_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("proxy.toml");
    let put = |name: &str, text: &str| {
        let mut file = fs::File::create(folder.path().join(name)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    };
    put(
        "proxy.toml",
        r#"[acme]
dns = { type = "cloudflare", token = { file = "token" } }
eab = { kid = "k", hmac = { env = "PATH_THAT_NOBODY_SETS" } }
"#,
    );
    put("token", "s3cret\n");
    let refused = config::load(&path, None).unwrap_err();
    let text = shown(&refused.problems, &refused.sources);
    assert!(
        text.contains("cannot read the variable PATH_THAT_NOBODY_SETS: it is not set"),
        "{text}"
    );
    assert!(text.contains("proxy.toml:3:27"), "{text}");
    put(
        "proxy.toml",
        "acme.dns = { type = \"cloudflare\", token = { file = \"token\" } }",
    );
    let loaded = config::load(&path, None).unwrap();
    assert!(loaded.watched.contains(&folder.path().join("token")));
    let acme = loaded.config.acme.clone().unwrap();
    let Publisher::Cloudflare { token, .. } = acme.dns.unwrap().publisher else {
        panic!("it is Cloudflare's");
    };
    assert_eq!(token.reveal(), "s3cret");
    assert!(!format!("{loaded:?}").contains("s3cret"));
    fs::remove_file(folder.path().join("token")).unwrap();
    let refused = config::load(&path, None).unwrap_err();
    assert_eq!(refused.problems[0].code, "unreadable");
}

#[test]
fn no_complaint_shows_a_secret() {
    const SECRET: &str = "sn00ped!";
    for text in [
        "acme.eab = { kid = \"k\", hmac = \"sn00ped!\" }",
        "acme.eab = { kdi = \"k\", hmca = \"sn00ped!\" }",
        "acme.dns = { type = \"rfc2136\", secret = \"sn00ped!\", key = \"a b\" }",
        "acme.dns = { type = \"cloudfare\", token = \"sn00ped!\" }",
        "acme.dns = { type = \"cloudflare\", tokn = \"\"\"\nsn00ped!\"\"\" }",
        "acme.dns = { token = \"sn00ped!\" }",
        "acme.dns = { type = \"cloudflare\", token = \"sn00ped! }",
        "acme.dns.token = sn00ped!",
        "storage = \"redis://:sn00ped!@redis/zero\"",
        "storage = \"redis://:sn00ped!?x@redis\"",
        "storage = { url = \"redis://:sn00ped!@redis\", pasword = \"sn00ped!\" }",
        "storage = { url = \"redis://redis\", password = \"sn00ped!\", region = \"x\" }",
        "storage = { url = \"s3://b\", secret_key = \"sn00ped!\" }",
        "alerts.webhook = \"htps://sn00ped!/x\"",
        "alerts.webhook = \"https://me:sn00ped!@host/\"",
    ] {
        let refused = refused(text);
        let shown = shown(&refused.problems, &refused.sources);
        assert!(shown.contains("**"), "{shown}");
        assert!(!shown.contains(SECRET), "{shown}");
        let json = problem::to_json(&refused.problems, &refused.sources);
        assert!(!json.to_string().contains(SECRET), "{json}");
        assert!(!format!("{refused:?}").contains(SECRET), "{text}");
    }
}

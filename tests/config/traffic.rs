//! Keys about targets, and about who may ask: what they come to, and who inherits them.

use super::*;
use onedoor::config::backends::{Backends, Balance, Retry, Role, StatusWanted};
use onedoor::config::guard::{Auth, Guard, Rate, RateKey};
use onedoor::config::site::{Coding, Rule};

fn root(text: &str) -> Rule {
    let config = read(text).config;
    Rule::clone(http(&config.sites[0]).root.as_ref().unwrap())
}

fn backends(rule: &Rule) -> &Backends {
    match &rule.action {
        Action::Forward(backends) => backends,
        Action::Redirect(_) | Action::Respond(_) => panic!("{rule:?} forwards nothing"),
    }
}

fn guard(rule: &Rule) -> &Guard {
    rule.guard.as_ref().unwrap()
}

fn rate(rule: &Rule) -> &Rate {
    guard(rule).rate.as_ref().unwrap()
}

#[test]
fn a_site_without_a_word_on_it_has_the_documented_ways() {
    let rule = root("[sites]\n\"a.test\" = \"3000\"");
    assert_eq!(
        *backends(&rule),
        Backends::of(backends(&rule).targets().cloned())
    );
    assert!(rule.guard.is_none() && rule.compress.is_empty() && rule.errors.is_empty());
    let said = root(
        "[sites]\n\"a.test\" = { to = \"3000\", health = \"/up\", compress = true, rate = \"10/m\", retry = {} }",
    );
    let health = backends(&said).health.as_ref().unwrap();
    assert_eq!(health.every, Duration::from_secs(10));
    assert_eq!(health.timeout, Duration::from_secs(2));
    assert_eq!((health.fails.get(), health.passes.get()), (3, 2));
    assert!(format!("{:?}", health.probe).contains("Class(2)"));
    assert_eq!(*said.compress, [Coding::Zstd, Coding::Brotli, Coding::Gzip]);
    assert_eq!(backends(&said).retry.on.statuses.len(), 3);
    let limit = rate(&said);
    assert_eq!((limit.limit.get(), limit.burst.get()), (10, 10));
    assert_eq!(
        (limit.per, &limit.key),
        (Duration::from_secs(60), &RateKey::Ip)
    );
}

#[test]
fn a_site_that_the_guards_of_the_defaults_cannot_guard_is_told_of() {
    let text = r#"
[defaults]
allow = "10.0.0.0/8"
deny = false
tls = "internal"
[sites]
"a.test" = { passthrough = "10.0.0.8:443" }
"b.test" = { tcp = "5432" }
"c.test" = "3000"
"d.test" = { to = "3000", tls = "off", client_ca = false }
"#;
    let loaded = config::read(Path::new("proxy.toml"), text).unwrap();
    let told: Vec<_> = loaded.warnings.iter().map(|warning| warning.code).collect();
    assert_eq!(told, ["unguarded", "unguarded"]);
}

#[test]
fn targets_have_weights_and_stand_in_for_others() {
    let rule = root(
        "[sites]\n\"a.test\" = { to = [\"3000\", { url = \"3001\", weight = 7, backup = true }] }",
    );
    let members: Vec<_> = backends(&rule)
        .members
        .iter()
        .map(|member| (member.weight.get(), member.role))
        .collect();
    assert_eq!(members, [(1, Role::Main), (7, Role::Backup)]);
}

#[test]
fn paths_inherit_what_is_said_about_targets_and_may_drop_it() {
    let text = r#"
[defaults]
max_conns = 9
health = { path = "/x", status = 204 }
[sites."a.test"]
to = ["3000", "3001"]
balance = "ip_hash"
retry = false
[sites."a.test".paths]
"/a" = { retry = {} }
"/b" = { balance = { header = "X-A" }, health = false, max_conns = false }
"/c" = "3002"
"#;
    let config = read(text).config;
    let http = http(&config.sites[0]);
    let [a, b, c] = [0, 1, 2].map(|index| backends(&http.paths[index].rule).clone());
    assert_eq!(a.balance, Balance::IpHash);
    assert_eq!(a.retry.tries, Retry::default().tries);
    assert_eq!(a.max_conns.unwrap().get(), 9);
    let probe = format!("{:?}", a.health.unwrap().probe);
    assert!(probe.contains(&format!(
        "{:?}",
        StatusWanted::Exactly(204.try_into().unwrap())
    )));
    assert_eq!(b.balance, Balance::Header("x-a".parse().unwrap()));
    assert!(b.health.is_none() && b.max_conns.is_none());
    assert_eq!((c.retry.tries.get(), c.retry.on.connect), (1, false));
    assert_eq!(c.balance, Balance::IpHash);
}

#[test]
fn allow_and_deny_are_inherited_one_by_one() {
    let text = r#"
[defaults]
deny = "203.0.113.0/24"
to = "3000"
[sites."a.test"]
allow = ["10.0.0.0/8", "::1"]
[sites."a.test".paths]
"/a" = { deny = "10.1.0.0/16" }
"/b" = { allow = false }
"/c" = { allow = false, deny = false }
"#;
    let config = read(text).config;
    let site = http(&config.sites[0]);
    let may = |rule: &Rule, client: &str| {
        let client = client.parse().unwrap();
        rule.guard.as_ref().is_none_or(|guard| {
            let allow = &guard.access.allow;
            let allowed = allow.as_ref().is_none_or(|list| list.contains(client));
            allowed && !guard.access.deny.contains(client)
        })
    };
    let root = site.root.as_ref().unwrap();
    assert!(may(root, "10.1.0.1") && may(root, "::1") && !may(root, "11.0.0.1"));
    let [a, b, c] = [0, 1, 2].map(|index| &site.paths[index].rule);
    assert!(!may(a, "10.1.0.1") && may(a, "10.2.0.1") && !may(a, "11.0.0.1"));
    assert!(may(b, "11.0.0.1") && !may(b, "203.0.113.9"));
    assert!(c.guard.is_none());
}

#[test]
fn a_limit_holds_where_it_is_written() {
    let text = r#"
[defaults]
rate = "10/s"
[sites."a.test"]
to = "3000"
[sites."a.test".paths]
"/a" = "3001"
"/b" = { rate = "1/s" }
"/c" = { rate = "1/s" }
"/d" = { rate = false }
[sites]
"b.test" = "3000"
"c.test" = "3000"
"#;
    let config = read(text).config;
    let site = http(&config.sites[0]);
    let own = rate(site.root.as_ref().unwrap()).scope;
    let of = |index: usize| rate(&site.paths[index].rule).scope;
    assert_eq!(of(0), own);
    assert!(of(1) != own && of(2) != own && of(1) != of(2));
    assert!(site.paths[3].rule.guard.is_none());
    let other = |index: usize| rate(http(&config.sites[index]).root.as_ref().unwrap()).scope;
    assert!(other(1) != own && other(1) != other(2));
    let again = read(text).config;
    let again = rate(http(&again.sites[0]).root.as_ref().unwrap()).scope;
    assert_eq!(again, own);
}

#[test]
fn short_sites_share_their_rule_unless_the_defaults_are_about_each_of_them() {
    let shared = |defaults: &str| {
        let text = format!(
            "[defaults]\n{defaults}\n[sites]\n\"a.test\" = \"3000\"\n\"b.test\" = \"3000\""
        );
        let config = read(&text).config;
        let [a, b] = [0, 1].map(|index| http(&config.sites[index]).root.clone().unwrap());
        std::sync::Arc::ptr_eq(&a, &b)
    };
    assert!(shared(
        "deny = \"10.0.0.0/8\"\ncompress = true\nhealth = \"/up\""
    ));
    assert!(!shared("rate = \"1/s\""));
    assert!(!shared("auth = { basic = \"users\" }"));
}

#[test]
fn users_are_read_once_and_each_site_has_its_realm() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/valid/guards.toml");
    let folder = tempfile::tempdir().unwrap();
    let users = path.parent().unwrap().join("../named/users");
    fs::copy(users, folder.path().join("users")).unwrap();
    let main = folder.path().join("proxy.toml");
    let text = "[defaults]\nauth = { basic = \"users\" }\n[sites]\n\"bücher.test:8443\" = 1\n\"b.test\" = 1";
    fs::write(&main, text).unwrap();
    let config = config::load(&main, None).unwrap().config;
    let realms = [0, 1].map(|index| {
        let rule = http(&config.sites[index]).root.clone().unwrap();
        match guard(&rule).auth.clone().unwrap() {
            Auth::Basic(basic) => basic,
            Auth::Forward(_) => panic!("nobody is asked"),
        }
    });
    assert_eq!(&*realms[0].realm, "xn--bcher-kva.test");
    assert_eq!(&*realms[1].realm, "b.test");
    assert!(std::sync::Arc::ptr_eq(&realms[0].users, &realms[1].users));
    assert_eq!(realms[0].users.len(), 2);
}

#[test]
fn a_network_with_bits_too_many_is_answered_with_the_one_meant() {
    let text = rendered("[sites]\n\"a.test\" = { to = \"1\", allow = \"10.1.2.3/8\" }");
    assert!(
        text.contains("the network is \"10.0.0.0/8\", the address alone is \"10.1.2.3\""),
        "{text}"
    );
    let text = rendered("[sites]\n\"a.test\" = { to = \"1\", rate = \"10r/s\" }");
    assert!(text.contains("write \"10/s\""), "{text}");
}

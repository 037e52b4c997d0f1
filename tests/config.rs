//! The configuration as its users meet it: files in, sites or complaints out.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test that cannot read its files has failed, and what it writes nobody reads after a crash"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use onedoor::config::problem::{self, Color, Problem, Sources};
use onedoor::config::site::{Action, Certificate, Http, Service, Site};
use onedoor::config::{self, Config, Loaded, Refused};

#[path = "config/acme.rs"]
mod acme;
#[path = "config/traffic.rs"]
mod traffic;

#[test]
fn every_valid_file_loads_without_a_word() {
    for path in files("valid") {
        match config::load(&path, None) {
            Ok(loaded) => {
                let said = [loaded.isolated, loaded.warnings].concat();
                assert!(said.is_empty(), "{}", shown(&said, &loaded.sources));
            }
            Err(refused) => panic!("{}", shown(&refused.problems, &refused.sources)),
        }
    }
}

#[test]
fn every_invalid_file_gets_exactly_the_problems_it_expects() {
    let mut wrong = String::new();
    for path in files("invalid") {
        let text = fs::read_to_string(&path).unwrap();
        let first = text.lines().next().unwrap();
        let expected = first.strip_prefix("# expect: ").unwrap();
        let mut expected: Vec<&str> = expected.split(", ").collect();
        let (problems, sources) = all_problems(config::load(&path, None));
        let mut found: Vec<&str> = problems.iter().map(|problem| problem.code).collect();
        expected.sort_unstable();
        found.sort_unstable();
        if found != expected {
            let shown = shown(&problems, &sources);
            wrong += &format!("{shown}found    {found:?}\nexpected {expected:?}\n\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn the_three_lines_of_a_beginner_load() {
    let text = r#"[sites]
"secure.example.com"  = { to = "localhost:3001", cert = "certs/secure.pem", key = "certs/secure.key" }
"dao.example.com"     = "localhost:9998"
"traefik.example.com" = { to = "localhost:9999", strip_prefix = "/authnz.ap" }
"#;
    let config = read(text).config;
    let [secure, dao, traefik] = config.sites.as_slice() else {
        panic!("three sites");
    };
    let Service::Secure(tls, _) = &secure.service else {
        panic!("TLS ends here");
    };
    let Certificate::Pair { cert, .. } = &tls.certificate else {
        panic!("an own pair");
    };
    assert_eq!(cert.value, Path::new("/etc/onedoor/certs/secure.pem"));
    assert_eq!(targets(dao), "localhost:9998");
    let strip = http(traefik).root.as_ref().unwrap().strip_prefix.as_deref();
    assert_eq!(strip, Some("/authnz.ap"));
}

#[test]
fn the_example_loads_and_changes_nothing_at_the_top_level() {
    let example = read(EXAMPLE);
    assert!(example.warnings.is_empty(), "{:?}", example.warnings);
    let mut bare = read("[sites]\n\"app.localhost\" = \"localhost:3000\"").config;
    bare.sites = example.config.sites.clone();
    assert_eq!(without_places(&example.config), without_places(&bare));
}

#[test]
fn the_commented_defaults_of_the_example_are_the_defaults() {
    let uncommented: String = EXAMPLE
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if !rest.is_empty() && !rest.starts_with(' ') => format!("{rest}\n"),
            Some(_) | None => format!("{line}\n"),
        })
        .collect();
    assert!(uncommented.lines().count() > uncommented.matches("\n#").count());
    let said = without_places(&read(&uncommented).config);
    let unsaid = without_places(&read(EXAMPLE).config);
    // The commented path is an entry of its own, so it is taken out again on one side.
    let path = said.find("PathRule { prefix: \"/robots.txt\"").unwrap();
    let end = path + said[path..].find("PathRule { prefix: \"/old\"").unwrap();
    assert_eq!([&said[..path], &said[end..]].concat(), unsaid);
}

#[test]
fn a_fixed_answer_without_keys_has_the_documented_ones() {
    let text = r#"[sites]
"a.test" = { respond = {} }
"b.test" = { respond = { status = 200, body = "", type = "text/plain; charset=utf-8" } }"#;
    let config = read(text).config;
    let rule = |index: usize| http(&config.sites[index]).root.clone().unwrap();
    assert_eq!(
        format!("{:?}", rule(0).action),
        format!("{:?}", rule(1).action)
    );
}

#[test]
fn a_port_in_a_key_means_the_listed_sockets_with_that_port() {
    #[track_caller]
    fn check(site: &str, expected: &[&str]) {
        let text = format!(
            "listen = [443, \"localhost:8443\", \"192.0.2.1:8443\"]\nhttp = \"localhost:8080\"\n[sites]\n{site}"
        );
        let listen = read(&text).config.sites[0].listen.clone();
        let listen: Vec<String> = listen.iter().map(ToString::to_string).collect();
        assert_eq!(listen, expected, "{site}");
    }
    check(
        r#""a.test:8443" = "1""#,
        &["localhost:8443", "192.0.2.1:8443"],
    );
    check(
        r#""a.test:8080" = { to = "1", tls = "off" }"#,
        &["localhost:8080"],
    );
    check(r#""a.test:9443" = "1""#, &["9443"]);
}

#[test]
fn paths_inherit_what_they_do_not_say() {
    let text = r#"
[defaults]
timeout = { connect = "1s" }
[sites."a.test"]
to = "3000"
timeout = "7s"
log = false
headers.request = { X-A = "site", X-B = "site" }
[sites."a.test".paths]
"/api/" = { strip = true, timeout = { idle = "9s" }, headers = { request = { X-A = false } } }
"#;
    let config = read(text).config;
    let http = http(&config.sites[0]);
    let path = &http.paths[0];
    assert_eq!(&*path.prefix, "/api");
    assert_eq!(path.rule.strip_prefix.as_deref(), Some("/api"));
    let timeouts = path.rule.timeouts;
    assert_eq!(timeouts.connect, Duration::from_secs(1));
    assert_eq!(timeouts.response, Duration::from_secs(7));
    assert_eq!(timeouts.idle, Duration::from_secs(9));
    assert_eq!(path.rule.log, http.root.as_ref().unwrap().log);
    assert_eq!(path.rule.request_headers.len(), 2);
    assert_eq!(targets(&config.sites[0]), "localhost:3000");
}

#[test]
fn sites_keep_the_order_of_the_file() {
    let config = read("[sites]\n\"z.test\" = \"1\"\n\"a.test\" = \"2\"\n\"m.test\" = \"3\"").config;
    let names: Vec<String> = config
        .sites
        .iter()
        .map(|site| site.names[0].to_string())
        .collect();
    assert_eq!(names, ["z.test", "a.test", "m.test"]);
}

#[test]
fn a_misspelt_key_is_shown_with_what_was_meant() {
    let text = rendered("[sites]\n\"a.test\" = { to = \"3000\", strip_prefx = \"/x\" }\n");
    assert_eq!(
        text,
        r#"error[unknown-key]: `strip_prefx` is no key of a site
 --> /etc/onedoor/proxy.toml:2:27
  |
2 | "a.test" = { to = "3000", strip_prefx = "/x" }
  |                           ^^^^^^^^^^^ did you mean `strip_prefix`?
  |
  = help: there is a similar key: `strip_prefix`

"#
    );
}

#[test]
fn a_duplicate_host_is_shown_in_both_places() {
    let text =
        rendered("[sites]\n\"a.test\" = \"3000\"\n\"b.test\" = \"3000\"\n\"A.test\" = \"3001\"\n");
    assert!(
        text.contains("error[duplicate-host]: `a.test` is there twice"),
        "{text}"
    );
    assert!(text.contains("proxy.toml:4:1"), "{text}");
    assert!(text.contains("^^^^^^^^ again here"), "{text}");
    assert!(text.contains("-------- first here"), "{text}");
}

#[test]
fn an_unquoted_host_is_shown_with_its_quotes() {
    let text = rendered("[sites]\ndao.example.com = \"localhost:9998\"\n");
    assert!(
        text.contains("error[unquoted-host]: a host name needs quotes"),
        "{text}"
    );
    assert!(
        text.contains("help: write \"dao.example.com\" = …"),
        "{text}"
    );
    let text = rendered("[sites]\n*.dev = \"localhost:9998\"\n");
    assert!(
        text.contains("help: a host name needs quotes: \"*.dev\""),
        "{text}"
    );
}

#[test]
fn a_target_with_a_path_names_the_keys_that_do_it() {
    let text = rendered("[sites]\n\"a.test\" = \"http://localhost:3000/api\"\n");
    assert!(
        text.contains("error[target-path]: a target has no path"),
        "{text}"
    );
    for word in [
        "`strip_prefix`",
        "`rewrite`",
        "`paths`",
        "\"http://localhost:3000\"",
    ] {
        assert!(text.contains(word), "{word} is missing in {text}");
    }
}

#[test]
fn problems_are_places_for_programs() {
    let refused = refused("[sites]\n\"a.test\" = \"localhost\"\n");
    let json = problem::to_json(&refused.problems, &refused.sources);
    assert_eq!(json[0]["code"], "bad-target");
    assert_eq!(json[0]["severity"], "error");
    assert_eq!(json[0]["file"], "/etc/onedoor/proxy.toml");
    assert_eq!(json[0]["line"], 2);
    assert_eq!(json[0]["column"], 12);
    assert_eq!(json[0]["end"]["column"], 23);
}

#[test]
fn arguments_are_sites() {
    let arguments = ["app.localhost=3000", "b.test:8443=https://example.com"].map(str::to_owned);
    let loaded = config::from_arguments(&arguments).unwrap();
    assert_eq!(targets(&loaded.config.sites[0]), "localhost:3000");
    assert_eq!(loaded.config.sites[1].listen[0].port, 8443);
    let bad = ["app.localhost", "b.example.com=3000", "c.test=a/b"].map(str::to_owned);
    let refused = config::from_arguments(&bad).unwrap_err();
    let codes: Vec<&str> = refused
        .problems
        .iter()
        .map(|problem| problem.code)
        .collect();
    assert_eq!(codes, ["bad-argument", "no-certificate", "target-path"]);
    let text = shown(&refused.problems, &refused.sources);
    assert!(text.contains("<arguments>:2:1"), "{text}");
}

#[test]
fn no_mangled_file_panics() {
    for start in (0..EXAMPLE.len()).step_by(7) {
        let start = EXAMPLE.floor_char_boundary(start);
        let end = EXAMPLE.floor_char_boundary(start + 5);
        let cut = [&EXAMPLE[..start], &EXAMPLE[end..]].concat();
        let (problems, sources) = all_problems(config::read(Path::new("cut.toml"), &cut));
        assert!(shown(&problems, &sources).len() < 1 << 20);
        assert!(problem::to_json(&problems, &sources).is_array());
    }
}

const EXAMPLE: &str = include_str!("../proxy.toml.example");

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/config")
        .join(folder);
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

fn read(text: &str) -> Loaded {
    match config::read(Path::new("/etc/onedoor/proxy.toml"), text) {
        Ok(loaded) => loaded,
        Err(refused) => panic!("{}", shown(&refused.problems, &refused.sources)),
    }
}

fn refused(text: &str) -> Refused {
    config::read(Path::new("/etc/onedoor/proxy.toml"), text).unwrap_err()
}

fn rendered(text: &str) -> String {
    let refused = refused(text);
    shown(&refused.problems, &refused.sources)
}

fn shown(problems: &[Problem], sources: &Sources) -> String {
    problem::render(problems, sources, Color::Never)
}

fn all_problems(outcome: Result<Loaded, Refused>) -> (Vec<Problem>, Sources) {
    match outcome {
        Ok(loaded) => ([loaded.isolated, loaded.warnings].concat(), loaded.sources),
        Err(refused) => (refused.problems, refused.sources),
    }
}

fn without_places(config: &Config) -> String {
    let places = regex::Regex::new(r"At \{[^}]*\}").unwrap();
    places
        .replace_all(&format!("{config:?}"), "At")
        .into_owned()
}

fn http(site: &Site) -> &Http {
    match &site.service {
        Service::Plain(http) | Service::Secure(_, http) => http,
        Service::Passthrough(_) | Service::Tcp(..) => panic!("{site:?} speaks no HTTP"),
    }
}

fn targets(site: &Site) -> String {
    match &http(site).root.as_ref().unwrap().action {
        Action::Forward(backends) => {
            let targets: Vec<String> = backends.targets().map(ToString::to_string).collect();
            targets.join(", ")
        }
        Action::Redirect(_) | Action::Respond(_) => panic!("{site:?} forwards nothing"),
    }
}

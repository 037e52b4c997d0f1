//! The command line as scripts and people meet it: exit codes, and what is said where.

use std::fs;

use crate::support::backend::Backend;
use crate::support::client::get;
use crate::support::door::{Door, Home};
use crate::support::eventually;

const BAD: &str = r#"listen = ["127.0.0.1:0"]
htp = false
[sites]
"a.test" = { upstream = "1" }
"b.test" = "http://localhost:3000/path"
"c.example.com" = "3000"
"#;

#[test]
fn up_and_check_say_the_same_problems_all_at_once() {
    let home = Home::new(BAD);
    let up = home.run(&["up"]);
    let check = home.run(&["check"]);
    assert_eq!(up, check);
    let (code, out, err) = up;
    assert_eq!((code, out.as_str()), (2, ""));
    for line in [2, 4, 5, 6] {
        assert!(err.contains(&format!(" --> proxy.toml:{line}:")), "{err}");
    }
    assert!(err.contains("2 | htp = false"), "{err}");
    assert!(err.contains("did you mean `http`?"), "{err}");
    assert!(
        err.contains("what others call `upstream` is `to` here"),
        "{err}"
    );
    assert!(err.contains("local_suffixes"), "{err}");
    assert!(
        !err.contains('\x1b') && !err.ends_with("\n\n"),
        "neither colours nor empty lines in a file"
    );
}

#[test]
fn check_tells_editors_line_and_column() {
    let home = Home::new(BAD);
    let (code, out, err) = home.run(&["check", "--format", "json"]);
    assert_eq!((code, err.as_str()), (2, ""));
    let problems: serde_json::Value = serde_json::from_str(&out).unwrap();
    let problems = problems.as_array().unwrap();
    let first = &problems[0];
    assert_eq!(first["code"], "unknown-key");
    assert_eq!(first["file"], "proxy.toml");
    assert_eq!((&first["line"], &first["column"]), (&2.into(), &1.into()));
    assert_eq!(first["end"]["column"], 4);
    assert_eq!(first["severity"], "error");
    let lines: Vec<u64> = problems
        .iter()
        .map(|problem| problem["line"].as_u64().unwrap())
        .collect();
    assert!(lines.is_sorted() && lines.contains(&6), "{lines:?}");
}

#[test]
fn check_of_a_good_file_creates_nothing() {
    let home = Home::new("[sites]\n\"a.test\" = \"3000\"\n\"b.test\" = \"3000\"\n");
    let (code, out, err) = home.run(&["check"]);
    assert_eq!(
        (code, out.as_str(), err.as_str()),
        (0, "fine: 2 sites, 0 warnings\n", "")
    );
    let (code, out, _err) = home.run(&["check", "--format", "json"]);
    assert_eq!((code, out.trim()), (0, "[]"));
    assert!(!home.path().join("storage").exists());
    let mut left = fs::read_dir(home.path()).unwrap();
    assert!(left.all(|entry| {
        !entry
            .unwrap()
            .file_name()
            .to_string_lossy()
            .contains("check")
    }));
    assert_eq!(
        fs::read_dir(home.path().join("control")).unwrap().count(),
        0
    );
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let home = Home::new("");
    let (code, _out, err) = home.run(&["up", "-c", "none.toml"]);
    assert_eq!(code, 2);
    assert!(
        err.contains("error[unreadable]: cannot read none.toml"),
        "{err}"
    );
    fs::remove_file(home.path().join("proxy.toml")).unwrap();
    for verb in ["up", "check"] {
        let (code, _out, err) = home.run(&[verb]);
        assert_eq!(code, 2);
        assert!(err.starts_with("error[no-config]: "), "{err}");
    }
}

#[test]
fn a_log_that_cannot_be_opened_is_named() {
    let home = Home::new(
        "listen = [\"127.0.0.1:0\"]\nhttp = false\nlog.access = \"none/access.log\"\n[sites]\n\"a.test\" = \"1\"\n",
    );
    let (code, _out, err) = home.run(&["up"]);
    assert_eq!(code, 2);
    assert!(err.contains("none/access.log"), "{err}");
}

#[test]
fn sites_may_be_given_on_the_command_line() {
    let (file, argument) = (Backend::saying("file"), Backend::saying("argument"));
    let home = Home::new(&format!(
        "listen = [\"127.0.0.1:0\"]\nhttp = false\n[sites]\n\"a.test\" = \"{}\"\n",
        file.address
    ));
    let site = format!("b.test={}", argument.address);
    let door = Door::up_in(home, &["up", "-c", "proxy.toml", &site]);
    assert_eq!(get(&door, "a.test", "/"), "file");
    assert_eq!(get(&door, "b.test", "/"), "argument");
    let (code, _out, err) = door.home().run(&["up", "b.test"]);
    assert_eq!(code, 2);
    assert!(err.contains("`b.test` is not HOST=TARGET"), "{err}");
}

#[test]
fn up_says_where_everything_is() {
    let backend = Backend::saying("served");
    let door = Door::up(&format!(
        r#"
        listen = ["127.0.0.1:0"]
        http = ["127.0.0.1:0"]
        [sites]
        "a.test" = "{}"
        "b.test" = {{ redirect = "https://a.test" }}
        "#,
        backend.address
    ));
    let root = door.ca();
    // The service manager is told first.
    let out = eventually("all that it says", || {
        let out = door.home().read("out");
        let is_whole = out.contains(root.to_str().unwrap()) && out.ends_with('\n');
        is_whole.then_some(out)
    });
    let lines: Vec<&str> = out.lines().collect();
    assert!(lines[0].starts_with("SITE "), "{out}");
    assert!(
        lines[1].starts_with("a.test ") && lines[1].contains("local CA"),
        "{out}"
    );
    assert!(lines[2].contains("redirect to https://a.test"), "{out}");
    assert!(lines[2].ends_with(&format!("  {}", door.tls())), "{out}");
    let listening = format!(
        "listening on {} (tls), {} (plain)",
        door.tls(),
        door.plain()
    );
    assert_eq!(lines[3], listening);
    assert!(lines[4].ends_with(root.to_str().unwrap()), "{out}");
}

#[test]
fn health_is_zero_only_while_it_serves() {
    let home = Home::new("listen = [\"127.0.0.1:0\"]\nhttp = false\n[sites]\n\"a.test\" = \"1\"\n");
    let (code, out, err) = home.run(&["health"]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert_eq!(err, "error[health]: no onedoor is running here\n");
    let door = Door::up_in(home, &["up"]);
    let (code, out, err) = door.home().run(&["health"]);
    let ready = format!("ready: pid {}, 1 site, revision 1\n", door.pid());
    assert_eq!((code, out, err.as_str()), (0, ready, ""));
    let (code, out, _err) = door.home().run(&["health", "--json"]);
    let health: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(code, 0);
    assert_eq!(health, door.health());
    assert_eq!(
        (&health["status"], &health["pid"]),
        (&"ready".into(), &door.pid().into())
    );
    let home = door.leave();
    assert_eq!(home.run(&["health"]).0, 1);
}

#[test]
fn the_version_is_said() {
    let home = Home::new("");
    let version = format!("onedoor {}\n", env!("CARGO_PKG_VERSION"));
    for argument in ["version", "--version"] {
        assert_eq!(
            home.run(&[argument]),
            (0, version.clone(), String::new()),
            "{argument}"
        );
    }
    assert_eq!(home.run(&["serve"]).0, 2);
}

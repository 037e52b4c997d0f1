//! Moving out: what other tools read of what was exported.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::{Asked, ca, home, import, served, tools};
use crate::support::pebble::Pebble;

#[test]
fn plain_pairs_are_written_for_their_owner_alone_and_can_be_imported_again() {
    let ca = ca();
    let names = ["a.example.com", "b.example.com"];
    let tool = tools::lego(&ca, &names);
    let first = home(&ca, &names);
    import(&first, &tool.at("lego"), &[]);
    let (code, out, err) = first.run(&["certs", "export", "--to", "out", "a.example.com"]);
    assert_eq!(code, 0, "{out}{err}");
    let folder = first.path().join("out/a.example.com");
    let key = folder.join("privkey.pem");
    assert_eq!(key.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(
        fs::read_to_string(folder.join("fullchain.pem"))
            .unwrap()
            .trim(),
        tool.read("lego/certificates/a.example.com.crt").trim()
    );
    let (code, _out, err) = first.run(&["certs", "export", "--to", "out"]);
    assert_eq!(code, 1);
    assert!(
        err.contains("is there already") && err.contains("--force"),
        "{err}"
    );
    assert!(!first.path().join("out/b.example.com").exists());
    let (code, _out, err) = first.run(&["certs", "export", "c.example.com"]);
    assert_eq!(code, 1);
    assert!(err.contains("no certificate of `c.example.com`"), "{err}");

    let second = home(&ca, &names);
    let told = import(&second, &first.path().join("out"), &[]);
    assert_eq!(told["sums"]["taken"], 2, "{told}");
}

/// A folder that has moved in from lego.
fn inhabited(ca: &Pebble, names: &[&'static str]) -> (tools::Tool, crate::support::door::Home) {
    let tool = tools::lego(ca, names);
    let home = home(ca, names);
    let told = import(&home, &tool.at("lego"), &[]);
    assert_eq!(told["sums"]["accounts_taken"], 1, "{told}");
    (tool, home)
}

#[test]
fn certbot_reads_what_was_exported_for_it() {
    let ca = ca();
    let (tool, home) = inhabited(&ca, &["a.example.com", "b.example.com"]);
    let to = tool.at("etc").display().to_string();
    let (code, out, err) = home.run(&["certs", "export", "--layout", "certbot", "--to", &to]);
    assert_eq!(code, 0, "{out}{err}");
    let arguments = [
        "certificates",
        "--config-dir",
        "etc",
        "--work-dir",
        "work",
        "--logs-dir",
        "logs",
    ];
    let said = tool.run("certbot", &arguments);
    for part in [
        "Certificate Name: a.example.com",
        "a.example.com b.example.com",
        "VALID: 89 days",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(!said.contains("invalid"), "{said}");
    // Its account goes along: nobody asks for a new one.
    let accounts = Asked::of(&ca).accounts;
    let directory = ca.directory();
    let arguments = [
        "show_account",
        "--config-dir",
        "etc",
        "--work-dir",
        "work",
        "--logs-dir",
        "logs",
        "--server",
        &directory,
    ];
    let said = tool.run("certbot", &arguments);
    assert!(said.contains("Account URL: https://"), "{said}");
    assert_eq!(Asked::of(&ca).accounts, accounts);
}

#[test]
fn caddy_serves_what_was_exported_for_it_and_orders_nothing() {
    let ca = ca();
    let name = "a.example.com";
    let (tool, home) = inhabited(&ca, &[name]);
    let to = tool.at("caddy").display().to_string();
    let (code, out, err) = home.run(&["certs", "export", "--layout", "caddy", "--to", &to]);
    assert_eq!(code, 0, "{out}{err}");
    let asked = Asked::of(&ca);
    tools::caddyfile(&tool, &ca, name);
    let _running = tools::serve_by_caddy(&tool);
    let leaf = super::Left::new(
        &[name],
        &tool.at("lego/certificates/a.example.com.crt"),
        None,
    )
    .leaf;
    assert!(served(&ca, name) == leaf, "another certificate");
    assert_eq!(Asked::of(&ca), asked, "{}", tool.read("log"));
}

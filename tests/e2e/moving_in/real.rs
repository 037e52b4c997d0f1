//! Folders that the tools themselves made.

use super::{Left, ca, moves_in, tools};

#[test]
fn from_lego_all_is_taken_along_and_nothing_is_ordered() {
    let ca = ca();
    let names = ["a.example.com", "b.example.com"];
    let tool = tools::lego(&ca, &names);
    let account = tool.find("lego/accounts", "account.json");
    let account = tool.json(account.to_str().unwrap());
    let url = account["registration"]["uri"].as_str().unwrap().to_owned();
    let leaf = tool.at("lego/certificates/a.example.com.crt");
    moves_in(
        &ca,
        &tool.at("lego"),
        &Left::new(&names, &leaf, Some(url)),
        &[],
    );
}

#[test]
fn from_acmetool_all_is_taken_along_and_nothing_is_ordered() {
    let ca = ca();
    let tool = tools::acmetool(&ca, "a.example.com");
    // It does not write down its account's URL: the CA tells.
    let log = ca.log();
    assert!(log.contains("There are now 1 accounts in memory"), "{log}");
    let home = super::home(&ca, &["a.example.com"]);
    let told = super::import(&home, &tool.at("acmetool"), &["--dry-run"]);
    let url = told["accounts"][0]["url"].as_str().unwrap().to_owned();
    assert!(url.contains(&ca.address().to_string()), "{told}");
    let leaf = tool.at("acmetool/live/a.example.com/cert");
    let left = Left::new(&["a.example.com"], &leaf, Some(url));
    moves_in(&ca, &tool.at("acmetool"), &left, &[]);
}

#[test]
fn from_caddy_all_is_taken_along_and_nothing_is_ordered() {
    let ca = ca();
    let name = "a.example.com";
    let tool = tools::caddy(&ca, name);
    let account = tool.find("caddy/acme", "ada.json");
    let account = tool.json(account.to_str().unwrap());
    let url = account["location"].as_str().unwrap().to_owned();
    let leaf = tool.find("caddy/certificates", "a.example.com.crt");
    let left = Left::new(&[name], &leaf, Some(url));
    let program = tools::caddy_program();
    tool.run(
        &program,
        &[
            "storage",
            "export",
            "--config",
            "Caddyfile",
            "-o",
            "caddy.tar",
        ],
    );
    let home = super::home(&ca, &[name]);
    let archived = super::import(&home, &tool.at("caddy.tar"), &["--dry-run"]);
    assert_eq!(archived["sums"]["taken"], 1, "{archived}");
    assert_eq!(archived["sums"]["accounts_taken"], 1, "{archived}");
    moves_in(&ca, &tool.at("caddy"), &left, &[]);
}

#[test]
fn from_dehydrated_without_its_rsa_account_nothing_is_ordered_either() {
    let ca = ca();
    let name = "a.example.com";
    let tool = tools::dehydrated(&ca, name);
    let leaf = tool.at("dehydrated/certs/a.example.com/cert.pem");
    moves_in(
        &ca,
        &tool.at("dehydrated"),
        &Left::new(&[name], &leaf, None),
        &[],
    );
}

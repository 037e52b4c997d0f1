//! RSA accounts: left unless that is wished, and then ours under a key of ours.

use super::{Left, ca, home, import, moves_in, tools};

#[test]
fn certbot_s_account_is_named_with_its_reason_and_taken_over_on_demand() {
    let ca = ca();
    let names = ["a.example.com", "b.example.com"];
    let tool = tools::certbot(&ca, &names);
    let etc = tool.at("etc");
    let account = tool.find("etc/accounts", "regr.json");
    let account = tool.json(account.to_str().unwrap());
    let url = account["uri"].as_str().unwrap().to_owned();

    let aside = home(&ca, &names);
    let told = import(&aside, &etc, &[]);
    let account = &told["accounts"][0];
    assert_eq!(account["fate"], "needs-take-over", "{told}");
    let what = account["what"].as_str().unwrap();
    for part in ["RSA-2048", "--take-over-account", "certbot cannot use"] {
        assert!(what.contains(part), "{part}: {what}");
    }
    assert_eq!(super::account(&aside, &ca), None);
    let (code, out, err) = aside.run(&["certs", "import", etc.to_str().unwrap()]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("here already for 2"), "{out}");
    assert!(err.contains("certbot.timer"), "{err}");

    let leaf = tool.at("etc/live/a.example.com/cert.pem");
    let left = Left::new(&names, &leaf, Some(url));
    moves_in(&ca, &etc, &left, &["--take-over-account"]);
    assert_eq!(ca.log().matches("POST /rollover-account-key").count(), 1);
    // The old key is none any more.
    let told = import(&aside, &etc, &["--take-over-account"]);
    assert_eq!(told["accounts"][0]["fate"], "unknown", "{told}");
}

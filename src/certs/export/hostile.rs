//! What a backup, another tool or a store may say of a certificate or an account, and no file may repeat.

use super::tests::{account, bundle, outlay};
use super::*;
use crate::certs::import::fixture::{LETS_ENCRYPT, now};

const LAYOUTS: [Layout; 3] = [Layout::Certbot, Layout::Caddy, Layout::Pem];
const HOOK: &str = "https://ca.test/dir\nrenew_hook = touch /tmp/x\nx = \"";

/// Nothing of it is anywhere, and a remark says so on one line.
#[track_caller]
fn is_left_out(bundles: &[Bundle], accounts: &[Account], odd: &str) {
    for layout in LAYOUTS {
        let outlay = outlay(layout, bundles, accounts);
        for entry in &outlay.entries {
            assert!(is_inside(&entry.path), "{layout}: {}", entry.path);
            assert!(!entry.path.contains(odd), "{layout}: {}", entry.path);
            if let Content::File { bytes, .. } = &entry.content {
                let text = String::from_utf8_lossy(bytes);
                assert!(!text.contains(odd), "{layout}: {text}");
            }
        }
        let shown = odd.escape_debug().to_string();
        let mut remarks = outlay.remarks.iter();
        assert!(
            remarks.any(|it| it.contains(&shown)),
            "{layout}: {outlay:?}"
        );
        let lines = outlay.remarks.iter().map(|remark| remark.lines().count());
        assert!(lines.into_iter().all(|lines| lines == 1), "{outlay:?}");
    }
}

#[test]
fn a_directory_is_an_url_or_in_no_file() {
    let mut hostile = bundle(&["a.test"], LETS_ENCRYPT);
    hostile.directory = HOOK.to_owned();
    is_left_out(&[hostile], &[], HOOK);
    for odd in [
        HOOK,
        "https://ca.test/'x",
        "../../x",
        "https://ca.test/\u{2028}",
    ] {
        let mut account = account();
        account.directory = odd.to_owned();
        is_left_out(&[], &[account], odd);
    }
}

#[test]
fn names_and_addresses_are_what_they_are_called_or_in_no_file() {
    for odd in [
        "../../etc/x",
        "a.test/../../b",
        "a.test\nserver = x",
        "/etc/x",
        "..",
    ] {
        let mut hostile = bundle(&["a.test"], LETS_ENCRYPT);
        hostile.names = vec![odd.to_owned()];
        is_left_out(&[hostile.clone()], &[], odd);
        // It takes no other one along.
        let fine = bundle(&["b.test"], LETS_ENCRYPT);
        for layout in LAYOUTS {
            let outlay = outlay(layout, &[hostile.clone(), fine.clone()], &[]);
            assert!(!outlay.entries.is_empty());
        }
    }
    let odd = "ada@a.test\n\u{1b}[2J";
    let mut hostile = account();
    hostile.email = Some(odd.to_owned());
    is_left_out(&[], &[hostile], odd);
    let odd = "https://ca.test/\"\n";
    let mut hostile = account();
    hostile.url = Some(odd.to_owned());
    is_left_out(&[], &[hostile], odd);
}

#[test]
fn an_url_that_leads_out_of_certbots_folder_is_told() {
    let odd = "https://ca.test/../../../x";
    let mut account = account();
    account.directory = odd.to_owned();
    let mut bundle = bundle(&["a.test"], LETS_ENCRYPT);
    bundle.directory = odd.to_owned();
    let outlay = outlay(Layout::Certbot, &[bundle], &[account]);
    let remark = |it: &String| it.contains(odd) && it.contains("left out");
    assert!(outlay.remarks.iter().any(remark), "{outlay:?}");
    let conf = |it: &&Entry| it.path == "renewal/a.test.conf";
    let Some(Content::File { bytes, .. }) = outlay.entries.iter().find(conf).map(|it| &it.content)
    else {
        panic!("{outlay:?}");
    };
    let text = String::from_utf8_lossy(bytes);
    assert!(!text.contains("account ="), "{text}");
}

#[test]
fn a_folder_that_certbot_cannot_be_told_of_gets_nothing() {
    for root in ["/a\nb", "/\"it's\"", "/\u{fffd}"] {
        let outlay = lay_out(
            Layout::Certbot,
            &Holdings {
                bundles: &[bundle(&["a.test"], LETS_ENCRYPT)],
                accounts: &[account()],
                root,
                now: now(),
            },
        );
        assert!(outlay.entries.is_empty(), "{outlay:?}");
        assert!(outlay.remarks[0].contains("choose another"), "{outlay:?}");
    }
}

#[test]
fn what_leads_elsewhere_or_twice_to_one_place_is_told_of_once() {
    let mut outlay = Outlay::default();
    for path in ["a/x", "a/y", "a/x", "a/y", "../b/x", "../b/y"] {
        outlay.file(path.to_owned(), "", SECRET_MODE);
    }
    outlay.keep_one_inside_each();
    let paths: Vec<&str> = outlay.entries.iter().map(|it| it.path.as_str()).collect();
    assert_eq!(paths, ["a/x", "a/y"]);
    assert_eq!(outlay.remarks.len(), 2, "{outlay:?}");
    assert!(outlay.remarks[0].contains("../b"), "{outlay:?}");
}

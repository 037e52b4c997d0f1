//! What was imported for names that no site wants, or not yet.

use super::{ca, home, import, served, tools};
use crate::support::door::Door;
use crate::support::ordering::{config, site};

#[test]
fn what_no_site_wants_yet_is_kept_and_pruned_only_on_demand() {
    let ca = ca();
    let tool = tools::lego(&ca, &["a.example.com", "b.example.com"]);
    let home = home(&ca, &["a.example.com"]);
    let lego = tool.at("lego").display().to_string();
    let (code, out, err) = home.run(&["certs", "import", &lego]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(err.contains("no site wants it: b.example.com"), "{err}");
    let (code, out, err) = home.run(&["certs", "prune", "--yes"]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(
        err.contains("`b.example.com` stays: it was imported lately"),
        "{err}"
    );
    assert!(home.path().join("storage/certs/b.example.com").exists());
    let (code, out, err) = home.run(&["certs", "prune", "--yes", "--imported"]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(
        !home
            .path()
            .join("storage/certs/b.example.com/current")
            .exists()
    );
    assert!(
        home.path()
            .join("storage/certs/a.example.com/current")
            .exists()
    );
}

#[test]
fn a_site_that_comes_later_is_served_with_what_was_imported_while_onedoor_ran() {
    let ca = ca();
    let tool = tools::lego(&ca, &["a.example.com", "b.example.com"]);
    let first = home(&ca, &["a.example.com"]);
    import(&first, &tool.at("lego"), &[]);
    let door = Door::up_in(first, &["up"]);
    let asked = super::Asked::of(&ca);
    let told = import(door.home(), &tool.at("lego"), &[]);
    assert_eq!(told["sums"]["here_already"], 2, "{told}");
    let sites = site("a.example.com") + &site("b.example.com");
    door.reload(&config(&ca, "", &sites));
    assert!(served(&ca, "b.example.com") == served(&ca, "a.example.com"));
    assert_eq!(super::Asked::of(&ca), asked);
}

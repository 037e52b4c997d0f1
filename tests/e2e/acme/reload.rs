//! Names come and go while orders are under way.

use super::{config, served, shown, site};
use crate::support::door::Door;
use crate::support::pebble::Pebble;

const NAME: &str = "a.example.com";
const OTHER: &str = "b.example.com";

#[test]
fn a_name_that_is_added_is_ordered_and_the_other_is_not_again() {
    let ca = Pebble::start();
    let door = Door::up(&config(&ca, "", &site(NAME)));
    let old = served(&ca, NAME);
    door.reload(&config(&ca, "", &[NAME, OTHER].map(site).concat()));
    served(&ca, OTHER);
    assert_eq!(shown(&ca, NAME), Some(old));
    assert_eq!(ca.issued(), 2);
}

#[test]
fn a_name_that_is_dropped_is_served_no_more_and_its_files_stay() {
    let ca = Pebble::start();
    let both = config(&ca, "", &[NAME, OTHER].map(site).concat());
    let door = Door::up(&both);
    let (old, _) = (served(&ca, NAME), served(&ca, OTHER));
    door.reload(&config(&ca, "", &site(OTHER)));
    assert_eq!(shown(&ca, NAME), None);
    assert!(shown(&ca, OTHER).is_some());
    let kept = door
        .home()
        .path()
        .join("storage/certs/a.example.com/v00000001");
    assert!(kept.exists());
    door.reload(&both);
    assert_eq!(shown(&ca, NAME), Some(old));
    assert_eq!(ca.issued(), 2);
}

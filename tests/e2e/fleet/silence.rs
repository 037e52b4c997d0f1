//! A store that takes connections and answers nothing, under a door with many names.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use crate::support::door::Door;
use crate::support::ordering::site;

const NAMES: usize = 50;
/// A start waits for the store a few times, and not for each name: that would take minutes.
const START_MAX: Duration = Duration::from_secs(90);

#[test]
fn a_silent_store_holds_up_the_start_of_a_door_with_many_names_once() {
    // The system takes the connections.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let sites: Vec<String> = (0..NAMES)
        .map(|number| site(&format!("n{number}.example.com")))
        .collect();
    let config = format!(
        r#"
        listen = ["127.0.0.1:0"]
        http = ["127.0.0.1:0"]
        storage = {{ url = "redis://{store}", local_copy = "copy" }}
        [acme]
        directory = "https://{store}/directory"
        [sites]
        {sites}
        "#,
        store = silent.local_addr().unwrap(),
        sites = sites.concat(),
    );
    let begun = Instant::now();
    let _door = Door::up(&config);
    assert!(begun.elapsed() < START_MAX, "{:?}", begun.elapsed());
}

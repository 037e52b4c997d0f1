//! The case that everything else stands on: several services, one door.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::support::answer::get_on;
use crate::support::authority::Authority;
use crate::support::backend::Backend;
use crate::support::client::{get, try_tls};
use crate::support::door::{Door, Home};

#[test]
fn three_services_share_one_door_by_name() {
    let (first, second, third) = (
        Backend::saying("first"),
        Backend::saying("second"),
        Backend::saying("third"),
    );
    let home = Home::new(&format!(
        r#"
        listen = ["127.0.0.1:0"]
        http = ["127.0.0.1:0"]
        [sites]
        "secure.ciso.test"  = "{}"
        "dao.ciso.test"     = "{}"
        "traefik.ciso.test" = {{ to = "{}", strip_prefix = "/authnz.ap" }}
        "#,
        first.address, second.address, third.address
    ));
    let fine = "fine: 3 sites, 0 warnings\n".to_owned();
    assert_eq!(home.run(&["check"]), (0, fine, String::new()));
    let door = Door::up_in(home, &["up"]);
    assert_eq!(get(&door, "secure.ciso.test", "/"), "first");
    assert_eq!(get(&door, "dao.ciso.test", "/"), "second");
    assert_eq!(
        get(&door, "traefik.ciso.test", "/authnz.ap/users?a=b"),
        "third"
    );
    assert_eq!(third.only().line(), "GET /users?a=b HTTP/1.1");
    assert_eq!(third.only().field("x-forwarded-prefix"), Some("/authnz.ap"));
}

#[test]
fn the_example_of_the_readme_is_fine_and_serves() {
    let (_, rest) = include_str!("../../README.md")
        .split_once("```toml\n")
        .unwrap();
    let (example, _) = rest.split_once("```").unwrap();
    let home = Home::new(example);
    let authority = Authority::new();
    authority.write_pair(&home, "certs/shop", &["shop.example.com"]);
    let key = home.path().join("certs/shop.key");
    fs::set_permissions(key, fs::Permissions::from_mode(0o600)).unwrap();
    let fine = "fine: 3 sites, 0 warnings\n".to_owned();
    assert_eq!(home.run(&["check"]), (0, fine, String::new()));

    let backends = ["app", "api", "shop"].map(Backend::saying);
    let mut ours = format!("listen = [\"127.0.0.1:0\"]\nhttp = false\n{example}");
    for (target, backend) in ["3000", "9999", "3001"].iter().zip(&backends) {
        let there = format!("\"localhost:{target}\"");
        assert!(ours.contains(&there), "{ours}");
        ours = ours.replace(&there, &format!("\"{}\"", backend.address));
    }
    home.write("proxy.toml", &ours);
    let door = Door::up_in(home, &["up"]);
    assert_eq!(get(&door, "app.localhost", "/"), "app");
    assert_eq!(get(&door, "api.localhost", "/v1/users"), "api");
    assert_eq!(backends[1].only().line(), "GET /users HTTP/1.1");
    let name = "shop.example.com";
    let mut shop = try_tls(door.tls(), &authority.roots(), name, &[]).unwrap();
    assert_eq!(get_on(&mut shop, name, "/").body, "shop");
}

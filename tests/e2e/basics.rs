//! The case that everything else stands on: several services, one door.

use crate::support::backend::Backend;
use crate::support::client::get;
use crate::support::door::Door;

#[test]
fn three_services_share_one_door_by_name() {
    let (first, second, third) = (
        Backend::saying("first"),
        Backend::saying("second"),
        Backend::saying("third"),
    );
    let door = Door::up(&format!(
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
    assert_eq!(get(&door, "secure.ciso.test", "/"), "first");
    assert_eq!(get(&door, "dao.ciso.test", "/"), "second");
    assert_eq!(
        get(&door, "traefik.ciso.test", "/authnz.ap/users?a=b"),
        "third"
    );
    assert_eq!(third.only().line(), "GET /users?a=b HTTP/1.1");
    assert_eq!(third.only().field("x-forwarded-prefix"), Some("/authnz.ap"));
}

//! Reloads that widen or narrow where the door listens.

use std::net::SocketAddr;

use crate::support::answer::{get_on, read_answer};
use crate::support::backend::Backend;
use crate::support::client::{plain, roots, tls, try_tls};
use crate::support::door::Door;

#[test]
fn connections_stay_while_their_address_is_served() {
    let backend = Backend::saying("served");
    let at = |tls: &str, plain: &str| {
        format!(
            r#"
            listen = ["{tls}"]
            http = ["{plain}"]
            drain = "1s"
            [sites]
            "a.test" = "{0}"
            "b.test" = {{ to = "{0}", tls = "off" }}
            "#,
            backend.address
        )
    };
    let door = Door::up(&at("127.0.0.1:0", "127.0.0.1:0"));
    let (here, plain_here) = (door.tls(), door.plain());
    let everywhere = |here: SocketAddr| format!("0.0.0.0:{}", here.port());
    let narrow = at(&here.to_string(), &plain_here.to_string());
    let wide = at(&everywhere(here), &everywhere(plain_here));
    door.reload(&narrow);
    let mut secure = tls(&door, "a.test", &[]);
    let mut clear = plain(plain_here);
    assert_eq!(get_on(&mut secure, "a.test", "/").body, "served");
    assert_eq!(get_on(&mut clear, "b.test", "/").body, "served");
    for config in [&wide, &narrow, &wide] {
        door.reload(config);
        assert_eq!(get_on(&mut secure, "a.test", "/").body, "served");
        assert_eq!(get_on(&mut clear, "b.test", "/").body, "served");
    }
    let there = SocketAddr::from(([127, 0, 0, 3], here.port()));
    let mut leaving = try_tls(there, &roots(&door), "a.test", &[]).unwrap();
    assert_eq!(get_on(&mut leaving, "a.test", "/").body, "served");
    door.reload(&narrow);
    assert!(
        read_answer(&mut leaving).is_err(),
        "its address is not served any more"
    );
    assert_eq!(get_on(&mut secure, "a.test", "/").body, "served");
}

//! Sessions that are resumed, and what a reload makes of them.

use super::clients::{Clients, copy};
use super::{ADA, FINGERPRINT, SUBJECT, config, door, s_client};
use crate::support::backend::Backend;
use crate::support::door::Door;
use crate::support::eventually;
use crate::support::wire::Wire;

const VERSIONS: [&str; 2] = ["-tls1_2", "-tls1_3"];

fn site(backend: &Backend, demand: &str) -> String {
    format!(r#""a.test" = {{ to = "{}", {demand} }}"#, backend.address)
}

/// Connects by the session that was left before; whether it was resumed, and all that was said.
fn again(clients: &Clients, door: &Door, shown: Option<&str>, version: &str) -> (bool, String) {
    let said = s_client(
        clients,
        door,
        "a.test",
        shown,
        &[version, "-sess_in", "session"],
    );
    (said.contains("Reused, TLSv1"), said)
}

fn first(clients: &Clients, door: &Door, shown: Option<&str>, version: &str) {
    let options = [version, "-sess_out", "session"];
    let said = s_client(clients, door, "a.test", shown, &options);
    assert!(
        said.contains("New, TLSv1") && said.contains("200 OK"),
        "{said}"
    );
}

#[test]
fn a_resumed_session_still_says_who_the_client_is() {
    let clients = Clients::new();
    clients.sign("ada", ADA, "staff");
    let backend = Backend::saying("yes");
    let door = door(&clients, &site(&backend, "client_ca = \"staff.pem\""));
    for version in VERSIONS {
        first(&clients, &door, Some("ada"), version);
        // The ticket alone: no certificate is shown.
        let (resumed, said) = again(&clients, &door, None, version);
        assert!(resumed && said.contains("200 OK"), "{version}: {said}");
    }
    let seen = backend.seen();
    assert_eq!(seen.len(), 4);
    for request in &seen {
        assert!(request.field(SUBJECT).unwrap().starts_with("CN=Ada"));
        assert_eq!(request.field(FINGERPRINT), seen[0].field(FINGERPRINT));
    }
}

#[test]
fn a_session_from_before_a_change_of_what_is_demanded_is_not_resumed() {
    let clients = Clients::new();
    clients.sign("ada", ADA, "staff");
    let backend = Backend::saying("yes");
    let demands = [
        ("log = true", None, "client_ca = \"staff.pem\""),
        (
            "client_ca = \"staff.pem\", client_auth = \"request\"",
            None,
            "client_ca = \"staff.pem\"",
        ),
        (
            "client_ca = \"staff.pem\"",
            Some("ada"),
            "client_ca = \"guests.pem\"",
        ),
    ];
    let door = door(&clients, &site(&backend, "log = true"));
    for (before, shown, after) in demands {
        for version in VERSIONS {
            door.reload(&config(&site(&backend, before)));
            first(&clients, &door, shown, version);
            door.reload(&config(&site(&backend, after)));
            let (resumed, said) = again(&clients, &door, None, version);
            assert!(!resumed, "{before}: {said}");
            assert!(said.contains("SSL alert number 116"), "{before}: {said}");
        }
    }
    assert_eq!(backend.seen().len(), 6);
}

/// The file alone changes, and is looked at by itself.
#[test]
fn other_authorities_in_the_same_file_take_effect() {
    let clients = Clients::new();
    clients.sign("ada", ADA, "staff");
    clients.sign("eve", "/CN=Eve", "guests");
    let backend = Backend::saying("yes");
    let door = door(&clients, &site(&backend, "client_ca = \"staff.pem\""));
    first(&clients, &door, Some("ada"), "-tls1_3");
    let before = door.revision();
    copy(&clients.path("guests.pem"), door.home(), "staff.pem");
    eventually("the change of the file", || {
        (door.revision() > before).then_some(())
    });
    let (resumed, said) = again(&clients, &door, Some("ada"), "-tls1_3");
    assert!(!resumed && said.contains("SSL alert number 48"), "{said}");
    let said = s_client(&clients, &door, "a.test", Some("eve"), &[]);
    assert!(said.contains("200 OK"), "{said}");
    assert!(clients.read("staff.pem").contains("BEGIN CERTIFICATE"));
}

#[test]
fn connections_from_before_a_change_of_what_is_demanded_carry_no_more_requests() {
    let clients = Clients::new();
    let backend = Backend::saying("yes");
    let door = door(&clients, &site(&backend, "log = true"));
    let mut wire = Wire::tls(&door, "a.test");
    let request = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";
    assert_eq!(wire.ask(request).text(), "yes");
    door.reload(&config(&site(&backend, "client_ca = \"staff.pem\"")));
    let _closed = wire.try_send(request);
    let refused = wire
        .try_answer()
        .map_or(true, |answer| answer.status() == 421);
    assert!(refused);
    assert_eq!(backend.seen().len(), 1);
}

//! Handshakes: which site a name leads to, what is negotiated, and what is refused with which alert.

use std::sync::Arc;

use rustls::{ClientConfig, ClientConnection, HandshakeKind, NamedGroup, StreamOwned};
use rustls_pki_types::ServerName;

use crate::support::backend::Backend;
use crate::support::client::{Tls, ask, curl, get, plain, roots, tls};
use crate::support::door::Door;
use crate::support::openssl::{s_client, s_client_typing};

const ANYWHERE: &str = "listen = [\"127.0.0.1:0\"]\nhttp = false\n";

#[test]
fn exact_beats_wildcard_beats_catch_all() {
    let (exact, wildcard, any) = (
        Backend::saying("exact"),
        Backend::saying("wildcard"),
        Backend::saying("any"),
    );
    let door = up(&format!(
        r#"
        "shop.dev.test" = "{}"
        "*.dev.test" = "{}"
        "*" = {{ to = "{}", tls = "internal" }}
        "#,
        exact.address, wildcard.address, any.address
    ));
    assert_eq!(get(&door, "shop.dev.test", "/"), "exact");
    assert_eq!(get(&door, "other.dev.test", "/"), "wildcard");
    assert_eq!(get(&door, "SHOP.Dev.test", "/"), "exact");
    assert_eq!(get(&door, "a.b.dev.test", "/"), "any");
    assert_eq!(get(&door, "dev.test", "/"), "any");
    assert_eq!(get(&door, "nobody.internal", "/"), "any");
}

#[test]
fn an_unknown_name_gets_the_alert_unrecognized_name() {
    let door = shop("");
    let said = s_client(&door, Some("nobody.test"), &[]);
    assert!(said.contains("SSL alert number 112"), "{said}");
    let said = s_client(&door, Some("shop.test.evil.test"), &[]);
    assert!(said.contains("SSL alert number 112"), "{said}");
}

#[test]
fn no_name_gets_the_certificate_of_the_address_or_is_refused() {
    let door = shop("");
    let said = s_client(&door, None, &[]);
    assert!(said.contains("SSL alert number 112"), "{said}");
    let backend = Backend::saying("by address");
    let door = up(&format!(
        r#""127.0.0.1" = {{ to = "{}", tls = "internal" }}"#,
        backend.address
    ));
    let (code, text) = curl(&door, "127.0.0.1", "/", &["--fail"]);
    assert_eq!((code, text.as_str()), (0, "by address"));
    let said = s_client(&door, None, &["-verify_ip", "127.0.0.1"]);
    assert!(said.contains("Verify return code: 0 (ok)"), "{said}");
}

#[test]
fn unknown_names_go_where_unknown_says() {
    let backend = Backend::saying("whoever you are");
    let door = Door::up(&format!(
        r#"
        unknown = "shop.test"
        {ANYWHERE}
        [sites]
        "shop.test" = "{}"
        "#,
        backend.address
    ));
    assert_eq!(get(&door, "nobody.test", "/"), "whoever you are");
    assert_eq!(get(&door, "shop.test", "/"), "whoever you are");
}

#[test]
fn old_versions_are_refused_with_an_alert() {
    let door = shop("");
    for version in ["-tls1", "-tls1_1"] {
        let options = [version, "-cipher", "ALL:@SECLEVEL=0"];
        let said = s_client(&door, Some("shop.test"), &options);
        assert!(said.contains("SSL alert number 40"), "{version}: {said}");
    }
}

#[test]
fn weak_ciphers_do_not_exist() {
    let door = shop("");
    for ciphers in [
        "ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES256-SHA384:ECDHE-ECDSA-AES128-SHA",
        "AES128-GCM-SHA256:AES256-GCM-SHA384:AES128-SHA",
        "ADH-AES128-GCM-SHA256:NULL-SHA",
    ] {
        let ciphers = format!("{ciphers}:@SECLEVEL=0");
        let options = ["-tls1_2", "-cipher", ciphers.as_str()];
        let said = s_client(&door, Some("shop.test"), &options);
        assert!(said.contains("SSL alert number 40"), "{ciphers}: {said}");
    }
}

#[test]
fn the_oldest_version_is_the_sites_own() {
    let backend = Backend::saying("hello");
    let door = up(&format!(
        r#"
        "old.test" = "{0}"
        "new.test" = {{ to = "{0}", min_tls = "1.3" }}
        "#,
        backend.address
    ));
    let said = s_client(&door, Some("old.test"), &["-tls1_2"]);
    assert!(said.contains("Verify return code: 0 (ok)"), "{said}");
    let said = s_client(&door, Some("new.test"), &["-tls1_2"]);
    assert!(said.contains("SSL alert number 70"), "{said}");
    let said = s_client(&door, Some("new.test"), &["-tls1_3"]);
    assert!(said.contains("Verify return code: 0 (ok)"), "{said}");
}

#[test]
fn post_quantum_key_exchange_is_chosen_where_offered() {
    let door = shop("");
    let client = tls(&door, "shop.test", &[]);
    let group = client.conn.negotiated_key_exchange_group().unwrap();
    assert_eq!(group.name(), NamedGroup::X25519MLKEM768);
    let said = s_client(&door, Some("shop.test"), &["-groups", "X25519"]);
    assert!(said.contains("Server Temp Key: X25519"), "{said}");
}

#[test]
fn the_protocol_is_agreed() {
    let door = shop("");
    let agreed = |offered: &[&str]| {
        let client = tls(&door, "shop.test", offered);
        client.conn.alpn_protocol().map(<[u8]>::to_vec)
    };
    assert_eq!(agreed(&["http/1.1", "h2"]), Some(b"h2".to_vec()));
    assert_eq!(agreed(&["http/1.1"]), Some(b"http/1.1".to_vec()));
    assert_eq!(agreed(&[]), None);
    let said = s_client(&door, Some("shop.test"), &["-alpn", "gopher"]);
    assert!(said.contains("SSL alert number 120"), "{said}");
}

#[test]
fn sessions_are_resumed_by_tickets() {
    let door = shop("");
    for version in ["-tls1_2", "-tls1_3"] {
        let request = "GET / HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n";
        let first = [version, "-sess_out", "session"];
        let said = s_client_typing(&door, Some("shop.test"), &first, request);
        assert!(said.contains("New, TLSv1"), "{version}: {said}");
        let second = [version, "-sess_in", "session"];
        let said = s_client(&door, Some("shop.test"), &second);
        assert!(said.contains("Reused, TLSv1"), "{version}: {said}");
    }
}

#[test]
fn a_ticket_is_worth_nothing_for_another_name() {
    let backend = Backend::saying("hello");
    let door = up(&format!(
        r#"
        "a.test" = "{0}"
        "b.test" = "{0}"
        "strict.test" = {{ to = "{0}", min_tls = "1.3" }}
        "#,
        backend.address
    ));
    let request = "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n";
    for version in ["-tls1_2", "-tls1_3"] {
        let first = [version, "-sess_out", "session"];
        let said = s_client_typing(&door, Some("a.test"), &first, request);
        assert!(said.contains("New, TLSv1"), "{version}: {said}");
        let said = s_client(&door, Some("a.test"), &[version, "-sess_in", "session"]);
        assert!(said.contains("Reused, TLSv1"), "{version}: {said}");
        let said = s_client(&door, Some("b.test"), &[version, "-sess_in", "session"]);
        assert!(said.contains("New, TLSv1"), "{version}: {said}");
    }
    let said = s_client(&door, Some("strict.test"), &["-sess_in", "session"]);
    assert!(said.contains("New, TLSv1.3"), "{said}");
}

#[test]
fn rustls_resumes_and_sends_nothing_early() {
    let door = shop("");
    let mut config =
        ClientConfig::builder_with_provider(rustls::crypto::aws_lc_rs::default_provider().into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots(&door))
            .with_no_client_auth();
    config.enable_early_data = true;
    let config = Arc::new(config);
    let mut first = connect(&door, &config);
    assert_eq!(first.conn.handshake_kind(), Some(HandshakeKind::Full));
    let request = b"GET / HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n";
    assert!(ask(&mut first, request).starts_with("HTTP/1.1 200 "));
    let second = connect(&door, &config);
    assert_eq!(second.conn.handshake_kind(), Some(HandshakeKind::Resumed));
}

fn connect(door: &Door, config: &Arc<ClientConfig>) -> Tls {
    let name = ServerName::try_from("shop.test").unwrap();
    let mut connection = ClientConnection::new(config.clone(), name).unwrap();
    assert!(connection.early_data().is_none());
    let mut stream = StreamOwned::new(connection, plain(door.tls()));
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock).unwrap();
    }
    stream
}

fn up(sites: &str) -> Door {
    Door::up(&format!("{ANYWHERE}[sites]\n{sites}"))
}

/// One site, `shop.test`, with these options.
fn shop(options: &str) -> Door {
    let backend = Backend::saying("shop");
    up(&format!(
        r#""shop.test" = {{ to = "{}"{options} }}"#,
        backend.address
    ))
}

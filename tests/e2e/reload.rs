//! Reloading while clients are there: what changed changes, and nothing else does.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use rustix::process::Signal;
use rustls_pki_types::CertificateDer;

use crate::support::answer::{get_on, read_answer};
use crate::support::authority::Authority;
use crate::support::backend::{Backend, ok, read_request};
use crate::support::client::{Tls, get, roots, tls, try_tls};
use crate::support::door::{Door, Home};
use crate::support::eventually;

#[test]
fn a_new_site_appears_and_a_removed_one_is_refused() {
    let (old, new) = (Backend::saying("old"), Backend::saying("new"));
    let door = Door::up(&config(&[("a.test", &old), ("gone.test", &old)]));
    let address = door.tls();
    let roots = roots(&door);
    let mut leaving = tls(&door, "gone.test", &[]);
    assert_eq!(get_on(&mut leaving, "gone.test", "/").body, "old");
    assert!(try_tls(address, &roots, "new.test", &[]).is_err());
    door.reload(&config(&[("a.test", &old), ("new.test", &new)]));
    assert_eq!(door.tls(), address, "the socket stays");
    assert_eq!(get(&door, "new.test", "/"), "new");
    assert_eq!(get(&door, "a.test", "/"), "old");
    assert!(try_tls(address, &roots, "gone.test", &[]).is_err());
    assert!(
        read_answer(&mut leaving).is_err(),
        "a connection of a site that is gone is ended"
    );
}

#[test]
fn a_changed_target_takes_effect_on_open_connections() {
    let (first, second) = (Backend::saying("first"), Backend::saying("second"));
    let door = Door::up(&config(&[("a.test", &first)]));
    let mut stream = tls(&door, "a.test", &[]);
    assert_eq!(get_on(&mut stream, "a.test", "/").body, "first");
    door.reload(&config(&[("a.test", &second)]));
    assert_eq!(get_on(&mut stream, "a.test", "/").body, "second");
}

#[test]
fn open_connections_survive_twenty_reloads() {
    let (page, echo) = (Backend::saying("page"), echo());
    let door = Door::up(&config(&[("a.test", &page), ("socket.test", &echo)]));
    let mut page_stream = tls(&door, "a.test", &[]);
    let mut socket = tls(&door, "socket.test", &[]);
    upgrade(&mut socket, "socket.test");
    for round in 0..20 {
        let other = format!("round-{round}.test");
        door.reload(&config(&[
            ("a.test", &page),
            ("socket.test", &echo),
            (&other, &page),
        ]));
        assert_eq!(get_on(&mut page_stream, "a.test", "/").body, "page");
        socket.write_all(other.as_bytes()).unwrap();
        let mut back = vec![0; other.len()];
        socket.read_exact(&mut back).unwrap();
        assert_eq!(back, other.as_bytes());
    }
    // A change that is seen before the signal comes is a revision more.
    assert!(door.revision() > 20);
    assert_eq!(page.seen().len(), 20);
}

#[test]
fn a_changed_file_is_read_without_a_signal() {
    let backend = Backend::saying("served");
    let door = Door::up(&config(&[("a.test", &backend)]));
    let new = config(&[("a.test", &backend), ("b.test", &backend)]);
    door.home().write("proxy.toml", &new);
    eventually("the reload", || (door.revision() == 2).then_some(()));
    assert_eq!(get(&door, "b.test", "/"), "served");
    // Written in place, as some editors do.
    let mut file = fs::File::create(door.home().path().join("proxy.toml")).unwrap();
    file.write_all(config(&[("c.test", &backend)]).as_bytes())
        .unwrap();
    drop(file);
    // It may have been seen empty first.
    eventually("the reload", || {
        try_tls(door.tls(), &roots(&door), "c.test", &[]).ok()
    });
    assert_eq!(get(&door, "c.test", "/"), "served");
}

#[test]
fn the_service_manager_hears_of_a_reload() {
    let backend = Backend::saying("served");
    let door = Door::up(&config(&[("a.test", &backend)]));
    assert!(!door.told("RELOADING=1"));
    door.reload(&config(&[("b.test", &backend)]));
    eventually("RELOADING=1", || door.told("RELOADING=1").then_some(()));
    eventually("the new number of sites", || {
        door.told("STATUS=serving 1 site").then_some(())
    });
}

#[test]
fn a_refused_reload_changes_nothing_and_says_what_the_start_would() {
    let backend = Backend::saying("served");
    let good = config(&[("a.test", &backend)]);
    let bad = good.replace("[sites]", "[sites]\n\"b.test\" = { upstream = \"1\" }");
    let door = Door::up(&good);
    let mut stream = tls(&door, "a.test", &[]);
    assert_eq!(get_on(&mut stream, "a.test", "/").body, "served");
    door.home().write("proxy.toml", &bad);
    door.signal(Signal::HUP);
    eventually("the refusal", || {
        door.said().contains("configuration refused").then_some(())
    });
    let (code, _out, at_start) = Home::end_of(
        door.home()
            .command()
            .args(["up", "--control", "other"])
            .env("ONEDOOR_CONTROL", door.home().path().join("other")),
    );
    assert_eq!(code, 2, "{at_start}");
    assert!(at_start.contains("upstream"), "{at_start}");
    let said = door.home().read("err");
    assert!(said.contains(at_start.trim()), "{said}\n---\n{at_start}");
    assert_eq!(get_on(&mut stream, "a.test", "/").body, "served");
    assert_eq!(get(&door, "a.test", "/"), "served");
    assert_eq!(door.revision(), 1);
    assert_eq!(door.health()["status"], "ready");
    door.reload(&config(&[("b.test", &backend)]));
    assert_eq!(get(&door, "b.test", "/"), "served");
}

#[test]
fn changed_listeners_open_and_close_sockets() {
    let backend = Backend::saying("served");
    let at = |listen: &str| config(&[("a.test", &backend)]).replace("127.0.0.1:0", listen);
    let door = Door::up(&at("127.0.0.1:0"));
    let first = door.tls();
    let mut stream = tls(&door, "a.test", &[]);
    assert_eq!(get_on(&mut stream, "a.test", "/").body, "served");
    door.reload(&at("127.0.0.2:0"));
    let second = door.tls();
    assert_eq!(second.ip().to_string(), "127.0.0.2");
    let mut fresh = try_tls(second, &roots(&door), "a.test", &[]).unwrap();
    assert_eq!(get_on(&mut fresh, "a.test", "/").body, "served");
    eventually("a closed port", || TcpStream::connect(first).err());
    assert!(
        read_answer(&mut stream).is_err(),
        "nobody is served at that address any more"
    );
}

#[test]
fn a_port_that_cannot_be_opened_refuses_the_reload() {
    let backend = Backend::saying("served");
    let door = Door::up(&config(&[("a.test", &backend)]));
    let (address, taken) = (door.tls(), backend.address);
    door.home().write(
        "proxy.toml",
        &config(&[("b.test", &backend)]).replace("127.0.0.1:0", &taken.to_string()),
    );
    door.signal(Signal::HUP);
    eventually("the refusal", || {
        door.said().contains("configuration refused").then_some(())
    });
    let said = door.said();
    assert!(
        said.contains(&format!("cannot listen on port {}", taken.port())),
        "{said}"
    );
    assert_eq!((door.tls(), door.revision()), (address, 1));
    assert_eq!(get(&door, "a.test", "/"), "served");
}

#[test]
fn a_socket_may_grow_to_every_address_and_shrink_again() {
    let backend = Backend::saying("served");
    let at = |listen: &str| config(&[("a.test", &backend)]).replace("127.0.0.1:0", listen);
    let door = Door::up(&at("127.0.0.1:0"));
    let here = door.tls();
    let everywhere = SocketAddr::from(([0, 0, 0, 0], here.port()));
    door.reload(&at(&here.to_string()));
    door.reload(&at(&everywhere.to_string()));
    assert_eq!(door.tls(), everywhere);
    let there = SocketAddr::from(([127, 0, 0, 3], here.port()));
    let mut stream = try_tls(there, &roots(&door), "a.test", &[]).unwrap();
    assert_eq!(get_on(&mut stream, "a.test", "/").body, "served");
    door.reload(&at(&here.to_string()));
    assert_eq!(door.tls(), here);
    eventually("a closed port", || TcpStream::connect(there).err());
}

#[test]
fn a_replaced_pair_is_shown_and_a_bad_one_is_not() {
    let backend = Backend::saying("served");
    let authority = Authority::new();
    let home = Home::new(&own_pair(&backend));
    let first = authority.write_pair(&home, "own", &["own.example.com"]);
    let door = Door::up_in(home, &["up"]);
    assert_eq!(shown(&door, &authority, "own.example.com"), first);
    let mut open = try_tls(
        door.tls(),
        &authority.roots(),
        "own.example.com",
        &["http/1.1"],
    )
    .unwrap();
    let second = authority.write_pair(door.home(), "own", &["own.example.com"]);
    eventually("the new certificate", || {
        (shown(&door, &authority, "own.example.com") == second).then_some(())
    });
    assert_eq!(get_on(&mut open, "own.example.com", "/").body, "served");
    door.home()
        .write("own.pem", "-----BEGIN CERTIFICATE-----\nno");
    eventually("a word about the bad pair", || {
        door.said().contains("own.pem").then_some(())
    });
    assert_eq!(shown(&door, &authority, "own.example.com"), second);
    authority.write_pair(door.home(), "own", &["other.example.com"]);
    eventually("a word about the wrong name", || {
        door.said().contains("other.example.com").then_some(())
    });
    assert_eq!(shown(&door, &authority, "own.example.com"), second);
    let third = authority.write_pair(door.home(), "own", &["own.example.com"]);
    eventually("the third certificate", || {
        (shown(&door, &authority, "own.example.com") == third).then_some(())
    });
    assert_eq!(door.revision(), 1, "a certificate is no configuration");
}

#[test]
fn a_pair_put_into_the_folder_is_picked_up() {
    let backend = Backend::saying("served");
    let authority = Authority::new();
    let home = Home::new(&format!(
        r#"
        listen = ["127.0.0.1:0"]
        http = false
        tls.cert_dir = "pairs"
        [sites]
        "a.test" = "{}"
        "b.example.com" = "{0}"
        "#,
        backend.address
    ));
    let wildcard = authority.write_pair(&home, "pairs/wildcard", &["*.example.com"]);
    let door = Door::up_in(home, &["up"]);
    assert_eq!(shown(&door, &authority, "b.example.com"), wildcard);
    assert_eq!(get(&door, "a.test", "/"), "served");
    let exact = authority.write_pair(door.home(), "pairs/exact", &["b.example.com", "a.test"]);
    eventually("the exact certificate", || {
        (shown(&door, &authority, "b.example.com") == exact).then_some(())
    });
    eventually("the folder goes before the local CA", || {
        try_tls(door.tls(), &authority.roots(), "a.test", &[])
            .is_ok()
            .then_some(())
    });
}

#[test]
fn one_bad_included_file_is_isolated() {
    let (first, second) = (Backend::saying("first"), Backend::saying("second"));
    let site =
        |name: &str, backend: &Backend| format!("[sites]\n\"{name}\" = \"{}\"\n", backend.address);
    let home = Home::new(
        "listen = [\"127.0.0.1:0\"]\nhttp = false\ninclude = [\"sites/*.toml\"]\n[sites]\n",
    );
    home.write("sites/a.toml", &site("a.test", &first));
    home.write("sites/b.toml", &site("b.test", &first));
    let door = Door::up_in(home, &["up"]);
    assert_eq!(get(&door, "a.test", "/"), "first");
    door.home().write("sites/a.toml", "[sites]\n\"a.test\" = ");
    door.home().write("sites/b.toml", &site("b.test", &second));
    door.home().write("sites/c.toml", &site("c.test", &second));
    eventually("the new site", || {
        (door.health()["sites"] == 3).then_some(())
    });
    assert_eq!(get(&door, "a.test", "/"), "first");
    assert_eq!(get(&door, "b.test", "/"), "second");
    assert_eq!(get(&door, "c.test", "/"), "second");
    let said = door.said();
    assert!(said.contains("sites/a.toml:2"), "{said}");
    door.home().write("sites/a.toml", &site("a.test", &second));
    eventually("the mended file", || {
        (get(&door, "a.test", "/") == "second").then_some(())
    });
    fs::remove_file(door.home().path().join("sites/c.toml")).unwrap();
    eventually("the end of a site", || {
        (door.health()["sites"] == 2).then_some(())
    });
}

#[test]
fn a_signal_in_the_first_moment_is_heard() {
    let backend = Backend::saying("served");
    for _round in 0..10 {
        let door = Door::up(&config(&[("a.test", &backend)]));
        door.signal(Signal::HUP);
        eventually("the reload", || (door.revision() == 2).then_some(()));
    }
}

fn config(sites: &[(&str, &Backend)]) -> String {
    let mut text = "listen = [\"127.0.0.1:0\"]\nhttp = false\n[sites]\n".to_owned();
    for (name, backend) in sites {
        text.push_str(&format!("\"{name}\" = \"{}\"\n", backend.address));
    }
    text
}

fn own_pair(backend: &Backend) -> String {
    format!(
        r#"
        listen = ["127.0.0.1:0"]
        http = false
        [sites]
        "own.example.com" = {{ to = "{}", cert = "own.pem", key = "own.key" }}
        "#,
        backend.address
    )
}

/// The certificate in a new handshake.
fn shown(door: &Door, authority: &Authority, name: &str) -> CertificateDer<'static> {
    let stream = try_tls(door.tls(), &authority.roots(), name, &[]).unwrap();
    stream.conn.peer_certificates().unwrap()[0].clone()
}

/// An upstream that answers a WebSocket upgrade and then says everything back.
fn echo() -> Backend {
    Backend::raw(|mut stream| {
        let mut reader = std::io::BufReader::new(stream.try_clone().unwrap());
        let Some(request) = read_request(&mut reader) else {
            return;
        };
        if request.field("upgrade").is_none() {
            let _gone = stream.write_all(&ok("no upgrade"));
            return;
        }
        stream
            .write_all(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                  Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
            )
            .unwrap();
        let _ended = std::io::copy(&mut reader, &mut stream);
    })
}

/// The handshake of RFC 6455 section 1.3.
fn upgrade(stream: &mut Tls, host: &str) {
    let request = format!(
        "GET / HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    assert_eq!(read_answer(stream).unwrap().status(), 101);
}

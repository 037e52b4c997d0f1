//! Clients that leave before they take what they asked for.

use std::io::{BufReader, Write as _};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;

use crate::support::backend::{Backend, read_request};
use crate::support::client::plain;
use crate::support::door::Door;
use crate::support::eventually;

const SWITCHED: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n";

#[test]
fn an_upgrade_whose_client_is_gone_leaves_no_upstream_behind() {
    let (asked, open) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (go, gone) = channel::<()>();
    let (gone, counted, came) = (Mutex::new(gone), open.clone(), asked.clone());
    let backend = Backend::raw(move |mut stream| {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        if read_request(&mut reader).is_none() {
            return;
        }
        counted.fetch_add(1, Ordering::SeqCst);
        came.fetch_add(1, Ordering::SeqCst);
        let _client_gone = gone.lock().unwrap().recv();
        let _broken = stream.write_all(SWITCHED);
        let _ended = std::io::copy(&mut reader, &mut std::io::sink());
        counted.fetch_sub(1, Ordering::SeqCst);
    });
    let door = Door::up(&format!(
        r#"
        listen = ["127.0.0.1:0"]
        http = ["127.0.0.1:0"]
        [sites]
        "b.test" = {{ to = "{}", tls = "off" }}
        "#,
        backend.address
    ));
    // What comes early hides the end from whoever looks for it before the answer is there.
    let mut client = plain(door.plain());
    client
        .write_all(
            b"GET / HTTP/1.1\r\nHost: b.test\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nearly",
        )
        .unwrap();
    eventually("the request", || {
        (asked.load(Ordering::SeqCst) == 1).then_some(())
    });
    set_socket_linger(&client, Some(Duration::ZERO)).unwrap();
    drop(client);
    go.send(()).unwrap();
    eventually("the upstream's end", || {
        (open.load(Ordering::SeqCst) == 0).then_some(())
    });
}

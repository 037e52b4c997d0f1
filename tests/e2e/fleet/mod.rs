//! Three processes on one store: one orders, another answers the CA, all serve; and the store may vanish, and come back empty.

mod answering;
mod load;
mod silence;
mod stores;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::Value;

use self::load::Load;
use self::stores::{Kind, Shared};
use super::support::client::try_tls;
use super::support::door::{Door, Home};
use super::support::eventually;
use super::support::ordering::site;
use super::support::pebble::Pebble;

const NAME: &str = "a.example.com";
/// Until all serve what one has written.
const SPREADING: Duration = Duration::from_secs(30);
/// Until a store that was emptied has back what the replicas know: they look every few seconds.
const PUTTING_BACK: Duration = Duration::from_secs(60);
/// Until the first certificate: whoever finds an empty store waits for hosts that know it.
const FOUNDING: Duration = Duration::from_secs(60);
/// Handshakes while the store is away.
const HANDSHAKES: usize = 150;

#[test]
fn a_fleet_on_redis_orders_once_and_outlives_the_store() {
    outlive(Kind::Redis);
}

#[test]
fn a_fleet_on_a_bucket_orders_once_and_outlives_the_store() {
    outlive(Kind::Bucket);
}

#[test]
fn with_a_bucket_whose_conditions_lie_nothing_is_ordered_and_it_is_told_why() {
    let fleet = Fleet::on(Kind::Lying);
    let door = fleet.ordering();
    let why = "of several writes at once, of which one may win, it accepted";
    eventually("a word about the store", || {
        door.said().contains(why).then_some(())
    });
    assert!(
        door.said()
            .contains("use Redis, or a store with conditional writes")
    );
    assert_eq!(fleet.orders(), 0);
    let root = door.home().path().join("copy/local-ca/root.pem");
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(root).unwrap())
        .unwrap();
    try_tls(door.tls(), &Arc::new(roots), "b.test", &[]).unwrap();
}

#[test]
fn a_bucket_whose_conditions_lie_is_called_so_at_the_start_though_nothing_is_ordered() {
    let store = Shared::start(Kind::Lying);
    let door = Door::up(&format!(
        r#"
        listen = ["127.0.0.1:0"]
        http = false
        storage = {{ {store}, local_copy = "copy" }}
        [sites]
        {site}
        "#,
        store = store.said(),
        site = site("a.localhost"),
    ));
    let why = "of several writes at once, of which one may win, it accepted";
    eventually("a word about the store", || {
        let said = door.said();
        let line = said.lines().find(|line| line.contains(why))?;
        assert!(line.contains("nothing is ordered"), "{line}");
        Some(())
    });
    let (code, seen, _told) = door.home().run(&["status"]);
    assert_eq!(code, 0);
    assert!(seen.contains(why), "{seen}");
    let (code, seen, _told) = door.home().run(&["doctor", "-c", "proxy.toml"]);
    assert_eq!(code, 1, "{seen}");
    assert!(seen.contains(why), "{seen}");
    assert!(!store.names().contains(".probe"), "{}", store.names());
}

struct Fleet {
    ca: Pebble,
    store: Shared,
}

impl Fleet {
    fn on(kind: Kind) -> Self {
        Self {
            ca: Pebble::start(),
            store: Shared::start(kind),
        }
    }

    /// A replica that may order, at ports of its own: the CA asks elsewhere.
    fn ordering(&self) -> Door {
        Door::up(&self.config("127.0.0.1:0", "127.0.0.1:0", "issue"))
    }

    /// The one that the CA asks, which never orders.
    fn asked(&self) -> Door {
        let (tls, plain) = (self.ca.tls().to_string(), self.ca.plain().to_string());
        Door::up(&self.config(&tls, &plain, "serve-only"))
    }

    fn config(&self, tls: &str, plain: &str, role: &str) -> String {
        format!(
            r#"
            listen = ["{tls}"]
            http = ["{plain}"]
            storage = {{ {store}, local_copy = "copy" }}
            [acme]
            directory = "{directory}"
            roots = "{roots}"
            email = "ada@example.com"
            role = "{role}"
            [sites]
            {site}
            "#,
            store = self.store.said(),
            directory = self.ca.directory(),
            roots = self.ca.roots_file(),
            site = [NAME, "b.test"].map(site).concat(),
        )
    }

    fn orders(&self) -> usize {
        self.ca.log().matches("Added order").count()
    }
}

fn outlive(kind: Kind) {
    let mut fleet = Fleet::on(kind);
    let doors = [fleet.ordering(), fleet.ordering(), fleet.asked()];
    let roots = fleet.ca.issued_roots();
    let mut first = None;
    within(FOUNDING, "a certificate on the one that orders", || {
        first = doors.iter().find_map(|door| shown(door.tls(), &roots));
        first.is_some()
    });
    let first = first.unwrap();
    within(SPREADING, "the certificate on all", || {
        let leaves = doors.each_ref().map(|door| shown(door.tls(), &roots));
        leaves.iter().all(|leaf| leaf.as_ref() == Some(&first))
    });
    assert_eq!((fleet.orders(), fleet.ca.issued()), (1, 1));
    // Alone where the CA asks, and not the one that ordered.
    assert!(!doors[2].said().contains("certificate issued"));
    for door in &doors {
        assert_eq!(who_ordered(door.home()), host());
    }

    let [one, other, asked] = doors;
    let load = Load::on(&[one.tls(), asked.tls()], &roots, NAME);
    fleet.store.kill();
    // Starts while nobody is there, and serves what it has seen.
    let other = Door::up_in(other.leave(), &["up"]);
    assert_eq!(shown(other.tls(), &roots).as_ref(), Some(&first));
    let (code, seen, told) = other.home().run(&["certs", "list"]);
    assert_eq!(code, 0, "{told}");
    assert!(seen.contains(NAME) && seen.contains(" by "), "{seen}");
    assert!(told.contains("what this host saw last"), "{told}");
    let before = load.done();
    eventually("handshakes without a store", || {
        (load.done() > before + HANDSHAKES).then_some(())
    });
    assert_eq!(fleet.store.names(), "");

    fleet.store.revive();
    // Whoever comes first, and knows only the store, does not order either.
    let newcomer = fleet.ordering();
    within(PUTTING_BACK, "what the replicas know, in the store", || {
        let names = fleet.store.names();
        ["identity", &format!("certs/{NAME}/current")]
            .iter()
            .all(|name| names.contains(name))
    });
    within(SPREADING, "the certificate on a newcomer", || {
        shown(newcomer.tls(), &roots).as_ref() == Some(&first)
    });
    let handshakes = load.done();
    assert_eq!(load.ended(), [""; 0], "of {handshakes} handshakes");
    assert_eq!((fleet.orders(), fleet.ca.issued()), (1, 1));
}

/// The certificate that is served, if one of the CA is.
fn shown(address: SocketAddr, roots: &Arc<RootCertStore>) -> Option<Vec<u8>> {
    let stream = try_tls(address, roots, NAME, &[]).ok()?;
    Some(stream.conn.peer_certificates()?.first()?.to_vec())
}

#[track_caller]
fn within(time: Duration, what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < time, "never happened: {what}");
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

#[track_caller]
fn who_ordered(home: &Home) -> String {
    let (_code, out, err) = home.run(&["certs", "list", "--json"]);
    let listed: Value =
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}{err}"));
    let host = listed[0]["ordered_by"].as_str().unwrap_or_default();
    let table = home.run(&["certs", "list"]).1;
    assert!(table.contains(&format!(" by {host}  ")), "{table}");
    host.to_owned()
}

fn host() -> String {
    let system = rustix::system::uname();
    system.nodename().to_string_lossy().into_owned()
}

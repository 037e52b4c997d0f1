//! `health`: targets that are asked how they are.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

use crate::support::authority::{Authority, Pair};
use crate::support::backend::{Backend, Seen, ok};
use crate::support::door::{Door, Home};
use crate::support::eventually;
use crate::support::peer::Peer;
use crate::support::wire::Wire;

/// Says its name to everybody, and to checks how it is.
struct Service {
    backend: Backend,
    status: Arc<AtomicU16>,
}

impl Service {
    fn named(name: &'static str) -> Self {
        let status = Arc::new(AtomicU16::new(200));
        let said = status.clone();
        let backend = Backend::http(move |request| {
            if request.line() != "GET /up HTTP/1.1" {
                return ok(name);
            }
            let status = said.load(Ordering::SeqCst);
            let fields = "Location: /login\r\nContent-Length: 0\r\nConnection: close";
            format!("HTTP/1.1 {status} Said\r\n{fields}\r\n\r\n").into_bytes()
        });
        Self { backend, status }
    }

    fn says(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    fn address(&self) -> SocketAddr {
        self.backend.address
    }

    fn checks(&self) -> Vec<Seen> {
        let mut seen = self.backend.seen();
        seen.retain(|seen| seen.line().starts_with("GET /up "));
        seen
    }
}

/// Often, and decided at once.
const QUICK: &str = r#"every = "20ms", fails = 1, passes = 1, timeout = "5s""#;

fn site(name: &str, to: &str, health: &str) -> String {
    format!("\"{name}\" = {{ to = {to}, tls = \"off\", health = {health} }}\n")
}

fn config(sites: &str) -> String {
    format!("listen = [\"127.0.0.1:0\"]\nhttp = [\"127.0.0.1:0\"]\nworkers = 1\n[sites]\n{sites}")
}

/// Targets that are down, as `status` tells it.
fn down(door: &Door) -> Vec<Value> {
    let (code, out, err) = door.home().run(&["status", "--json"]);
    assert_eq!(code, 0, "{err}");
    let status: Value = serde_json::from_str(&out).unwrap();
    status["down"].as_array().unwrap().clone()
}

/// Why the only target that is down is so, once one is.
#[track_caller]
fn why(door: &Door) -> String {
    let down = eventually("a target that is down", || down(door).pop());
    down["why"].as_str().unwrap().to_owned()
}

#[track_caller]
fn wait_until_all_are_up(door: &Door) {
    eventually("all targets up", || down(door).is_empty().then_some(()));
}

fn ask(wire: &mut Wire, host: &str) -> (u16, String) {
    let answer = wire.ask(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    (answer.status(), answer.text())
}

#[test]
fn requests_move_away_before_any_fails_and_come_back() {
    let (one, two) = (Service::named("one"), Service::named("two"));
    let to = format!("[\"{}\", \"{}\"]", one.address(), two.address());
    let health = r#"{ path = "/up", every = "20ms", fails = 2, passes = 2, timeout = "5s" }"#;
    let door = Door::up(&config(&site("a.test", &to, health)));
    let mut wire = Wire::plain(&door);
    let mut said = || {
        let (status, text) = ask(&mut wire, "a.test");
        assert_eq!(status, 200, "{text}");
        text
    };
    eventually("the first", || (said() == "one").then_some(()));
    eventually("the second", || (said() == "two").then_some(()));
    one.says(500);
    assert_eq!(why(&door), "answers 500 Internal Server Error under /up");
    assert!((0..10).all(|_| said() == "two"));
    two.says(503);
    eventually("both down", || (down(&door).len() == 2).then_some(()));
    let (_code, out, _err) = door.home().run(&["status"]);
    let words = format!("  {}, since ", one.address());
    assert!(out.contains(&words), "{out}");
    assert!(
        out.contains("GET /up: answers 500 Internal Server Error under /up"),
        "{out}"
    );
    one.says(200);
    two.says(200);
    wait_until_all_are_up(&door);
    eventually("the first again", || (said() == "one").then_some(()));
    let told = door.said();
    for words in ["the target is down", "the target is up again"] {
        let lines = told.lines().filter(|line| line.contains(words));
        assert_eq!(lines.count(), 2, "{told}");
    }
}

#[test]
fn a_site_goes_by_its_own_checks_alone() {
    let service = Service::named("one");
    service.says(302);
    let to = format!("\"{}\"", service.address());
    let sites = [
        site("class.test", &to, &format!("{{ path = \"/up\", {QUICK} }}")),
        site(
            "exact.test",
            &to,
            &format!("{{ path = \"/up\", status = 302, {QUICK} }}"),
        ),
        site("none.test", &to, "false"),
    ];
    let door = Door::up(&config(&sites.concat()));
    let seen = why(&door);
    assert!(
        seen.contains("302 Found under /up and leads to /login"),
        "{seen}"
    );
    let mut wire = Wire::plain(&door);
    let (status, text) = ask(&mut wire, "class.test");
    assert_eq!(status, 503, "{text}");
    for host in ["exact.test", "none.test"] {
        assert_eq!(ask(&mut wire, host), (200, "one".to_owned()));
    }
    assert_eq!(down(&door)[0]["sites"], json!(["class.test"]));
    service.says(204);
    eventually("the other one down", || {
        let down = down(&door).pop()?;
        (down["sites"] == json!(["exact.test"])).then_some(())
    });
}

#[test]
fn a_check_says_who_asks_and_which_host_it_means() {
    let backend = Backend::http(|request| {
        if request.field("host") == Some("right.test") {
            return ok("yes");
        }
        b"HTTP/1.1 421 Misdirected Request\r\nContent-Length: 0\r\n\r\n".to_vec()
    });
    let to = format!("\"{}\"", backend.address);
    let sites = [
        site(
            "a.test",
            &to,
            &format!("{{ path = \"/up?x\", host = \"right.test\", {QUICK} }}"),
        ),
        site("b.test", &to, &format!("{{ path = \"/up?x\", {QUICK} }}")),
    ];
    let door = Door::up(&config(&sites.concat()));
    assert!(why(&door).contains("421"));
    assert_eq!(down(&door)[0]["sites"], json!(["b.test"]));
    let own = backend.address.to_string();
    for host in ["right.test", &own] {
        let seen = backend.seen();
        let seen = seen.iter().find(|seen| seen.field("host") == Some(host));
        let seen = seen.unwrap();
        assert_eq!(seen.line(), "GET /up?x HTTP/1.1");
        assert_eq!(seen.field("user-agent"), Some("onedoor-health"));
    }
}

#[test]
fn a_target_that_hangs_is_down() {
    let hanging = Backend::raw(|mut stream| {
        // Until the door gives up.
        let _ended = stream.read_to_end(&mut Vec::new());
    });
    let health = r#"{ path = "/up", every = "20ms", fails = 1, timeout = "100ms" }"#;
    let sites = site("a.test", &format!("\"{}\"", hanging.address), health)
        + &site("b.test", &format!("\"h2c://{}\"", hanging.address), health);
    let door = Door::up(&config(&sites));
    eventually("both down", || (down(&door).len() == 2).then_some(()));
    for down in down(&door) {
        assert_eq!(down["why"], "no answer within 100ms");
    }
    // What a check leaves behind ends with it.
    let most = door.descriptors() + 8;
    eventually("many checks", || {
        (door.worked() > Duration::from_millis(300)).then_some(())
    });
    assert!(door.descriptors() <= most);
}

#[test]
fn a_connection_that_opens_is_enough_for_a_tunnel() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let health = format!("{{ tcp = true, {QUICK} }}");
    let door = Door::up(&config(&format!(
        "\"a.test\" = {{ passthrough = \"{address}\", health = {health} }}"
    )));
    let why = why(&door);
    assert!(
        why.starts_with("nothing accepts connections there"),
        "{why}"
    );
    let _listener = TcpListener::bind(address).unwrap();
    wait_until_all_are_up(&door);
}

/// Answers every request over TLS.
fn secure(pair: &Pair) -> Backend {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![pair.certificate.clone()], pair.key())
        .unwrap();
    let config = Arc::new(config);
    Backend::raw(move |stream| {
        let connection = ServerConnection::new(config.clone()).unwrap();
        let mut stream = StreamOwned::new(connection, stream);
        let mut request = [0; 1024];
        if stream.read(&mut request).is_ok_and(|read| read > 0) {
            // The door may have what it wanted.
            let _sent = stream.write_all(&ok("yes"));
        }
    })
}

#[test]
fn a_check_trusts_whom_the_traffic_trusts() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let backend = secure(&authority.pair(&["localhost"]));
    let url = format!("https://localhost:{}", backend.address.port());
    let to = |ca: &str| format!("{{ url = \"{url}\", ca = \"{ca}\" }}");
    let sites = [
        site(
            "http.test",
            &to("ca.pem"),
            &format!("{{ path = \"/up\", {QUICK} }}"),
        ),
        site(
            "tcp.test",
            &to("ca.pem"),
            &format!("{{ tcp = true, {QUICK} }}"),
        ),
        site(
            "no.test",
            &to("stranger.pem"),
            &format!("{{ tcp = true, {QUICK} }}"),
        ),
    ];
    let home = Home::new(&config(&sites.concat()));
    home.write("ca.pem", &authority.root_pem());
    home.write("stranger.pem", &stranger.root_pem());
    let door = Door::up_in(home, &["up"]);
    let why = why(&door);
    assert!(why.contains("TLS handshake"), "{why}");
    assert_eq!(down(&door)[0]["sites"], json!(["no.test"]));
}

#[test]
fn a_grpc_server_says_how_its_services_are() {
    let (mut server, address) = Peer::listen("grpc_health_server.py", &[]);
    let to = format!("\"h2c://{address}\"");
    let sites = [
        site("all.test", &to, &format!("{{ grpc = true, {QUICK} }}")),
        site(
            "shop.test",
            &to,
            &format!("{{ grpc = \"shop.Cart\", {QUICK} }}"),
        ),
    ];
    let door = Door::up(&config(&sites.concat()));
    let unknown = why(&door);
    assert!(unknown.contains("does not know the service"), "{unknown}");
    server.order(&json!(["shop.Cart", "NOT_SERVING"]));
    eventually("the word of the service", || {
        let down = down(&door).pop()?;
        (down["why"] == "says that `shop.Cart` is NOT_SERVING").then_some(())
    });
    assert_eq!(down(&door)[0]["check"], "gRPC shop.Cart");
    server.order(&json!(["shop.Cart", "SERVING"]));
    wait_until_all_are_up(&door);
    server.order(&json!(["", "NOT_SERVING"]));
    assert_eq!(why(&door), "says that it is NOT_SERVING");
}

#[test]
fn two_sites_have_one_prober() {
    let service = Service::named("one");
    let to = format!("\"{}\"", service.address());
    let health = r#"{ path = "/up", every = "100ms" }"#;
    let sites = site("a.test", &to, health) + &site("b.test", &to, health);
    let _door = Door::up(&config(&sites));
    eventually("the first check", || {
        (!service.checks().is_empty()).then_some(())
    });
    let started = Instant::now();
    eventually("more checks", || {
        (service.checks().len() > 10).then_some(())
    });
    // Ten periods, each at most a tenth shorter; one check more may have been under way.
    assert!(
        started.elapsed() > Duration::from_millis(800),
        "{:?}",
        started.elapsed()
    );
}

#[test]
fn a_reload_forgets_nothing() {
    let service = Service::named("one");
    service.says(500);
    let to = format!("\"{}\"", service.address());
    let once = r#"{ path = "/up", every = "1h", fails = 1 }"#;
    let door = Door::up(&config(&site("a.test", &to, once)));
    why(&door);
    service.says(200);
    let more = site("a.test", &to, once) + &site("b.test", &to, once);
    door.reload(&config(&more));
    assert_eq!(ask(&mut Wire::plain(&door), "b.test").0, 503);
    assert_eq!(down(&door)[0]["sites"], json!(["a.test", "b.test"]));
    assert_eq!(service.checks().len(), 1);
    // The same question by other numbers: what was found holds until enough checks have passed.
    let seldom = r#"{ path = "/up", every = "10ms", passes = 1000 }"#;
    door.reload(&config(&site("a.test", &to, seldom)));
    eventually("checks", || (service.checks().len() > 5).then_some(()));
    assert_eq!(ask(&mut Wire::plain(&door), "a.test").0, 503);
    // Nobody looks any more.
    door.reload(&config(&site("a.test", &to, "false")));
    assert_eq!(ask(&mut Wire::plain(&door), "a.test").0, 200);
    wait_until_all_are_up(&door);
}

#[test]
fn people_are_told_of_a_target_that_goes_down_and_comes_up() {
    let service = Service::named("one");
    let to = format!("\"{}\"", service.address());
    let health = format!("{{ path = \"/up\", {QUICK} }}");
    let alerts = "[alerts]\nexec = [\"sh\", \"-c\", \"{ cat; echo; } >>told\"]\n";
    let door = Door::up(&(config(&site("a.test", &to, &health)) + alerts));
    let told = |count: usize| {
        eventually("an alert", || {
            let told = door.home().read("told");
            let last = told.lines().nth(count - 1)?;
            serde_json::from_str::<Value>(last).ok()
        })
    };
    service.says(500);
    let first = told(1);
    assert_eq!(first["event"], "upstream.down");
    assert_eq!(first["target"], to.trim_matches('"'));
    assert_eq!(first["check"], "GET /up");
    assert_eq!(first["sites"], json!(["a.test"]));
    assert_eq!(
        first["problem"],
        "answers 500 Internal Server Error under /up"
    );
    service.says(200);
    let second = told(2);
    assert_eq!(second["event"], "upstream.up");
    assert_eq!(second["ends"], json!(["upstream.down"]));
    // It flaps: that is told later, if at all.
    for status in [500, 200, 500, 200] {
        service.says(status);
        let wanted = usize::from(status == 500);
        eventually("a turn", || (down(&door).len() == wanted).then_some(()));
    }
    assert_eq!(door.home().read("told").lines().count(), 2);
}

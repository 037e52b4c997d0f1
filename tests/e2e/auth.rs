//! `auth`: who may pass with which password, with files that Debian's tools made.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::support::backend::Backend;
use crate::support::client::{curl, plain};
use crate::support::door::{Door, Home};
use crate::support::eventually;
use crate::support::wire::{Answer, Wire};

/// What a tool prints that reads this.
#[track_caller]
fn made_by(program: &str, arguments: &[&str], read: &str) -> String {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error}: run `tests/run --prepare`"));
    child
        .stdin
        .take()
        .unwrap()
        .write_all(read.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A line of a user whose password costs 2^`cost` rounds.
fn htpasswd(user: &str, password: &str, cost: u32) -> String {
    let cost = cost.to_string();
    made_by("htpasswd", &["-n", "-i", "-B", "-C", &cost, user], password) + "\n"
}

fn argon2(user: &str, password: &str) -> String {
    let arguments = [
        "salty salt",
        "-id",
        "-t",
        "1",
        "-k",
        "1024",
        "-p",
        "1",
        "-e",
    ];
    format!("{user}:{}\n", made_by("argon2", &arguments, password))
}

fn config(sites: &str) -> String {
    format!(
        "listen = [\"127.0.0.1:0\"]\nhttp = [\"127.0.0.1:0\"]\nlog.access = \"access.log\"\nlog.format = \"combined\"\n\
         trust.proxies = [\"127.0.0.1\"]\n[sites]\n{sites}"
    )
}

/// Sites and a file of users beside them.
#[track_caller]
fn door(users: &str, sites: &str) -> Door {
    let home = Home::new(&config(sites));
    home.write("users", users);
    Door::up_in(home, &["up"])
}

fn basic(user: &str, password: &str) -> String {
    let token = BASE64_STANDARD.encode(format!("{user}:{password}"));
    format!("Authorization: Basic {token}\r\n")
}

fn ask(wire: &mut Wire, path: &str, fields: &str) -> Answer {
    wire.ask(format!(
        "GET {path} HTTP/1.1\r\nHost: a.test\r\n{fields}\r\n"
    ))
}

const FIXED: &str = "respond = { status = 204 }, tls = \"off\"";
const CHEAP: u32 = 4;

#[test]
fn those_in_the_file_pass_and_nobody_else() {
    let backend = Backend::saying("yes");
    let users = htpasswd("ada", "open sesame", CHEAP)
        + "# others\n"
        + &argon2("ben", "p:w")
        + &htpasswd("zoë", "ü", CHEAP);
    let site = format!(
        "\"a.test\" = {{ to = \"{}\", tls = \"off\", auth = {{ basic = \"users\" }} }}",
        backend.address
    );
    let door = door(&users, &site);
    let mut wire = Wire::plain(&door);
    for (user, password) in [("ada", "open sesame"), ("ben", "p:w"), ("zoë", "ü")] {
        let fields = basic(user, password);
        assert_eq!(ask(&mut wire, "/", &fields).status(), 200, "{user}");
        assert_eq!(ask(&mut wire, "/", &fields).status(), 200, "{user}");
        // As with other proxies, the upstream sees who it is.
        let seen = backend.seen().pop().unwrap();
        assert_eq!(
            format!(
                "Authorization: {}\r\n",
                seen.field("authorization").unwrap()
            ),
            fields
        );
    }
    let before = backend.seen().len();
    for fields in [
        String::new(),
        basic("ada", "open sesam"),
        basic("ada", ""),
        basic("ben", "open sesame"),
        basic("eve", "open sesame"),
        basic("", ""),
        "Authorization: Bearer x\r\n".to_owned(),
        "Authorization: Basic !\r\n".to_owned(),
        basic("ada", "open sesame").repeat(2),
    ] {
        let answer = ask(&mut wire, "/", &fields);
        assert_eq!(answer.status(), 401, "{fields}");
        assert_eq!(
            answer.all("www-authenticate"),
            ["Basic realm=\"a.test\", charset=\"UTF-8\""]
        );
        assert!(
            answer
                .text()
                .starts_with("401 Unauthorized: unauthorized\n"),
            "{}",
            answer.text()
        );
    }
    assert_eq!(backend.seen().len(), before);
    let lines = eventually("all lines in the log", || {
        let log = door.home().read("access.log");
        (log.lines().count() == 6 + 9).then_some(log)
    });
    let user = |line: &str| line.split(' ').nth(2).unwrap().to_owned();
    let users: Vec<String> = lines.lines().map(user).collect();
    assert_eq!(
        users[..6],
        ["ada", "ada", "ben", "ben", "zo\\xC3\\xAB", "zo\\xC3\\xAB"]
    );
    assert!(users[6..].iter().all(|user| user == "-"), "{users:?}");
}

#[test]
fn no_action_is_reached_without_a_password() {
    let door = door(
        &htpasswd("ada", "x", CHEAP),
        &format!(
            "\"a.test\" = {{ {FIXED}, auth = {{ basic = \"users\" }}, deny = [\"192.0.2.0/24\"], paths = {{ \
             \"/old\" = {{ redirect = \"/new\" }}, \"/open\" = {{ respond = {{ status = 204 }}, auth = false }} }} }}"
        ),
    );
    let mut wire = Wire::plain(&door);
    let mut status = |path: &str, fields: &str| ask(&mut wire, path, fields).status();
    assert_eq!(
        ["/", "/old", "/open"].map(|path| status(path, "")),
        [401, 401, 204]
    );
    let fields = basic("ada", "x");
    assert_eq!(
        ["/", "/old", "/open"].map(|path| status(path, &fields)),
        [204, 308, 204]
    );
    // Who may not come at all is not asked for a password.
    let denied = fields + "X-Forwarded-For: 192.0.2.7\r\n";
    assert_eq!(status("/", &denied), 403);
}

#[test]
fn bodies_and_http2_wait_for_the_password() {
    let backend = Backend::saying("yes");
    let site = format!(
        "\"a.test\" = {{ to = \"{}\", auth = {{ basic = \"users\" }} }}",
        backend.address
    );
    let door = door(&htpasswd("ada", "x", CHEAP), &site);
    let body = "b".repeat(100_000);
    for version in ["--http1.1", "--http2"] {
        let options = [version, "--write-out", " %{http_code}", "-u"];
        let (_code, text) = curl(&door, "a.test", "/", &[&options[..], &["ada:y"]].concat());
        assert!(text.ends_with(" 401"), "{text}");
        let all = [&options[..], &["ada:x", "--data", &body]].concat();
        let (_code, text) = curl(&door, "a.test", "/", &all);
        assert_eq!(text, "yes 200");
        assert_eq!(backend.seen().pop().unwrap().body.len(), body.len());
    }
    assert_eq!(backend.seen().len(), 2);
}

#[test]
fn a_password_is_hashed_once_and_not_at_every_request() {
    let site = format!("\"a.test\" = {{ {FIXED}, auth = {{ basic = \"users\" }} }}");
    let door = door(&htpasswd("ada", "x", 11), &site);
    let mut wire = Wire::plain(&door);
    let fields = basic("ada", "x");
    let start = door.worked();
    assert_eq!(ask(&mut wire, "/", &fields).status(), 204);
    let once = door.worked() - start;
    assert!(once > Duration::from_millis(20), "{once:?}");
    for _ in 0..100 {
        assert_eq!(ask(&mut wire, "/", &fields).status(), 204);
    }
    let all = door.worked() - start;
    assert!(all < once * 20, "{once:?} {all:?}");
}

#[test]
fn a_changed_file_is_in_force_by_itself() {
    let site = format!("\"a.test\" = {{ {FIXED}, auth = {{ basic = \"users\" }} }}");
    let door = door(&htpasswd("ada", "old", CHEAP), &site);
    let mut wire = Wire::plain(&door);
    assert_eq!(ask(&mut wire, "/", &basic("ada", "old")).status(), 204);
    door.home().write("users", &htpasswd("ada", "new", CHEAP));
    eventually("the new password", || {
        (ask(&mut wire, "/", &basic("ada", "new")).status() == 204).then_some(())
    });
    assert_eq!(ask(&mut wire, "/", &basic("ada", "old")).status(), 401);
}

#[test]
fn a_flood_of_passwords_is_turned_away_and_others_are_served() {
    const GUESSES: usize = 150;
    /// Checks of one client that may wait or run.
    const ONE_CLIENTS: usize = 8;
    let door = door(
        &htpasswd("ada", "x", 9),
        &format!(
            "\"a.test\" = {{ {FIXED}, auth = {{ basic = \"users\" }} }}\n\"b.test\" = {{ {FIXED} }}"
        ),
    );
    let address = door.plain();
    let right = basic("ada", "x");
    assert_eq!(
        ask(&mut Wire::over(plain(address)), "/", &right).status(),
        204
    );
    let mut guesses: Vec<Wire> = (0..GUESSES).map(|_| Wire::over(plain(address))).collect();
    for (number, wire) in guesses.iter_mut().enumerate() {
        let user = ["ada", "eve"][number % 2];
        let fields = basic(user, &number.to_string());
        wire.send(format!("GET / HTTP/1.1\r\nHost: a.test\r\n{fields}\r\n"));
    }
    // The data threads are free, and who is known is served.
    let mut other = Wire::over(plain(address));
    assert_eq!(
        other.ask("GET / HTTP/1.1\r\nHost: b.test\r\n\r\n").status(),
        204
    );
    assert_eq!(ask(&mut other, "/", &right).status(), 204);
    let answers: Vec<Answer> = guesses.iter_mut().map(Wire::answer).collect();
    let (busy, wrong): (Vec<&Answer>, Vec<&Answer>) =
        answers.iter().partition(|answer| answer.status() == 503);
    assert!(
        !busy.is_empty() && wrong.len() >= ONE_CLIENTS,
        "{} {}",
        busy.len(),
        wrong.len()
    );
    assert!(wrong.iter().all(|answer| answer.status() == 401));
    for answer in busy {
        assert_eq!(answer.field("retry-after"), Some("1"));
        assert!(answer.text().contains("auth-busy"), "{}", answer.text());
    }
}

#[test]
fn hashes_that_protect_nobody_are_refused() {
    let weak = made_by("htpasswd", &["-n", "-i", "-m", "ada"], "x");
    let site = format!("\"a.test\" = {{ {FIXED}, auth = {{ basic = \"users\" }} }}");
    for (users, said) in [(weak.as_str(), "MD5"), ("ada:x", "bcrypt"), ("", "no user")] {
        let home = Home::new(&config(&site));
        home.write("users", users);
        let (code, out, error) = home.run(&["check"]);
        assert_ne!(code, 0, "{users}");
        assert!(format!("{out}{error}").contains(said), "{out}{error}");
    }
    let (code, out, error) = Home::new(&config(&site)).run(&["check"]);
    assert_ne!(code, 0);
    assert!(format!("{out}{error}").contains("users"), "{out}{error}");
}

/// A server that is asked: 204 with fields where the cookie says so, else a way to log in.
fn gatekeeper() -> Backend {
    Backend::http(|seen| {
        if seen.field("cookie") == Some("session=1") {
            b"HTTP/1.1 204 No Content\r\nX-User: ada\r\nX-Forwarded-Groups: a\r\nX-Forwarded-Groups: b\r\nX-Other: 1\r\n\r\n".to_vec()
        } else {
            b"HTTP/1.1 302 Found\r\nLocation: https://login.test/\r\nSet-Cookie: s=2\r\nContent-Length: 5\r\n\r\nlogin".to_vec()
        }
    })
}

fn guarded(gate: &Backend, backend: &Backend) -> Door {
    let auth = format!(
        "{{ forward = \"http://{}/check?a=b\", copy = [\"X-User\", \"X-Role\", \"X-Forwarded-Groups\"] }}",
        gate.address
    );
    Door::up(&config(&format!(
        "\"a.test\" = {{ to = \"{}\", tls = \"off\", strip_prefix = \"/app\", auth = {auth} }}",
        backend.address
    )))
}

#[test]
fn another_server_says_who_may_pass_and_as_whom() {
    let (gate, backend) = (gatekeeper(), Backend::saying("yes"));
    let door = guarded(&gate, &backend);
    let mut wire = Wire::plain(&door);
    let lies = "X-User: root\r\nX-Role: admin\r\nX-Forwarded-Groups: wheel\r\nX-Other: mine\r\nX-Forwarded-Uri: /\r\n";
    for _ in 0..2 {
        wire.send(format!(
            "POST /app/x?y=z HTTP/1.1\r\nHost: a.test\r\nCookie: session=1\r\n{lies}Content-Length: 4\r\n\r\nbody"
        ));
        assert_eq!(wire.answer().text(), "yes");
        let seen = backend.seen().pop().unwrap();
        assert_eq!(seen.line(), "POST /x?y=z HTTP/1.1");
        assert_eq!(seen.body, b"body");
        assert_eq!(seen.all("x-user"), ["ada"]);
        assert_eq!(seen.all("x-role"), [""; 0]);
        assert_eq!(seen.all("x-forwarded-groups"), ["a", "b"]);
        assert_eq!(seen.all("x-other"), ["mine"]);
        let asked = gate.seen().pop().unwrap();
        assert_eq!(asked.line(), "GET /check?a=b HTTP/1.1");
        assert_eq!(asked.field("host").unwrap(), gate.address.to_string());
        assert_eq!(asked.all("x-forwarded-method"), ["POST"]);
        assert_eq!(asked.all("x-forwarded-uri"), ["/app/x?y=z"]);
        assert_eq!(asked.all("x-forwarded-host"), ["a.test"]);
        assert_eq!(asked.all("x-forwarded-for"), ["127.0.0.1"]);
        assert_eq!(asked.field("content-length"), None);
    }
    // Anything but a 2xx is the answer, and the upstream hears nothing.
    let before = backend.seen().len();
    let answer = ask(&mut wire, "/app/", lies);
    assert_eq!((answer.status(), answer.text().as_str()), (302, "login"));
    assert_eq!(answer.field("location"), Some("https://login.test/"));
    assert_eq!(answer.field("set-cookie"), Some("s=2"));
    wire.send("HEAD /app/ HTTP/1.1\r\nHost: a.test\r\n\r\n");
    assert_eq!(wire.head().unwrap().status(), 302);
    wire.send(
        "GET /app/ HTTP/1.1\r\nHost: a.test\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    );
    assert_eq!(wire.answer().status(), 302);
    assert_eq!(backend.seen().len(), before);
}

#[test]
fn nobody_passes_while_the_other_server_cannot_be_asked() {
    let backend = Backend::saying("yes");
    let gates = [
        Backend::raw(drop),
        Backend::http(|_asked| {
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n"
                .to_vec()
        }),
        Backend::http(|_asked| b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n".to_vec()),
    ];
    for (gate, status) in gates.iter().zip([502, 502, 500]) {
        let door = guarded(gate, &backend);
        let fields = "Connection: upgrade\r\nUpgrade: websocket\r\nCookie: session=1\r\n";
        assert_eq!(
            ask(&mut Wire::plain(&door), "/app/", fields).status(),
            status
        );
    }
    assert_eq!(backend.seen().len(), 0);
}

//! Redis over TLS, with users and passwords.

use std::error::Error as _;
use std::fs::File;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair,
};
use tempfile::TempDir;

use super::super::super::redis::{Place, Reached, Redis};
use super::super::super::{Mark, Store, When};
use super::super::{content, key};
use super::server::Server;
use super::{LASTS, PATIENCE, STEP, ready};

/// As the advice says.
const ALLOWED: [&str; 8] = [
    "~{edge}:*",
    "&{edge}:*",
    "+@read",
    "+@write",
    "+@scripting",
    "+@pubsub",
    "+@connection",
    "+info",
];

/// A Redis that only speaks TLS, to those who have a password, and the root of its certificate.
struct Secured {
    server: Server,
    port: u16,
    root: String,
}

impl Secured {
    fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let root = certify(folder.path());
        let file = |name: &str| folder.path().join(name).display().to_string();
        let (cert, own_key, ca) = (file("cert.pem"), file("key.pem"), file("ca.pem"));
        let port = free_port();
        let words = [
            ["--tls-port", &port.to_string()],
            ["--tls-cert-file", &cert],
            ["--tls-key-file", &own_key],
            ["--tls-ca-cert-file", &ca],
            ["--tls-auth-clients", "no"],
            ["--requirepass", "other"],
        ];
        let words = words.concat();
        let user = ["--user", "onedoor", "on", ">secret"];
        let words: Vec<&str> = words.into_iter().chain(user).chain(ALLOWED).collect();
        Self {
            server: Server::start_with(folder, &words),
            port,
            root,
        }
    }

    fn place(&self, user: &str, password: &str) -> Place {
        Place {
            reached: Reached::Tls {
                host: "localhost".into(),
                port: self.port,
                roots: Some(self.root.as_bytes().into()),
            },
            user: (!user.is_empty()).then(|| user.into()),
            password: Some(password.into()),
            name: "rediss://localhost".into(),
            ..self.server.place("edge")
        }
    }
}

#[tokio::test]
async fn over_tls_a_user_is_known_by_the_password_and_only_then() {
    let secured = Secured::start();
    let at = |place| Store::on(Redis::at(place).unwrap());
    let store = at(secured.place("onedoor", "secret"));
    ready(&store).await;
    let put = |store: Store, bytes: &'static [u8]| async move {
        let written = store.put(&key("a"), bytes, &When::Always, None).await;
        written.map(drop)
    };
    put(store.clone(), b"x").await.unwrap();
    assert_eq!(content(&store, "a").await.as_deref(), Some(&b"x"[..]));
    let nameless = at(secured.place("", "other"));
    assert_eq!(content(&nameless, "a").await.as_deref(), Some(&b"x"[..]));
    for (user, password) in [("onedoor", "secreT"), ("", "secret"), ("nobody", "secret")] {
        let error = put(at(secured.place(user, password)), b"y").await;
        let error = error.unwrap_err();
        assert!(!error.is_outage());
        let error = error.to_string();
        assert!(
            error.contains("rediss://localhost turns us away"),
            "{error}"
        );
        assert!(!error.contains("secre"), "{error}");
    }
    let mut unnamed = secured.place("", "");
    unnamed.password = None;
    let unnamed = at(unnamed);
    let long = unnamed.lease(&key("work"), LASTS).await.unwrap_err();
    let short = unnamed.list("").await.unwrap_err();
    let longest = put(unnamed, b"y").await.unwrap_err();
    for error in [long, short, longest] {
        assert!(!error.is_outage());
        let error = error.to_string();
        assert!(error.contains("turns us away: put user and"), "{error}");
    }
    let elsewhere = Place {
        prefix: "other".into(),
        ..secured.place("onedoor", "secret")
    };
    let error = put(at(elsewhere), b"y").await.unwrap_err().to_string();
    assert!(error.contains("`~{other}:* &{other}:* +@read"), "{error}");
    assert!(error.contains("the keys and the channel"), "{error}");
    for allowed in ALLOWED {
        let advised = allowed.replace("edge", "other");
        assert!(error.contains(&advised), "{advised}: {error}");
    }
}

#[tokio::test]
async fn a_user_who_is_allowed_what_is_advised_may_do_everything() {
    let secured = Secured::start();
    let store = || Store::on(Redis::at(secured.place("onedoor", "secret")).unwrap());
    let (one, other) = (store(), store());
    ready(&one).await;
    let mut lease = one.lease(&key("work"), LASTS).await.unwrap().unwrap();
    lease.renew().await.unwrap();
    let writing = async {
        loop {
            let (name, when) = (key("a"), When::Always);
            let put = one.put(&name, b"x", &when, Some(&lease));
            put.await.unwrap();
            tokio::time::sleep(STEP).await;
        }
    };
    tokio::select! {
        () = writing => {}
        heard = tokio::time::timeout(PATIENCE, other.hint()) => heard.unwrap(),
    }
    let (changed, _mark) = other.changed("", &Mark::default()).await.unwrap();
    assert_eq!(changed, [key("a")]);
    one.delete(&key("a"), &When::Always, Some(&lease))
        .await
        .unwrap();
    drop(lease);
    assert!(one.lease(&key("work"), LASTS).await.unwrap().is_some());
}

#[tokio::test]
async fn a_server_of_an_unknown_authority_is_not_trusted() {
    let secured = Secured::start();
    ready(&Store::on(Redis::at(secured.place("", "other")).unwrap())).await;
    let Reached::Tls { host, port, .. } = secured.place("", "other").reached else {
        panic!("TLS");
    };
    let place = |reached| Place {
        reached,
        ..secured.place("", "other")
    };
    let stranger = place(Reached::Tls {
        host,
        port,
        roots: None,
    });
    let misnamed = place(Reached::Tls {
        host: "127.0.0.2".into(),
        port,
        roots: Some(secured.root.as_bytes().into()),
    });
    for place in [stranger, misnamed] {
        let store = Store::on(Redis::at(place).unwrap());
        let error = store.get(&key("a")).await.unwrap_err();
        let cause = error.source().unwrap().to_string();
        let error = error.to_string();
        assert!(error.contains("`roots`"), "{error}: {cause}");
    }
}

/// Writes a certificate for `localhost` and its key; gives the root.
fn certify(folder: &Path) -> String {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, "a root of a test");
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let leaf_key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let leaf = leaf.signed_by(&leaf_key, &issuer).unwrap();
    let write = |name: &str, text: &str| {
        let mut file = File::create(folder.join(name)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    };
    write("ca.pem", &issuer.pem());
    write("cert.pem", &leaf.pem());
    write("key.pem", &leaf_key.serialize_pem());
    issuer.pem()
}

/// Nobody else has it at this moment.
pub(super) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

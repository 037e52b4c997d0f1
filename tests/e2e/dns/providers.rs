//! Challenges in DNS by ways that are not DNS: a script, and the interfaces of two providers.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use onedoor::certs::dns::acme_dns::{AcmeDns, AcmeDnsOptions};
use onedoor::certs::dns::cloudflare::{Cloudflare, CloudflareOptions};
use onedoor::certs::dns::error::DnsError;
use onedoor::certs::dns::exec::{Exec, ExecOptions};
use onedoor::certs::dns::secret::Secret;
use onedoor::certs::dns::{Publisher, challenge_name};
use serde_json::{Value, json};

use super::{NAME, NS};
use crate::support::PATIENCE;
use crate::support::backend::{Backend, Seen, ok};
use crate::support::dns::Knot;

#[tokio::test]
async fn a_script_is_called_as_by_lego() {
    let knot = Knot::serving(&[("a.test", NS)]);
    let folder = tempfile::tempdir().unwrap();
    let calls = folder.path().join("calls");
    let text = format!("echo \"$#:$1:$2:$3\" >> {}", calls.display());
    let publisher = script(folder.path(), &text, PATIENCE);
    let value = "-leading_hyphen";
    let published = publisher.publish(&knot.resolver(), NAME, value).await;
    publisher.withdraw(&published.unwrap()).await.unwrap();
    assert_eq!(
        fs::read_to_string(calls).unwrap(),
        format!("3:present:{NAME}:{value}\n3:cleanup:{NAME}:{value}\n")
    );
}

#[tokio::test]
async fn a_failing_script_is_quoted() {
    let knot = Knot::serving(&[("a.test", NS)]);
    let resolver = knot.resolver();
    let folder = tempfile::tempdir().unwrap();
    let failure = async |publisher: Publisher| {
        let error = publisher.publish(&resolver, NAME, "v").await.unwrap_err();
        error.to_string()
    };
    let loud = "echo no token; echo at all >&2; head -c 100000 /dev/zero | tr '\\0' x; exit 3";
    let said = failure(script(folder.path(), loud, PATIENCE)).await;
    let expected = format!(
        "program present {NAME} …` ended with exit status: 3, and said: no token\nat all\nxxx"
    );
    assert!(said.contains(&expected), "{said}");
    assert!(said.len() < 5000, "{}", said.len());

    let missing = Publisher::Exec(Exec::new(ExecOptions {
        arguments: Vec::new(),
        program: folder.path().join("nothing"),
        patience: PATIENCE,
    }));
    let said = failure(missing).await;
    assert!(
        said.contains("could not be started: No such file"),
        "{said}"
    );
}

#[tokio::test]
async fn a_slow_script_is_killed_with_all_it_started() {
    let knot = Knot::serving(&[("a.test", NS)]);
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let text = format!("(echo began; sleep 60) > {} & wait", pipe.display());
    let (ended, end) = channel();
    // Reading ends when nobody is left who could write.
    thread::spawn(move || ended.send(fs::read_to_string(pipe).unwrap()));
    let publisher = script(folder.path(), &text, Duration::from_secs(3));
    let error = publisher.publish(&knot.resolver(), NAME, "v").await;
    let said = error.unwrap_err().to_string();
    assert!(said.contains("was killed after 3 s"), "{said}");
    assert_eq!(end.recv_timeout(PATIENCE).unwrap(), "began\n");
}

fn script(folder: &Path, text: &str, patience: Duration) -> Publisher {
    let program: PathBuf = folder.join("program");
    fs::write(&program, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
    Publisher::Exec(Exec::new(ExecOptions {
        program,
        arguments: Vec::new(),
        patience,
    }))
}

#[tokio::test]
async fn acme_dns_is_told_the_value_for_its_subdomain() {
    let delegated = "_acme-challenge.www CNAME d420c923.auth\nauth NS ns1\n";
    let records = format!("{NS}{delegated}");
    let knot = Knot::serving(&[("a.test", &records), ("auth.a.test", NS)]);
    let server = Backend::http(|request| match request.field("x-api-key") {
        Some("good key") => ok(r#"{"txt": "v"}"#),
        _ => answer(401, &json!({"error": "forbidden"})),
    });
    let account = |key| {
        Publisher::AcmeDns(AcmeDns::new(AcmeDnsOptions {
            url: format!("http://{}/", server.address),
            user: "user-1".into(),
            key: Secret::new(key),
            subdomain: "D420C923".into(),
        }))
    };
    let resolver = knot.resolver();
    let published = account("good key").publish(&resolver, NAME, "v").await;
    let published = published.unwrap();
    assert_eq!(published.record(), "d420c923.auth.a.test.");
    let request = server.only();
    assert_eq!(request.line(), "POST /update HTTP/1.1");
    assert_eq!(request.field("x-api-user"), Some("user-1"));
    assert_eq!(request.field("content-type"), Some("application/json"));
    assert_eq!(body(&request), json!({"subdomain": "D420C923", "txt": "v"}));
    account("good key").withdraw(&published).await.unwrap();

    let refused = account("bad key").publish(&resolver, NAME, "v").await;
    let said = refused.unwrap_err().to_string();
    assert!(
        said.contains("answered 401") && said.contains("forbidden"),
        "{said}"
    );
    assert!(!said.contains("bad key"), "{said}");

    let elsewhere = challenge_name("a.test");
    let refused = account("good key")
        .publish(&resolver, &elsewhere, "v")
        .await;
    let said = refused.unwrap_err().to_string();
    assert!(said.contains("add a CNAME from it to `D420C923`"), "{said}");
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn cloudflare_creates_in_the_longest_zone_and_deletes_by_id() {
    let knot = Knot::serving(&[("a.test", NS)]);
    let server = Backend::http(cloudflare);
    let account = |token| {
        Publisher::Cloudflare(Cloudflare::new(CloudflareOptions {
            zone: None,
            token: Secret::new(token),
            base: format!("http://{}/client/v4", server.address),
        }))
    };
    let resolver = knot.resolver();
    let publisher = account("good");
    let published = publisher.publish(&resolver, NAME, "v").await.unwrap();
    publisher.withdraw(&published).await.unwrap();
    // What an earlier process left is taken over.
    let left = publisher.publish(&resolver, NAME, "left").await.unwrap();
    publisher.withdraw(&left).await.unwrap();
    let calls: Vec<String> = server.seen().iter().map(call).collect();
    let relative = NAME.trim_end_matches('.');
    let zones = [
        format!("GET /client/v4/zones?name={relative}"),
        "GET /client/v4/zones?name=www.a.test".into(),
        "GET /client/v4/zones?name=a.test".into(),
    ];
    let records = "/client/v4/zones/zone-1/dns_records";
    let first = [
        format!("POST {records}"),
        format!("DELETE {records}/record-7"),
    ];
    let second = [
        format!("POST {records}"),
        format!("GET {records}?type=TXT&name={relative}&per_page=100"),
        format!("DELETE {records}/record-5"),
    ];
    assert_eq!(calls, [&zones[..], &first, &zones, &second].concat(),);
    let created = server
        .seen()
        .into_iter()
        .find(|seen| seen.line().starts_with("POST"));
    assert_eq!(
        body(&created.unwrap()),
        json!({"type": "TXT", "name": relative, "content": "\"v\"", "ttl": 60})
    );

    let refused = account("bad").publish(&resolver, NAME, "v").await;
    let error = refused.unwrap_err();
    assert!(matches!(&error, DnsError::Provider { answer, .. } if answer.contains("10000")));
    assert!(
        error
            .to_string()
            .ends_with("check `token`: it needs `Zone: Read` and `DNS: Edit` for the zone")
    );
}

fn cloudflare(request: &Seen) -> Vec<u8> {
    if request.field("authorization") != Some("Bearer good") {
        let errors = json!([{"code": 10000, "message": "Authentication error"}]);
        return answer(
            403,
            &json!({"success": false, "errors": errors, "result": null}),
        );
    }
    let done = |result: Value| {
        answer(
            200,
            &json!({"success": true, "errors": [], "result": result}),
        )
    };
    let line = request.line();
    if line.starts_with("GET /client/v4/zones?") {
        let ours = line.contains("name=a.test ");
        return done(if ours {
            json!([{"id": "zone-1"}])
        } else {
            json!([])
        });
    }
    match line.split(' ').next() {
        Some("POST") if body(request)["content"] == "\"left\"" => {
            let errors = json!([{"code": 81058, "message": "An identical record already exists."}]);
            answer(
                400,
                &json!({"success": false, "errors": errors, "result": null}),
            )
        }
        Some("POST") => done(json!({"id": "record-7"})),
        Some("GET") => done(json!([
            {"id": "record-4", "content": "\"other\""},
            {"id": "record-5", "content": "\"left\""},
        ])),
        _ => done(json!({"id": "gone"})),
    }
}

fn call(request: &Seen) -> String {
    request.line().trim_end_matches(" HTTP/1.1").to_owned()
}

fn body(request: &Seen) -> Value {
    serde_json::from_slice(&request.body).unwrap()
}

fn answer(status: u16, body: &Value) -> Vec<u8> {
    let text = body.to_string();
    let length = text.len();
    format!("HTTP/1.1 {status} Said\r\nContent-Length: {length}\r\n\r\n{text}").into_bytes()
}

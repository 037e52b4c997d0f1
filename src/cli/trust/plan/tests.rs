use super::*;
use crate::cli::trust::store::Store::Nss;

const CERTIFICATE: &str = "/data/trust/onedoor-00000000.crt";

fn mark() -> Mark {
    let mut mark = Mark::from_sha256(&"0".repeat(64));
    mark.sha1 = Some("ab".repeat(20));
    mark
}

fn wish(person: Person) -> Wish {
    Wish {
        person,
        home: Some("/home/ana".into()),
        mark: mark(),
        certificate: CERTIFICATE.into(),
        keychain: Keychain::Login,
        java: Asked::Not,
    }
}

fn user() -> Person {
    let sudo = Some("sudo".to_owned());
    Person::User { sudo }
}

fn system(anchors: Anchors, updater: &[&str], holds: Holds) -> Store {
    let updater = updater.iter().map(|word| (*word).to_owned()).collect();
    Store::System {
        anchors,
        updater: Some(updater),
        holds,
    }
}

fn chromium(there: There, holds: Holds) -> Store {
    Nss(DataBase {
        browser: Browser::Chromium,
        folder: "/home/ana/.pki/nssdb".into(),
        there,
        holds,
    })
}

fn java(owner: Owner, fed: Fed) -> Store {
    Store::Java(Java {
        keytool: "/jvm/bin/keytool".into(),
        keystore: "/jvm/lib/security/cacerts".into(),
        owner,
        fed,
        holds: Holds::Nothing,
    })
}

fn shell(steps: &[Step]) -> Vec<String> {
    let lines = steps.iter().flat_map(|step| &step.lines);
    lines.map(Line::shell).collect()
}

#[test]
fn every_distribution_takes_a_root_in_its_own_way() {
    #[track_caller]
    fn check(anchors: Anchors, updater: &[&str], file: &str, update: &str) {
        let plan = Plan::of(&[system(anchors, updater, Holds::Nothing)], &wish(user()));
        let copy = format!("sudo tee {file} < {CERTIFICATE}");
        let open = format!("sudo chmod 644 {file}");
        assert_eq!(shell(&plan.steps), [copy, open, format!("sudo {update}")]);
        let laid: Vec<&Laid> = plan.laid().collect();
        let place = Place::Anchor { file: file.into() };
        assert_eq!(laid, [&Laid::new(&mark(), place)]);
    }
    check(
        Anchors::Debian,
        &["update-ca-certificates"],
        "/usr/local/share/ca-certificates/onedoor-00000000.crt",
        "update-ca-certificates",
    );
    check(
        Anchors::Fedora,
        &["update-ca-trust"],
        "/etc/pki/ca-trust/source/anchors/onedoor-00000000.crt",
        "update-ca-trust",
    );
    check(
        Anchors::Arch,
        &["trust", "extract-compat"],
        "/etc/ca-certificates/trust-source/anchors/onedoor-00000000.crt",
        "trust extract-compat",
    );
    check(
        Anchors::Suse,
        &["update-ca-certificates"],
        "/etc/pki/trust/anchors/onedoor-00000000.crt",
        "update-ca-certificates",
    );
}

#[test]
fn a_store_that_trusts_it_is_left_and_told() {
    let stores = [
        system(Anchors::Debian, &["x"], Holds::Ours),
        chromium(There::Made, Holds::Ours),
    ];
    let plan = Plan::of(&stores, &wish(user()));
    assert!(plan.is_empty());
    assert_eq!(plan.there.len(), 2);
}

#[test]
fn what_only_root_can_do_is_kept_for_root_where_nothing_makes_a_command_root_s() {
    let stores = [
        system(Anchors::Debian, &["update-ca-certificates"], Holds::Nothing),
        chromium(There::Made, Holds::Nothing),
    ];
    let plan = Plan::of(&stores, &wish(Person::User { sudo: None }));
    assert_eq!(plan.for_root.len(), 1);
    assert_eq!(shell(&plan.for_root)[2], "update-ca-certificates");
    assert_eq!(plan.steps.len(), 1);
    assert!(shell(&plan.steps)[0].starts_with("certutil -A "));
    assert_eq!(plan.laid().count(), 2);
}

#[test]
fn a_missing_tool_is_named_and_nothing_is_done_without_it() {
    let unknown = Holds::Unknown {
        why: "`certutil` is not installed".to_owned(),
        remedy: Some("sudo dnf install nss-tools".to_owned()),
    };
    let stores = [
        Store::System {
            anchors: Anchors::Fedora,
            updater: None,
            holds: Holds::Nothing,
        },
        chromium(There::Made, unknown),
        system(Anchors::Unknown, &[], Holds::Nothing),
    ];
    let plan = Plan::of(&stores, &wish(user()));
    assert!(plan.is_empty());
    let [updater, certutil, unknown, _firefox] = plan.left_out.as_slice() else {
        panic!("{plan:?}");
    };
    assert!(updater.what.contains("`update-ca-trust` is not installed"));
    assert_eq!(
        certutil.remedy.as_deref(),
        Some("sudo dnf install nss-tools")
    );
    assert!(unknown.what.contains("is not known here"));
}

#[test]
fn a_browser_that_is_not_there_is_named() {
    let system = system(Anchors::Debian, &["x"], Holds::Ours);
    let plan = Plan::of(&[system, chromium(There::Made, Holds::Ours)], &wish(user()));
    let [firefox] = plan.left_out.as_slice() else {
        panic!("{plan:?}");
    };
    assert!(firefox.what.starts_with("Firefox: it has no profile"));
}

#[test]
fn a_missing_data_base_is_made_and_that_is_remembered() {
    let missing = There::Missing("/home/ana/.pki".into());
    let plan = Plan::of(&[chromium(missing, Holds::Nothing)], &wish(user()));
    assert_eq!(
        shell(&plan.steps),
        [
            "mkdir -p -m 700 /home/ana/.pki/nssdb".to_owned(),
            "certutil -N --empty-password -d 'sql:/home/ana/.pki/nssdb'".to_owned(),
            format!(
                "certutil -A -d 'sql:/home/ana/.pki/nssdb' -t 'C,,' -n 'onedoor local CA 00000000' < {CERTIFICATE}"
            ),
        ]
    );
    let Some(Laid {
        place: Place::Nss { made, .. },
        ..
    }) = plan.laid().next()
    else {
        panic!("{plan:?}");
    };
    assert_eq!(made.as_deref(), Some(Path::new("/home/ana/.pki")));
}

#[test]
fn under_sudo_a_browser_s_data_base_stays_its_owner_s() {
    let by = ["runuser", "-u", "ana", "--"].map(str::to_owned).to_vec();
    let person = Person::RootFor { by };
    let stores = [
        system(Anchors::Debian, &["update-ca-certificates"], Holds::Nothing),
        chromium(There::Made, Holds::Another),
    ];
    let lines = shell(&Plan::of(&stores, &wish(person)).steps);
    assert!(lines[0].starts_with("tee "));
    assert!(lines[3].starts_with("runuser -u ana -- certutil -A "));
}

#[test]
fn java_is_changed_on_request_and_not_where_the_system_feeds_it() {
    let mut wish = wish(user());
    assert!(Plan::of(&[java(Owner::Root, Fed::ByHand)], &wish).is_empty());
    wish.java = Asked::For;
    let plan = Plan::of(&[java(Owner::Root, Fed::ByHand)], &wish);
    let words = "/jvm/bin/keytool -importcert -noprompt -keystore /jvm/lib/security/cacerts \
                 -storepass changeit -alias onedoor-00000000";
    assert_eq!(
        shell(&plan.steps),
        [format!("sudo {words} < {CERTIFICATE}")]
    );
    let plan = Plan::of(&[java(Owner::Us, Fed::ByHand)], &wish);
    assert_eq!(shell(&plan.steps), [format!("{words} < {CERTIFICATE}")]);
    let plan = Plan::of(&[java(Owner::Root, Fed::BySystem)], &wish);
    assert!(plan.is_empty());
    assert!(plan.left_out[0].what.contains("by itself"));
}

#[test]
fn what_the_system_lays_into_java_is_remembered_with_it() {
    let stores = [
        system(Anchors::Debian, &["update-ca-certificates"], Holds::Nothing),
        java(Owner::Root, Fed::BySystem),
    ];
    let plan = Plan::of(&stores, &wish(user()));
    let fed = Place::Java {
        keystore: "/jvm/lib/security/cacerts".into(),
        alias: "debian:onedoor-00000000.pem".to_owned(),
    };
    assert_eq!(plan.steps.len(), 1);
    assert!(plan.laid().any(|laid| laid.place == fed));
}

#[test]
fn macos_has_a_keychain_for_each_and_one_for_all() {
    let stores = |system: Holds| {
        [
            Store::System {
                anchors: Anchors::Keychain,
                updater: None,
                holds: system,
            },
            Store::SystemKeychain {
                holds: Holds::Nothing,
            },
        ]
    };
    let mut wish = wish(user());
    let login = Plan::of(&stores(Holds::Nothing), &wish);
    assert_eq!(
        shell(&login.steps),
        [format!(
            "security add-trusted-cert -r trustRoot -k /home/ana/Library/Keychains/login.keychain-db {CERTIFICATE}"
        )]
    );
    assert!(Plan::of(&stores(Holds::Ours), &wish).is_empty());
    wish.keychain = Keychain::System;
    // The login keychain has it, and that is not what was asked for.
    let system = Plan::of(&stores(Holds::Ours), &wish);
    assert_eq!(
        shell(&system.steps),
        [format!(
            "sudo security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain {CERTIFICATE}"
        )]
    );
}

#[test]
fn firefox_on_macos_is_left_to_itself() {
    let firefox = Nss(DataBase {
        browser: Browser::Firefox,
        folder: "/home/ana/Library/Application Support/Firefox/Profiles/x".into(),
        there: There::Made,
        holds: Holds::Nothing,
    });
    assert_eq!(
        Plan::of(std::slice::from_ref(&firefox), &wish(user()))
            .steps
            .len(),
        1
    );
    let keychain = Store::SystemKeychain { holds: Holds::Ours };
    let plan = Plan::of(&[keychain, firefox], &wish(user()));
    assert!(plan.is_empty() && plan.left_out.len() == 1);
}

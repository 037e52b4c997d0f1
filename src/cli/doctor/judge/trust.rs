//! Whether clients on this machine trust the local CA, store by store. The system's trust is never said to be a browser's.

use crate::cli::doctor::finding::{Finding, Status};
use crate::system::System;

/// What our root is called in stores that want a name.
pub(in crate::cli::doctor) const NICKNAME: &str = "onedoor local CA";

/// How this system's store takes in a root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli::doctor) enum Anchors {
    Debian,
    Fedora,
    Arch,
    Suse,
    Keychain,
    Unknown,
}

/// A store and whether our root is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli::doctor) enum Store {
    System {
        anchors: Anchors,
        holds: Holds,
    },
    /// A data base of NSS, by its folder as a shell takes it, and whose it is.
    Nss {
        owner: String,
        folder: String,
        holds: Holds,
    },
    /// There is a Node here; whether its environment names our root.
    Node {
        holds: Holds,
    },
    Java,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli::doctor) enum Holds {
    Ours,
    Nothing,
    /// A root of this name, but another one.
    Another,
    /// Why it cannot be said, and what would help.
    Unknown {
        why: String,
        remedy: Option<String>,
    },
}

/// `root` is our root's file, as a shell takes it.
pub(in crate::cli::doctor) fn judge(store: &Store, root: &str, system: System) -> Finding {
    match store {
        Store::System { anchors, holds } => judged(
            "trust-system",
            "the system's store",
            holds,
            &into_system(*anchors, root),
        ),
        Store::Nss { owner, folder, holds } => {
            let add = format!("certutil -A -d sql:{folder} -t C,, -n '{NICKNAME}' -i {root}");
            let fix = match holds {
                Holds::Another => {
                    format!("certutil -D -d sql:{folder} -n '{NICKNAME}' && {add}")
                }
                Holds::Ours | Holds::Nothing | Holds::Unknown { .. } => add,
            };
            let what = format!("{owner} ({folder})");
            let found = judged(&format!("trust-nss-{folder}"), &what, holds, &fix);
            firefox_by_itself(found, owner, holds, system)
        }
        Store::Node { holds: Holds::Ours } => {
            Finding::new("trust-node", Status::Ok, "Node trusts the local CA in this shell")
        }
        Store::Node { .. } => Finding::new(
            "trust-node",
            Status::Unknown,
            "Node has roots of its own, and trusts the local CA only where it is told to",
        )
        .fix(format!("export NODE_EXTRA_CA_CERTS={root}")),
        Store::Java => Finding::new(
            "trust-java",
            Status::Unknown,
            "Java has a store of its own, which was not looked into",
        )
        .fix(format!(
            "sudo keytool -importcert -noprompt -cacerts -storepass changeit -alias onedoor -file {root}"
        )),
    }
}

/// Firefox takes the system's roots by itself there.
fn firefox_by_itself(found: Finding, owner: &str, holds: &Holds, system: System) -> Finding {
    if system != System::Darwin || owner != "Firefox" || *holds != Holds::Nothing {
        return found;
    }
    Finding::new(
        found.id,
        Status::Ok,
        format!("{owner} takes the system's roots from version 120 on"),
    )
}

fn judged(id: &str, store: &str, holds: &Holds, fix: &str) -> Finding {
    match holds {
        Holds::Ours => Finding::new(id, Status::Ok, format!("{store} trusts the local CA")),
        Holds::Nothing => Finding::new(
            id,
            Status::Warning,
            format!("{store} does not trust the local CA"),
        )
        .fix(fix),
        Holds::Another => Finding::new(
            id,
            Status::Warning,
            format!("{store} trusts another root of onedoor, not this one"),
        )
        .fix(fix),
        Holds::Unknown { why, remedy } => Finding::new(
            id,
            Status::Unknown,
            format!("whether {store} trusts the local CA is not known"),
        )
        .detail(why)
        .fix(remedy.as_deref().unwrap_or(fix)),
    }
}

fn into_system(anchors: Anchors, root: &str) -> String {
    let copy = |folder: &str, update: &str| {
        format!("sudo cp {root} {folder}/onedoor.crt && sudo {update}")
    };
    match anchors {
        Anchors::Debian => copy("/usr/local/share/ca-certificates", "update-ca-certificates"),
        Anchors::Fedora => copy("/etc/pki/ca-trust/source/anchors", "update-ca-trust"),
        Anchors::Suse => copy("/etc/pki/trust/anchors", "update-ca-certificates"),
        Anchors::Arch => format!("sudo trust anchor --store {root}"),
        Anchors::Keychain => format!(
            "security add-trusted-cert -r trustRoot -k ~/Library/Keychains/login.keychain-db {root}"
        ),
        Anchors::Unknown => format!("trust anchor --store {root}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = "/data/local-ca/root.pem";

    #[test]
    fn a_missing_root_comes_with_the_command_of_its_store() {
        #[track_caller]
        fn check(anchors: Anchors, expected: &str) {
            let store = Store::System {
                anchors,
                holds: Holds::Nothing,
            };
            let finding = judge(&store, ROOT, System::Linux);
            assert_eq!(finding.status, Status::Warning);
            assert!(finding.fix.unwrap().contains(expected));
        }
        check(Anchors::Debian, "&& sudo update-ca-certificates");
        check(
            Anchors::Fedora,
            "/etc/pki/ca-trust/source/anchors/onedoor.crt",
        );
        check(Anchors::Arch, "sudo trust anchor --store /data");
        check(Anchors::Suse, "/etc/pki/trust/anchors");
        check(Anchors::Keychain, "security add-trusted-cert -r trustRoot");
    }

    #[test]
    fn a_browsers_data_base_is_judged_by_itself() {
        let nss = |owner: &str, holds| Store::Nss {
            owner: owner.to_owned(),
            folder: "/home/ana/.pki/nssdb".to_owned(),
            holds,
        };
        let absent = judge(&nss("Chromium", Holds::Nothing), ROOT, System::Linux);
        assert!(
            absent
                .fix
                .unwrap()
                .starts_with("certutil -A -d sql:/home/ana")
        );
        let old = judge(&nss("Chromium", Holds::Another), ROOT, System::Linux);
        assert!(old.fix.unwrap().starts_with("certutil -D "));
        let unknown = Holds::Unknown {
            why: "`certutil` is not installed".to_owned(),
            remedy: Some("sudo apt-get install libnss3-tools".to_owned()),
        };
        let unknown = judge(&nss("Firefox", unknown), ROOT, System::Linux);
        assert_eq!(unknown.status, Status::Unknown);
        assert_eq!(unknown.fix.unwrap(), "sudo apt-get install libnss3-tools");
        let mac = judge(&nss("Firefox", Holds::Nothing), ROOT, System::Darwin);
        assert_eq!(mac.status, Status::Ok);
    }

    #[test]
    fn node_and_java_are_never_called_trusting_without_proof() {
        let node = Store::Node {
            holds: Holds::Nothing,
        };
        assert_eq!(judge(&node, ROOT, System::Linux).status, Status::Unknown);
        assert_eq!(
            judge(&Store::Java, ROOT, System::Linux).status,
            Status::Unknown
        );
    }
}

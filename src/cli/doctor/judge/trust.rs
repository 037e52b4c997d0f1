//! Whether clients on this machine trust the local CA, store by store. The system's trust is never said to be a browser's.

use crate::cli::doctor::finding::{Finding, Status};
use crate::cli::trust::store::{Browser, DataBase, Holds, Store};
use crate::system::System;

/// `root` is our root's file, and `trust` the verb that lays it down, both as a shell takes them.
pub(in crate::cli::doctor) fn judge(
    store: &Store,
    root: &str,
    trust: &str,
    system: System,
) -> Finding {
    match store {
        Store::System { holds, .. } => judged("trust-system", "the system's store", holds, trust),
        Store::SystemKeychain { holds } => judged(
            "trust-system-keychain",
            "the keychain of the system",
            holds,
            trust,
        ),
        Store::Nss(data_base) => {
            let folder = data_base.folder.display();
            let what = format!("{} ({folder})", data_base.browser.name());
            let found = judged(
                &format!("trust-nss-{folder}"),
                &what,
                &data_base.holds,
                trust,
            );
            firefox_by_itself(found, data_base, system)
        }
        Store::Node { holds: Holds::Ours } => Finding::new(
            "trust-node",
            Status::Ok,
            "Node trusts the local CA in this shell",
        ),
        Store::Node { .. } => Finding::new(
            "trust-node",
            Status::Unknown,
            "Node has roots of its own, and trusts the local CA only where it is told to",
        )
        .fix(format!("export NODE_EXTRA_CA_CERTS={root}")),
        Store::Java(_) => Finding::new(
            "trust-java",
            Status::Unknown,
            "Java has a store of its own, which was not looked into",
        )
        .fix(format!("{trust} --java")),
    }
}

/// Firefox takes the system's roots by itself there.
fn firefox_by_itself(found: Finding, data_base: &DataBase, system: System) -> Finding {
    let is_firefox = data_base.browser == Browser::Firefox;
    if system != System::Darwin || !is_firefox || data_base.holds != Holds::Nothing {
        return found;
    }
    Finding::new(
        found.id,
        Status::Ok,
        "Firefox takes the system's roots from version 120 on",
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::trust::store::{Anchors, Fed, Java, Owner, There};

    const ROOT: &str = "/data/local-ca/root.pem";
    const TRUST: &str = "onedoor trust";

    fn nss(browser: Browser, holds: Holds) -> Store {
        Store::Nss(DataBase {
            browser,
            folder: "/home/ana/.pki/nssdb".into(),
            there: There::Made,
            holds,
        })
    }

    #[test]
    fn a_missing_root_comes_with_the_verb_that_lays_it_down() {
        let system = Store::System {
            anchors: Anchors::Debian,
            updater: None,
            holds: Holds::Nothing,
        };
        for store in [system, nss(Browser::Chromium, Holds::Nothing)] {
            let finding = judge(&store, ROOT, TRUST, System::Linux);
            assert_eq!(finding.status, Status::Warning);
            assert_eq!(finding.fix.unwrap(), TRUST);
        }
    }

    #[test]
    fn a_browsers_data_base_is_judged_by_itself() {
        let old = nss(Browser::Chromium, Holds::Another);
        let old = judge(&old, ROOT, TRUST, System::Linux);
        assert!(old.what.contains("another root of onedoor"));
        let unknown = Holds::Unknown {
            why: "`certutil` is not installed".to_owned(),
            remedy: Some("sudo apt-get install libnss3-tools".to_owned()),
        };
        let unknown = nss(Browser::Firefox, unknown);
        let unknown = judge(&unknown, ROOT, TRUST, System::Linux);
        assert_eq!(unknown.status, Status::Unknown);
        assert_eq!(unknown.fix.unwrap(), "sudo apt-get install libnss3-tools");
        let firefox = nss(Browser::Firefox, Holds::Nothing);
        let mac = judge(&firefox, ROOT, TRUST, System::Darwin);
        assert_eq!(mac.status, Status::Ok);
    }

    #[test]
    fn node_and_java_are_never_called_trusting_without_proof() {
        let node = Store::Node {
            holds: Holds::Nothing,
        };
        let node = judge(&node, ROOT, TRUST, System::Linux);
        assert_eq!(node.status, Status::Unknown);
        let java = Store::Java(Java {
            keytool: "/usr/bin/keytool".into(),
            keystore: "/usr/lib/jvm/cacerts".into(),
            owner: Owner::Root,
            fed: Fed::ByHand,
            holds: Holds::Nothing,
        });
        let java = judge(&java, ROOT, TRUST, System::Linux);
        assert_eq!(java.status, Status::Unknown);
        assert_eq!(java.fix.unwrap(), "onedoor trust --java");
    }
}

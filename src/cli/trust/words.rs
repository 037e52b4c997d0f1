//! What people read before and after: the root, what will be done, and who trusts it then. No store is said to be another's: what
//! the system trusts, a browser may not.

use std::collections::BTreeMap;

use super::place::{Found, Seen};
use super::plan::Plan;
use super::root::Root;
use super::step::Step;
use super::store::{Anchors, Browser, Fed, Holds, Store};
use crate::certs::utc::minute;

/// The root, as people compare it.
pub(super) fn introduction(root: &Root, storage: &str) -> String {
    let scope = match root.scope() {
        Some(scope) if !scope.is_everything() => format!(
            "clients accept nothing from it but {scope}, and loopback and private addresses"
        ),
        Some(_) | None => {
            "it may sign for every name: whoever has its key can pretend to be anybody".to_owned()
        }
    };
    let until = root.not_after().map(minute).unwrap_or_default();
    let fingerprint = root.mark.fingerprint();
    format!(
        "the local CA of {storage}\n  SHA-256  {fingerprint}\n  scope    {scope}\n  until    {until}\n"
    )
}

/// Every command as it will be run, and what is left as it is. `done` is said of those that need nothing.
pub(super) fn announcement(plan: &Plan, done: &str) -> String {
    let mut text = String::new();
    if !plan.steps.is_empty() {
        text.push_str("\nto be done:\n");
        text.push_str(&steps(&plan.steps));
    }
    if !plan.for_root.is_empty() {
        text.push_str("\nonly root can do this, and there is no `sudo` here:\n");
        text.push_str(&steps(&plan.for_root));
    }
    if !plan.there.is_empty() {
        text.push_str(&format!("\n{done}:\n"));
        for store in &plan.there {
            text.push_str(&format!("  {store}\n"));
        }
    }
    if !plan.left_out.is_empty() {
        text.push_str("\nleft as they are:\n");
        for left in &plan.left_out {
            text.push_str(&format!("  {}\n", left.what));
            if let Some(remedy) = &left.remedy {
                text.push_str(&format!("    try:  {remedy}\n"));
            }
        }
    }
    text
}

fn steps(steps: &[Step]) -> String {
    let mut text = String::new();
    for step in steps {
        text.push_str(&format!("  {}\n", step.store));
        for line in &step.lines {
            text.push_str(&format!("    {}\n", line.shell()));
        }
    }
    text
}

/// Who trusts it now, and who needs something else. `file` has it, as a shell takes it.
pub(super) fn result(stores: &[Store], file: &str) -> String {
    let mut text = String::new();
    let mut browsers = Vec::new();
    for store in stores {
        let trusts = *store.holds() == Holds::Ours;
        match store {
            Store::System { anchors, .. } if trusts => text.push_str(by_system(*anchors)),
            Store::System { .. } => text.push_str("the system does not trust it\n"),
            Store::Nss(data_base) if trusts => browsers.push(data_base.browser),
            Store::Node { .. } if !trusts => text.push_str(&format!(
                "Node has roots of its own:    export NODE_EXTRA_CA_CERTS={file}\n"
            )),
            Store::Java(_) if trusts => text.push_str("Java trusts it\n"),
            Store::Java(java) if java.fed == Fed::ByHand => {
                text.push_str("Java has roots of its own:    onedoor trust --java\n");
            }
            Store::SystemKeychain { .. } | Store::Nss(_) | Store::Node { .. } | Store::Java(_) => {}
        }
    }
    for browser in [Browser::Chromium, Browser::Firefox] {
        if browsers.contains(&browser) {
            let name = browser.name();
            text.push_str(&format!(
                "{name} trusts it: one that runs must be started again\n"
            ));
        }
    }
    text.push_str(
        "programs that take one file of roots, as many of Python's:    onedoor trust --bundle > ca.pem; export SSL_CERT_FILE=$PWD/ca.pem\n",
    );
    text
}

fn by_system(anchors: Anchors) -> &'static str {
    match anchors {
        Anchors::Keychain => {
            "macOS trusts it, and with it what asks macOS; for a browser that does not: onedoor trust --system\n"
        }
        Anchors::Debian | Anchors::Fedora | Anchors::Arch | Anchors::Suse | Anchors::Unknown => {
            "the system trusts it, and with it what reads the system's roots, as curl and git do; browsers here have roots of their own\n"
        }
    }
}

/// Roots of ours that were trusted before this one and still are.
pub(super) fn former(seen: &[Seen]) -> String {
    let mut stores: BTreeMap<&str, String> = BTreeMap::new();
    for one in seen {
        match one.found {
            Found::Ours | Found::OursAlone | Found::TakenUp => {}
            Found::Nothing | Found::Another | Found::Unknown(_) => continue,
        }
        let of_root = stores.entry(&one.laid.root).or_default();
        of_root.push_str(&format!("  {}\n", one.laid.place.name()));
    }
    let told = |(root, stores): (&str, String)| {
        format!(
            "\na former root is still trusted by:\n{stores}    to end that:  onedoor untrust --fingerprint {root}\n"
        )
    };
    stores.into_iter().map(told).collect()
}

/// Stores that trust it although nothing that is known of ours is there.
pub(super) fn others(stores: &[Store]) -> String {
    let mut text = String::new();
    for store in stores.iter().filter(|store| *store.holds() == Holds::Ours) {
        let name = match store {
            Store::System { .. } => "the system's store".to_owned(),
            Store::SystemKeychain { .. } => "the keychain of the system".to_owned(),
            Store::Nss(data_base) => {
                format!(
                    "{} ({})",
                    data_base.browser.name(),
                    data_base.folder.display()
                )
            }
            Store::Node { .. } => "Node, by NODE_EXTRA_CA_CERTS,".to_owned(),
            Store::Java(java) => format!("Java ({})", java.keystore.display()),
        };
        text.push_str(&format!(
            "note: {name} trusts the local CA, and `onedoor trust` did not do that\n"
        ));
    }
    text
}

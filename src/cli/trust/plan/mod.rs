//! From what is known of a machine to what would have every store trust a root. Nothing is done here.

use std::path::{Path, PathBuf};

use super::place::{Laid, Place};
use super::places::Keychain;
use super::root::Mark;
use super::step::{Line, Person, Step};
use super::store::{Anchors, Browser, DataBase, Fed, Holds, Java, Owner, Store, There};

/// The password of every Java's own roots, unless somebody changed it.
pub(super) const JAVA_PASSWORD: &str = "changeit";

/// What the decision depends on beside the stores.
#[derive(Debug, Clone)]
pub(super) struct Wish {
    pub(super) person: Person,
    /// The home of whoever's stores are meant.
    pub(super) home: Option<PathBuf>,
    pub(super) mark: Mark,
    /// Where the certificate lies as long as it is remembered.
    pub(super) certificate: PathBuf,
    pub(super) keychain: Keychain,
    pub(super) java: Asked,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    For,
    Not,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) steps: Vec<Step>,
    /// For root, which this user is not, and nothing here makes it.
    pub(super) for_root: Vec<Step>,
    /// Stores that are as they should be.
    pub(super) there: Vec<String>,
    pub(super) left_out: Vec<LeftOut>,
}

/// A store that is left as it is, and what would help.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LeftOut {
    pub(super) what: String,
    pub(super) remedy: Option<String>,
}

impl Plan {
    pub(super) fn of(stores: &[Store], wish: &Wish) -> Self {
        let mut plan = Self::default();
        let has_keychain = |store: &Store| matches!(store, Store::SystemKeychain { .. });
        let of_macos = stores.iter().any(has_keychain);
        for store in stores {
            match store {
                Store::System {
                    anchors: Anchors::Keychain,
                    holds,
                    ..
                } => plan.keychain(holds, stores, wish),
                Store::System {
                    anchors,
                    updater,
                    holds,
                } => match holds {
                    Holds::Ours => plan.there.push(system(*anchors)),
                    Holds::Nothing | Holds::Another | Holds::Unknown { .. } => {
                        plan.system(*anchors, updater.as_deref(), stores, wish);
                    }
                },
                Store::Nss(data_base) if data_base.browser == Browser::Firefox && of_macos => {
                    let name = data_base.place(&wish.mark).name();
                    let why = "it takes the system's roots by itself, from version 120 on";
                    plan.leave(format!("{name}: {why}"), None);
                }
                Store::Nss(data_base) => plan.data_base(data_base, wish),
                Store::Java(java) if wish.java == Asked::For => plan.java(java, wish),
                Store::SystemKeychain { .. } | Store::Java(_) | Store::Node { .. } => {}
            }
        }
        if !of_macos {
            plan.leave_absent(stores);
        }
        plan
    }

    /// Whether nothing is to be done, by anybody.
    pub(super) fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.for_root.is_empty()
    }

    /// What lies where once everybody has done their part.
    pub(super) fn laid(&self) -> impl Iterator<Item = &Laid> {
        let steps = self.steps.iter().chain(&self.for_root);
        steps.flat_map(|step| &step.laid)
    }

    fn system(
        &mut self,
        anchors: Anchors,
        updater: Option<&[String]>,
        stores: &[Store],
        wish: &Wish,
    ) {
        let Some(Place::Anchor { file }) = anchors.place(&wish.mark) else {
            self.leave(
                "the system's store: how it takes in a root is not known here",
                Some("onedoor trust --print".to_owned()),
            );
            return;
        };
        let Some(updater) = updater else {
            let missing = anchors.updaters().first().and_then(|words| words.first());
            let missing = missing.copied().unwrap_or_default();
            let what = format!("the system's store: `{missing}` is not installed");
            self.leave(what, None);
            return;
        };
        let copy = Line::new(&["tee"]).path(&file).reading(&wish.certificate);
        let open = Line::new(&["chmod", "644"]).path(&file);
        let update = Line::of(updater);
        let mut laid = vec![Place::Anchor { file }];
        laid.extend(stores.iter().filter_map(|store| match store {
            Store::Java(java) => java.fed_place(&wish.mark),
            Store::System { .. }
            | Store::SystemKeychain { .. }
            | Store::Nss(_)
            | Store::Node { .. } => None,
        }));
        let lines = [copy, open, update].map(|line| wish.person.as_root(line));
        self.add(Owner::Root, wish, system(anchors), lines.into(), laid);
    }

    /// `holds` is whether macOS trusts it, for whatever reason.
    fn keychain(&mut self, holds: &Holds, stores: &[Store], wish: &Wish) {
        let lies_there = match wish.keychain {
            Keychain::Login => true,
            Keychain::System => stores.contains(&Store::SystemKeychain { holds: Holds::Ours }),
        };
        if *holds == Holds::Ours && lies_there {
            self.there.push("macOS".to_owned());
            return;
        }
        let place = wish.keychain.place(&wish.mark, wish.home.as_deref());
        let Some(Place::Keychain { keychain, sha1 }) = place else {
            let what = "the login keychain: this user has no home";
            self.leave(what, Some("onedoor trust --system".to_owned()));
            return;
        };
        let trust = ["security", "add-trusted-cert"];
        let (owner, admin): (_, &[&str]) = match wish.keychain {
            Keychain::Login => (Owner::Us, &[]),
            Keychain::System => (Owner::Root, &["-d"]),
        };
        let line = Line::new(&[&trust, admin, &["-r", "trustRoot", "-k"]].concat())
            .path(&keychain)
            .path(&wish.certificate);
        let line = wish.person.line_of(owner, line);
        let place = Place::Keychain { keychain, sha1 };
        self.add(owner, wish, place.name(), vec![line], vec![place]);
    }

    fn data_base(&mut self, data_base: &DataBase, wish: &Wish) {
        let folder = &data_base.folder;
        let place = data_base.place(&wish.mark);
        match &data_base.holds {
            Holds::Ours => {
                self.there.push(place.name());
                return;
            }
            Holds::Unknown { why, remedy } => {
                self.leave(format!("{}: {why}", place.name()), remedy.clone());
                return;
            }
            Holds::Nothing | Holds::Another => {}
        }
        let sql = format!("sql:{}", folder.display());
        let mut lines = match data_base.there {
            There::Made => Vec::new(),
            There::Missing(_) => vec![
                Line::new(&["mkdir", "-p", "-m", "700"]).path(folder),
                Line::new(&["certutil", "-N", "--empty-password", "-d", &sql]),
            ],
        };
        lines.push(added(folder, &wish.mark, &wish.certificate));
        let lines = lines.into_iter().map(|line| wish.person.as_owner(line));
        self.add(Owner::Us, wish, place.name(), lines.collect(), vec![place]);
    }

    fn java(&mut self, java: &Java, wish: &Wish) {
        let place = java.place(&wish.mark);
        match (&java.holds, java.fed) {
            (Holds::Ours, _) => {
                self.there.push(place.name());
                return;
            }
            (Holds::Unknown { why, remedy }, _) => {
                self.leave(format!("{}: {why}", place.name()), remedy.clone());
                return;
            }
            (Holds::Nothing | Holds::Another, Fed::BySystem) => {
                let what = format!("{}: it takes the system's roots by itself", place.name());
                self.leave(what, None);
                return;
            }
            (Holds::Nothing | Holds::Another, Fed::ByHand) => {}
        }
        let line = Line::new(&[])
            .path(&java.keytool)
            .words(&["-importcert", "-noprompt", "-keystore"])
            .path(&java.keystore)
            .words(&["-storepass", JAVA_PASSWORD, "-alias", &wish.mark.name()])
            .reading(&wish.certificate);
        let line = wish.person.line_of(java.owner, line);
        self.add(java.owner, wish, place.name(), vec![line], vec![place]);
    }

    fn add(
        &mut self,
        owner: Owner,
        wish: &Wish,
        store: String,
        lines: Vec<Line>,
        places: Vec<Place>,
    ) {
        let laid = places
            .into_iter()
            .map(|place| Laid::new(&wish.mark, place))
            .collect();
        let step = Step { store, lines, laid };
        if owner == Owner::Root && !wish.person.may_be_root() {
            self.for_root.push(step);
        } else {
            self.steps.push(step);
        }
    }

    /// Browsers that have nothing into which a root could be laid.
    fn leave_absent(&mut self, stores: &[Store]) {
        let has = |browser: Browser| {
            let is_its = |store: &Store| match store {
                Store::Nss(data_base) => data_base.browser == browser,
                Store::System { .. }
                | Store::SystemKeychain { .. }
                | Store::Node { .. }
                | Store::Java(_) => false,
            };
            stores.iter().any(is_its)
        };
        if !has(Browser::Chromium) {
            self.leave("Chromium: it is not installed here", None);
        }
        if !has(Browser::Firefox) {
            let what =
                "Firefox: it has no profile here; once it has one, run `onedoor trust` again";
            self.leave(what, None);
        }
    }

    fn leave(&mut self, what: impl Into<String>, remedy: Option<String>) {
        let what = what.into();
        self.left_out.push(LeftOut { what, remedy });
    }
}

/// What lays a root into a data base.
pub(super) fn added(folder: &Path, mark: &Mark, certificate: &Path) -> Line {
    let (sql, nickname) = (format!("sql:{}", folder.display()), mark.nickname());
    let add = ["certutil", "-A", "-d", &sql, "-t", "C,,", "-n", &nickname];
    Line::new(&add).reading(certificate)
}

fn system(anchors: Anchors) -> String {
    format!("the system's store, {}", anchors.name())
}

#[cfg(test)]
mod tests;

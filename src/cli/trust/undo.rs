//! From what was laid down, and what lies there now, to what takes exactly that away again. Nothing is done here.

use std::path::{Path, PathBuf};

use super::place::{Found, Place, Seen};
use super::places::is_of_system;
use super::plan::{JAVA_PASSWORD, LeftOut, Plan};
use super::step::{Line, Person, Step};
use super::store::{Anchors, Owner};

/// What taking away depends on beside what was seen.
#[derive(Debug, Clone)]
pub(super) struct Wish {
    pub(super) person: Person,
    pub(super) anchors: Anchors,
    /// As in the system's store.
    pub(super) updater: Option<Vec<String>>,
    pub(super) keytool: PathBuf,
    /// The folder with the certificates that are remembered.
    pub(super) certificates: PathBuf,
}

/// What is not there any more needs nothing; what is another's is left.
pub(super) fn of(seen: &[Seen], wish: &Wish) -> Plan {
    let mut plan = Plan::default();
    let mut anchors = Vec::new();
    for one in seen {
        let name = one.laid.place.name();
        match &one.found {
            Found::Nothing => {}
            Found::Another => plan.left_out.push(LeftOut {
                what: format!("{name}: what is there now is another certificate"),
                remedy: None,
            }),
            Found::Unknown(why) => plan.left_out.push(LeftOut {
                what: format!("{name}: {why}"),
                remedy: None,
            }),
            Found::Ours | Found::OursAlone | Found::TakenUp => match &one.laid.place {
                Place::Anchor { .. } => anchors.push(one),
                Place::Keychain { keychain, sha1 } => {
                    let file = wish.certificates.join(one.laid.file());
                    let lines = from_keychain(keychain, sha1, &file);
                    plan.take(one, wish, lines);
                }
                Place::Nss {
                    folder,
                    nickname,
                    made,
                    ..
                } => {
                    let mut lines = vec![from_data_base(folder, nickname)];
                    if let (Found::OursAlone, Some(topmost)) = (&one.found, made) {
                        lines.extend(without(folder, topmost));
                    }
                    plan.take(one, wish, lines);
                }
                Place::Java { keystore, alias } => {
                    let line = Line::new(&[])
                        .path(&wish.keytool)
                        .words(&["-delete", "-keystore"])
                        .path(keystore)
                        .words(&["-storepass", JAVA_PASSWORD, "-alias", alias]);
                    plan.take(one, wish, vec![line]);
                }
            },
        }
    }
    plan.take_anchors(&anchors, wish);
    plan
}

impl Plan {
    fn take(&mut self, seen: &Seen, wish: &Wish, lines: Vec<Line>) {
        let lines = lines.into_iter().map(|line| match &seen.laid.place {
            Place::Nss { .. } => wish.person.as_owner(line),
            Place::Anchor { .. } | Place::Keychain { .. } | Place::Java { .. } => {
                wish.person.line_of(seen.owner, line)
            }
        });
        let step = Step {
            store: seen.laid.place.name(),
            lines: lines.collect(),
            laid: vec![seen.laid.clone()],
        };
        self.put(seen.owner, wish, step);
    }

    /// All at once: the system's store is made anew but one time. It goes first, as it came.
    fn take_anchors(&mut self, seen: &[&Seen], wish: &Wish) {
        let Some(first) = seen.first() else {
            return;
        };
        let mut remove = Line::new(&["rm"]);
        let mut lines = Vec::new();
        for one in seen.iter().filter(|one| one.found != Found::TakenUp) {
            if let Place::Anchor { file } = &one.laid.place {
                remove = remove.path(file);
                lines = vec![remove.clone()];
            }
        }
        if let Some(updater) = &wish.updater {
            let update = Line::of(updater);
            lines.push(match wish.anchors {
                // Without it the links that Debian made stay behind, and lead nowhere.
                Anchors::Debian => update.words(&["--fresh"]),
                Anchors::Fedora
                | Anchors::Arch
                | Anchors::Suse
                | Anchors::Keychain
                | Anchors::Unknown => update,
            });
        }
        let lines = lines.into_iter().map(|line| wish.person.as_root(line));
        let step = Step {
            store: first.laid.place.name(),
            lines: lines.collect(),
            laid: seen.iter().map(|one| one.laid.clone()).collect(),
        };
        self.put(Owner::Root, wish, step);
    }

    fn put(&mut self, owner: Owner, wish: &Wish, step: Step) {
        let steps = if owner == Owner::Root && !wish.person.may_be_root() {
            &mut self.for_root
        } else {
            &mut self.steps
        };
        steps.push(step);
    }
}

fn from_keychain(keychain: &Path, sha1: &str, certificate: &Path) -> Vec<Line> {
    let admin: &[&str] = if is_of_system(keychain) { &["-d"] } else { &[] };
    let distrust = [&["security", "remove-trusted-cert"], admin].concat();
    let sha1 = sha1.to_ascii_uppercase();
    vec![
        Line::new(&distrust).path(certificate),
        Line::new(&["security", "delete-certificate", "-Z", &sha1]).path(keychain),
    ]
}

fn from_data_base(folder: &Path, nickname: &str) -> Line {
    let sql = format!("sql:{}", folder.display());
    Line::new(&["certutil", "-D", "-d", &sql, "-n", nickname])
}

/// Removes a data base that was made for our root and holds nothing else, and the folders that were made for it as far as they are
/// empty.
fn without(folder: &Path, topmost: &Path) -> [Line; 2] {
    let mut remove = Line::new(&["rm"]);
    for file in ["cert9.db", "key4.db", "pkcs11.txt"] {
        remove = remove.path(&folder.join(file));
    }
    let mut folders = Line::new(&["rmdir", "--ignore-fail-on-non-empty"]);
    for ancestor in folder
        .ancestors()
        .take_while(|one| one.starts_with(topmost))
    {
        folders = folders.path(ancestor);
    }
    [remove, folders]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::trust::place::Laid;
    use crate::cli::trust::root::Mark;
    use crate::cli::trust::store::Browser;

    fn seen(place: Place, found: Found, owner: Owner) -> Seen {
        let mark = Mark::from_sha256(&"0".repeat(64));
        Seen {
            laid: Laid::new(&mark, place),
            found,
            owner,
        }
    }

    fn anchor(file: &str, found: Found) -> Seen {
        seen(Place::Anchor { file: file.into() }, found, Owner::Root)
    }

    fn chromium(found: Found) -> Seen {
        let place = Place::Nss {
            browser: Browser::Chromium,
            folder: "/home/ana/.local/share/pki/nssdb".into(),
            nickname: "onedoor local CA 00000000".to_owned(),
            made: Some("/home/ana/.local/share/pki".into()),
        };
        seen(place, found, Owner::Us)
    }

    fn shell(seen: &[Seen], anchors: Anchors) -> Vec<String> {
        let sudo = Some("sudo".to_owned());
        let plan = of(
            seen,
            &Wish {
                person: Person::User { sudo },
                anchors,
                updater: Some(vec!["update".to_owned()]),
                keytool: "/jvm/bin/keytool".into(),
                certificates: "/data/trust".into(),
            },
        );
        let lines = plan.steps.iter().flat_map(|step| &step.lines);
        lines.map(Line::shell).collect()
    }

    #[test]
    fn all_anchors_go_at_once_and_debian_forgets_its_links() {
        let both = [anchor("/a", Found::Ours), anchor("/b", Found::Ours)];
        let debian = shell(&both, Anchors::Debian);
        assert_eq!(debian, ["sudo rm /a /b", "sudo update --fresh"]);
        let fedora = shell(&both, Anchors::Fedora);
        assert_eq!(fedora, ["sudo rm /a /b", "sudo update"]);
    }

    #[test]
    fn what_is_gone_or_another_s_is_left() {
        let left = [
            anchor("/a", Found::Nothing),
            anchor("/b", Found::Another),
            chromium(Found::Unknown("why".to_owned())),
        ];
        assert!(shell(&left, Anchors::Debian).is_empty());
    }

    #[test]
    fn a_removal_that_was_cut_short_is_finished() {
        let cut = [anchor("/a", Found::TakenUp)];
        assert_eq!(shell(&cut, Anchors::Suse), ["sudo update"]);
    }

    #[test]
    fn a_data_base_that_was_made_goes_with_our_root_if_nothing_else_is_in_it() {
        let remove =
            "certutil -D -d 'sql:/home/ana/.local/share/pki/nssdb' -n 'onedoor local CA 00000000'";
        assert_eq!(shell(&[chromium(Found::Ours)], Anchors::Debian), [remove]);
        let alone = shell(&[chromium(Found::OursAlone)], Anchors::Debian);
        assert_eq!(alone.len(), 3);
        assert!(alone[1].starts_with("rm /home/ana/.local/share/pki/nssdb/cert9.db "));
        assert_eq!(
            alone[2],
            "rmdir --ignore-fail-on-non-empty /home/ana/.local/share/pki/nssdb /home/ana/.local/share/pki"
        );
    }

    #[test]
    fn keychains_lose_the_trust_and_then_the_certificate() {
        let place = Place::Keychain {
            keychain: "/Library/Keychains/System.keychain".into(),
            sha1: "ab01".to_owned(),
        };
        let lines = shell(&[seen(place, Found::Ours, Owner::Root)], Anchors::Keychain);
        assert_eq!(
            lines,
            [
                "sudo security remove-trusted-cert -d /data/trust/onedoor-00000000.crt",
                "sudo security delete-certificate -Z AB01 /Library/Keychains/System.keychain",
            ]
        );
    }

    #[test]
    fn java_loses_its_alias_alone() {
        let place = Place::Java {
            keystore: "/jvm/cacerts".into(),
            alias: "debian:onedoor-00000000.pem".to_owned(),
        };
        let lines = shell(&[seen(place, Found::Ours, Owner::Us)], Anchors::Debian);
        assert_eq!(
            lines,
            [
                "/jvm/bin/keytool -delete -keystore /jvm/cacerts -storepass changeit -alias 'debian:onedoor-00000000.pem'"
            ]
        );
    }
}

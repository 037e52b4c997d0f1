//! The store of the Java that is called here.

use std::path::{Path, PathBuf};

use tokio::process::Command;

use super::{Depth, owner, said};
use crate::cli::place::program;
use crate::cli::trust::listing::names;
use crate::cli::trust::place::Found;
use crate::cli::trust::plan::JAVA_PASSWORD;
use crate::cli::trust::root::Mark;
use crate::cli::trust::store::{Fed, Holds, Java};

/// Below the folder of a Java, of one that is and of one that has a runtime inside.
const KEYSTORES: [&str; 2] = ["lib/security/cacerts", "jre/lib/security/cacerts"];
/// Where Debian's hook writes, and the hook.
const OF_DEBIAN: &str = "/etc/ssl/certs/java/cacerts";
const HOOK: &str = "/etc/ca-certificates/update.d/jks-keystore";

pub(super) async fn look(mark: &Mark, depth: Depth) -> Option<Java> {
    let (keytool, keystore) = installed()?;
    let by_system = std::fs::canonicalize(&keystore).is_ok_and(|file| file == Path::new(OF_DEBIAN))
        && Path::new(HOOK).exists();
    Some(Java {
        holds: match depth {
            Depth::Whole => held(&keytool, &keystore, mark).await,
            Depth::Quick => Holds::Unknown {
                why: "it was not looked into".to_owned(),
                remedy: None,
            },
        },
        owner: owner(&keystore),
        fed: if by_system {
            Fed::BySystem
        } else {
            Fed::ByHand
        },
        keytool,
        keystore,
    })
}

pub(super) async fn find(keystore: &Path, alias: &str, mark: &Mark) -> Found {
    let Some((keytool, _keystore)) = installed() else {
        return Found::Unknown("there is no `keytool`".to_owned());
    };
    let out = said(list(&keytool, keystore).args(["-alias", alias])).await;
    match out {
        Some((true, out)) if names(&String::from_utf8_lossy(&out), mark.sha256()) => Found::Ours,
        Some((true, _out)) => Found::Another,
        Some((false, out)) if is_absent(&String::from_utf8_lossy(&out)) => Found::Nothing,
        Some((false, _out)) => Found::Unknown("`keytool` cannot read it".to_owned()),
        None => Found::Unknown("`keytool` does not answer".to_owned()),
    }
}

/// Whether this is why it failed: there is no such entry, or no such file.
fn is_absent(said: &str) -> bool {
    said.contains("does not exist")
}

/// That of `JAVA_HOME`, else the one on the search path.
fn installed() -> Option<(PathBuf, PathBuf)> {
    let home = match std::env::var_os("JAVA_HOME").filter(|home| !home.is_empty()) {
        Some(home) => PathBuf::from(home),
        None => {
            let keytool = std::fs::canonicalize(program("keytool")?).ok()?;
            keytool.parent()?.parent()?.to_owned()
        }
    };
    let keytool = home.join("bin/keytool");
    let mut keystores = KEYSTORES.into_iter().map(|place| home.join(place));
    let keystore = keystores.find(|keystore| keystore.is_file())?;
    keytool.is_file().then_some((keytool, keystore))
}

async fn held(keytool: &Path, keystore: &Path, mark: &Mark) -> Holds {
    match said(&mut list(keytool, keystore)).await {
        Some((true, out)) if names(&String::from_utf8_lossy(&out), mark.sha256()) => Holds::Ours,
        Some((true, _out)) => Holds::Nothing,
        Some((false, _)) | None => Holds::Unknown {
            why: format!("`keytool` cannot read it with the password `{JAVA_PASSWORD}`"),
            remedy: None,
        },
    }
}

fn list(keytool: &Path, keystore: &Path) -> Command {
    let mut command = Command::new(keytool);
    // What it says is read, so it is to say it in English.
    command.args(["-J-Duser.language=en", "-list", "-keystore"]);
    command.arg(keystore).args(["-storepass", JAVA_PASSWORD]);
    command
}

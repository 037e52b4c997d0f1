//! `onedoor hosts`: a block of our own in a file of everybody's.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;

use crate::support::door::Home;

const SITES: &str = r#"
    listen = ["localhost:0"]
    http = false
    [sites]
    "shop.localhost" = { to = "1", aliases = ["*.shop.localhost"] }
    "a.test" = "1"
"#;
const HOSTS: &str = "127.0.0.1\tlocalhost\r\n10.1.2.3 printer";
/// `nobody`, on every system.
const NOBODY: u32 = 65_534;

#[test]
fn names_are_led_to_this_machine_and_away_again() {
    let home = Home::new(SITES);
    home.write("hosts", HOSTS);
    fs::set_permissions(home.path().join("hosts"), fs::Permissions::from_mode(0o664)).unwrap();
    let (code, out, err) = home.run(&["hosts", "sync", "--file", "hosts"]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert_eq!(out, "hosts leads 2 names to this machine\n");
    let with = home.read("hosts");
    assert!(with.starts_with(HOSTS), "{with}");
    for name in ["shop.localhost", "a.test"] {
        assert!(with.contains(&format!("\r\n127.0.0.1 {name}\r\n::1 {name}\r\n")));
    }
    assert!(!with.contains('*'), "a hosts file has no patterns");
    let (code, out, _err) = home.run(&["hosts", "sync", "--file", "hosts"]);
    assert_eq!((code, out.as_str()), (0, "hosts is as it should be\n"));
    assert_eq!(home.read("hosts"), with);
    let (code, out, _err) = home.run(&["hosts", "clean", "--file", "hosts"]);
    assert_eq!(
        (code, out.as_str()),
        (0, "removed the block of onedoor from hosts\n")
    );
    assert_eq!(home.read("hosts"), HOSTS);
    let mode = fs::metadata(home.path().join("hosts")).unwrap().mode();
    assert_eq!(mode & 0o7777, 0o664);
}

#[test]
fn damaged_marks_and_bad_files_change_nothing() {
    let home = Home::new(SITES);
    let damaged = "127.0.0.1 localhost\n# onedoor begin\n::1 a.test\n";
    home.write("hosts", damaged);
    for verb in ["sync", "clean"] {
        let (code, _out, err) = home.run(&["hosts", verb, "--file", "hosts"]);
        assert_eq!(code, 1);
        assert!(err.contains("line 2 begins a block"), "{err}");
        assert_eq!(home.read("hosts"), damaged);
    }
    let (code, _out, err) = home.run(&["hosts", "sync", "--file", "none"]);
    assert_eq!(code, 1);
    assert!(err.contains("cannot change none"), "{err}");
    home.write("proxy.toml", "htp = 1\n");
    assert_eq!(home.run(&["hosts", "sync", "--file", "hosts"]).0, 2);
}

/// Only root can become somebody else.
#[test]
fn who_may_not_is_told_the_command_for_who_may() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let home = Home::new(SITES);
    home.write("locked/hosts", HOSTS);
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).unwrap();
    chown(home.path().join("proxy.toml"), Some(NOBODY), None).unwrap();
    let onedoor = home.path().join("onedoor");
    fs::copy(env!("CARGO_BIN_EXE_onedoor"), &onedoor).unwrap();
    let mut command = std::process::Command::new(&onedoor);
    command
        .args(["hosts", "sync", "--file", "locked/hosts"])
        .current_dir(home.path())
        .uid(NOBODY);
    let (code, _out, err) = Home::end_of(&mut command);
    assert_eq!(code, 5, "{err}");
    let path = fs::canonicalize(home.path()).unwrap();
    let path = path.display();
    let way =
        format!("sudo {path}/onedoor hosts sync -c {path}/proxy.toml --file {path}/locked/hosts\n");
    assert!(err.ends_with(&way), "{err}");
    assert_eq!(home.read("locked/hosts"), HOSTS);
}

//! Moving out: what other tools read of what was exported.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::{ca, home, import, tools};

#[test]
fn plain_pairs_are_written_for_their_owner_alone_and_can_be_imported_again() {
    let ca = ca();
    let names = ["a.example.com", "b.example.com"];
    let tool = tools::lego(&ca, &names);
    let first = home(&ca, &names);
    import(&first, &tool.at("lego"), &[]);
    let (code, out, err) = first.run(&["certs", "export", "--to", "out", "a.example.com"]);
    assert_eq!(code, 0, "{out}{err}");
    let folder = first.path().join("out/a.example.com");
    let key = folder.join("privkey.pem");
    assert_eq!(key.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(
        fs::read_to_string(folder.join("fullchain.pem"))
            .unwrap()
            .trim(),
        tool.read("lego/certificates/a.example.com.crt").trim()
    );
    let (code, _out, err) = first.run(&["certs", "export", "--to", "out"]);
    assert_eq!(code, 1);
    assert!(
        err.contains("is there already") && err.contains("--force"),
        "{err}"
    );
    assert!(!first.path().join("out/b.example.com").exists());
    let (code, _out, err) = first.run(&["certs", "export", "c.example.com"]);
    assert_eq!(code, 1);
    assert!(err.contains("no certificate of `c.example.com`"), "{err}");

    let second = home(&ca, &names);
    let told = import(&second, &first.path().join("out"), &[]);
    assert_eq!(told["sums"]["taken"], 2, "{told}");
}

//! Files behind symbolic links that are swapped, as Kubernetes mounts configuration and secrets.

use std::fs;
use std::os::unix::fs::symlink;

use rustls_pki_types::CertificateDer;

use crate::support::authority::{Authority, Pair};
use crate::support::backend::Backend;
use crate::support::client::{get, try_tls};
use crate::support::door::{Door, Home};
use crate::support::eventually;

const NAME: &str = "own.example.com";

#[test]
fn a_configuration_behind_a_swapped_link_is_read_again() {
    let backend = Backend::saying("served");
    let put = |home: &Home, version: u64, site: &str| {
        let config = format!(
            "listen = [\"127.0.0.1:0\"]\nhttp = false\n[sites]\n\"{site}\" = \"{}\"\n",
            backend.address
        );
        let version = version.to_string();
        mount(home, "mount", &version, &[("proxy.toml", &config)]);
    };
    let home = Home::new("");
    put(&home, 1, "a.test");
    let door = Door::up_in(home, &["up", "-c", "mount/proxy.toml"]);
    for (revision, site) in [(2, "b.test"), (3, "c.test")] {
        put(door.home(), revision, site);
        eventually("the reload", || (door.revision() == revision).then_some(()));
        assert_eq!(get(&door, site, "/"), "served");
    }
}

#[test]
fn a_pair_behind_a_swapped_link_is_shown() {
    renews(
        &format!(
            "\"{NAME}\" = {{ to = \"1\", cert = \"mount/own.pem\", key = \"mount/own.key\" }}"
        ),
        "",
        "mount",
        ["own.pem", "own.key"],
    );
}

#[test]
fn a_folder_of_pairs_behind_a_swapped_link_is_read_again() {
    let site = format!("\"{NAME}\" = \"1\"");
    let names = ["own.pem", "own.key"];
    renews(&site, "tls.cert_dir = \"mount\"", "mount", names);
}

#[test]
fn a_folder_in_the_folder_of_pairs_is_read_again() {
    let site = format!("\"{NAME}\" = \"1\"");
    let names = ["fullchain.pem", "privkey.pem"];
    renews(&site, "tls.cert_dir = \"mounts\"", "mounts/own", names);
}

/// Swaps a pair twice, and expects the new one to be shown each time.
#[track_caller]
fn renews(site: &str, settings: &str, folder: &str, [cert, key]: [&str; 2]) {
    let authority = Authority::new();
    let home = Home::new(&format!(
        "listen = [\"127.0.0.1:0\"]\nhttp = false\n{settings}\n[sites]\n{site}\n"
    ));
    let swap = |home: &Home, version: &str| {
        let Pair {
            certificate,
            certificate_pem,
            key_pem,
        } = authority.pair(&[NAME]);
        mount(
            home,
            folder,
            version,
            &[(cert, &certificate_pem), (key, &key_pem)],
        );
        certificate
    };
    let first = swap(&home, "1");
    let door = Door::up_in(home, &["up"]);
    assert_eq!(shown(&door, &authority), first);
    for version in ["2", "3"] {
        let fresh = swap(door.home(), version);
        eventually("the new certificate", || {
            (shown(&door, &authority) == fresh).then_some(())
        });
    }
}

/// Puts a version of some files in place, all at once: the folder has a link for each file that leads through `..data`, and that
/// alone changes.
fn mount(home: &Home, folder: &str, version: &str, files: &[(&str, &str)]) {
    for (name, text) in files {
        home.write(&format!("{folder}/..{version}/{name}"), text);
    }
    let folder = home.path().join(folder);
    let before = fs::read_link(folder.join("..data"));
    symlink(format!("..{version}"), folder.join("..data_tmp")).unwrap();
    fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
    match before {
        Ok(before) => fs::remove_dir_all(folder.join(before)).unwrap(),
        Err(_first) => {
            for (name, _) in files {
                symlink(format!("..data/{name}"), folder.join(name)).unwrap();
            }
        }
    }
}

fn shown(door: &Door, authority: &Authority) -> CertificateDer<'static> {
    let stream = try_tls(door.tls(), &authority.roots(), NAME, &[]).unwrap();
    stream.conn.peer_certificates().unwrap()[0].clone()
}

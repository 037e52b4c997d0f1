//! What a configuration needs of the machine, found by looking at the files and sockets that it names.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::wanted::Needs;
use crate::config::acme::dns::Publisher;
use crate::config::backends::Backends;
use crate::config::site::{Action, Certificate, Http, Service, Site, Tls};
use crate::config::storage::Place;
use crate::config::target::{Address, Scheme, Target};
use crate::config::{AccessLog, Config, Loaded};

/// Where files do not outlive their makers, and a service may have its own.
const SHARED: [&str; 2] = ["/tmp", "/var/tmp"];
const READ_BY_OTHERS: u32 = 0o004;
const ENTERED_BY_OTHERS: u32 = 0o001;

pub(super) fn of(loaded: &Loaded, program: &Path) -> Needs {
    let config = &loaded.config;
    let mut files = vec![program.to_owned()];
    files.extend(loaded.watched.iter().cloned());
    let mut sockets = Vec::new();
    for site in &config.sites {
        at_site(site, &mut files, &mut sockets);
    }
    files.extend(config.cert_dir.iter().map(|folder| folder.value.clone()));
    let mut private: Vec<PathBuf> = files
        .into_iter()
        .filter_map(|file| std::path::absolute(file).ok())
        .filter(|file| file.exists() && !is_open(file))
        .collect();
    // Who may connect to a socket is for its owner to say, and no mode tells it all.
    private.extend(sockets.iter().cloned());
    private.sort();
    private.dedup();
    Needs {
        written: written(config),
        private,
        shared_tmp: sockets
            .iter()
            .any(|socket| SHARED.iter().any(|shared| socket.starts_with(shared))),
        programs: runs_programs(config),
    }
}

fn written(config: &Config) -> Vec<PathBuf> {
    let log = match &config.log.access {
        AccessLog::File(path) => path.parent().map(Path::to_owned),
        AccessLog::Off | AccessLog::Stdout | AccessLog::Stderr => None,
    };
    let storage = match &config.storage.place {
        Some(Place::Folder(folder)) => Some(folder.clone()),
        Some(Place::Redis(_) | Place::S3(_)) | None => config.storage.local_copy.clone(),
    };
    let folders = storage.into_iter().chain(log);
    let absolute = folders.filter_map(|folder| std::path::absolute(folder).ok());
    absolute.collect()
}

fn runs_programs(config: &Config) -> bool {
    let dns = config.acme.as_ref().and_then(|acme| acme.dns.as_ref());
    let by_program = dns.is_some_and(|dns| match dns.publisher {
        Publisher::Exec(_) => true,
        Publisher::Rfc2136 { .. } | Publisher::AcmeDns { .. } | Publisher::Cloudflare { .. } => {
            false
        }
    });
    by_program || config.alerts.exec.is_some()
}

fn at_site(site: &Site, files: &mut Vec<PathBuf>, sockets: &mut Vec<PathBuf>) {
    let mut at_targets = |backends: &Backends| {
        for target in backends.targets() {
            at_target(target, files, sockets);
        }
    };
    let tls = match &site.service {
        Service::Plain(http) => {
            at_rules(http, &mut at_targets);
            None
        }
        Service::Secure(tls, http) => {
            at_rules(http, &mut at_targets);
            Some(tls)
        }
        Service::Passthrough(tunnel) => {
            at_targets(&tunnel.backends);
            None
        }
        Service::Tcp(tls, tunnel) => {
            at_targets(&tunnel.backends);
            Some(tls)
        }
    };
    if let Some(Tls {
        certificate: Certificate::Pair { cert, key },
        ..
    }) = tls
    {
        files.extend([cert.value.clone(), key.value.clone()]);
    }
}

fn at_rules(http: &Http, at_targets: &mut impl FnMut(&Backends)) {
    let rules = http
        .root
        .iter()
        .chain(http.paths.iter().map(|path| &path.rule));
    for rule in rules {
        match &rule.action {
            Action::Forward(backends) => at_targets(backends),
            Action::Redirect(_) | Action::Respond(_) => {}
        }
    }
}

fn at_target(target: &Target, files: &mut Vec<PathBuf>, sockets: &mut Vec<PathBuf>) {
    if let Scheme::Https(tls) = &target.scheme {
        files.extend(tls.ca.iter().cloned());
        if let Some((cert, key)) = &tls.identity {
            files.extend([cert.clone(), key.clone()]);
        }
    }
    if let Address::Unix(path) = &target.address {
        sockets.push(path.clone());
    }
}

/// Whether everybody may read the file and pass every folder above it.
fn is_open(file: &Path) -> bool {
    let mode = |path: &Path| fs::metadata(path).map_or(0, |found| found.mode());
    mode(file) & READ_BY_OTHERS != 0
        && file
            .ancestors()
            .skip(1)
            .all(|folder| mode(folder) & ENTERED_BY_OTHERS != 0)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::config;

    #[test]
    fn what_a_configuration_reaches_is_found() {
        let text = r#"
            storage = "/srv/onedoor"
            log.access = "/var/log/onedoor/access.log"
            alerts.exec = ["tell"]
            [sites]
            "a.test" = "unix:/tmp/a.sock"
            "b.test" = { paths = { "/x" = "unix:/run/b.sock" } }
        "#;
        let loaded = config::read(Path::new("proxy.toml"), text).unwrap();
        let needs = of(&loaded, Path::new("/bin/sh"));
        assert_eq!(
            needs.written,
            ["/srv/onedoor", "/var/log/onedoor"].map(PathBuf::from)
        );
        assert_eq!(
            needs.private,
            ["/run/b.sock", "/tmp/a.sock"].map(PathBuf::from)
        );
        assert!(needs.shared_tmp && needs.programs && needs.ask_for_root());
    }

    #[test]
    fn a_file_behind_a_closed_folder_is_private() {
        let folder = tempfile::tempdir_in("/tmp").unwrap();
        let file = folder.path().join("proxy.toml");
        fs::File::create(&file).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        let enter = |mode| {
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
        };
        enter(0o700);
        assert!(!is_open(&file));
        enter(0o755);
        assert!(is_open(&file));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(!is_open(&file));
    }
}

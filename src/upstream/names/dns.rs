//! DNS as the system is set up for it: its name servers, its search list, its hosts file; all read again when they change, or when
//! nobody answers.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use hickory_resolver::config::{NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::system_conf::read_system_conf;
use hickory_resolver::{Hosts, Resolver};

use super::finding::Answer;
use super::settings::Settings;

/// What the settings are read from.
const FILES: [&str; 2] = ["/etc/resolv.conf", "/etc/hosts"];

/// The system's settings as they were last read.
#[derive(Debug, Default)]
pub(super) struct Dns(Mutex<Option<Current>>);

#[derive(Debug, Clone)]
struct Current {
    stamps: [Option<Stamp>; FILES.len()],
    settings: Arc<Settings>,
}

/// Equal for a file that nobody changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

impl Dns {
    pub(super) async fn ask(&self, host: &str) -> Answer {
        let settings = match self.settings() {
            Ok(settings) => settings,
            Err(reason) => return Answer::failed(&reason),
        };
        let answer = settings.ask(host).await;
        if answer.is_failed() {
            self.forget(&settings);
        }
        answer
    }

    fn settings(&self) -> Result<Arc<Settings>, String> {
        let stamps = FILES.map(|file| Stamp::of(Path::new(file)));
        let mut current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(current) = &*current
            && current.stamps == stamps
        {
            return Ok(current.settings.clone());
        }
        let settings = Arc::new(read()?);
        *current = Some(Current {
            stamps,
            settings: settings.clone(),
        });
        Ok(settings)
    }

    /// Nobody answered by these settings: they are read again, and every connection is a new one.
    fn forget(&self, failed: &Arc<Settings>) {
        let mut current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        current.take_if(|current| Arc::ptr_eq(&current.settings, failed));
    }
}

/// A missing file is an empty one; without name servers, this machine is asked, as the C library does.
fn read() -> Result<Settings, String> {
    let (config, mut options) = read_system_conf().unwrap_or_else(|error| {
        tracing::debug!(%error, "no name servers are set up: this machine is asked");
        let here = NameServerConfig::udp_and_tcp(std::net::Ipv4Addr::LOCALHOST.into());
        let config = ResolverConfig::from_name_servers(vec![here]);
        (config, ResolverOpts::default())
    });
    // What is asked for is asked for because what is known has grown old.
    options.cache_size = 0;
    options.use_hosts_file = ResolveHosts::Never;
    let ndots = options.ndots;
    let search = match (config.search(), config.domain()) {
        ([], domain) => domain.into_iter().cloned().collect(),
        (search, _) => search.to_vec(),
    };
    let servers = Resolver::builder_with_config(config, TokioRuntimeProvider::default())
        .with_options(options)
        .build()
        .map_err(|error| error.to_string())?;
    let hosts = Hosts::from_system().unwrap_or_default();
    Ok(Settings::new(servers, hosts, search, ndots))
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let metadata = std::fs::metadata(path).ok()?;
        Some(Self {
            inode: metadata.ino(),
            size: metadata.size(),
            changed: (metadata.mtime(), metadata.mtime_nsec()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_file_has_another_stamp() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hosts");
        assert_eq!(Stamp::of(&path), None);
        std::fs::File::create(&path).unwrap();
        let empty = Stamp::of(&path).unwrap();
        assert_eq!(Stamp::of(&path), Some(empty));
        std::io::Write::write_all(&mut std::fs::File::create(&path).unwrap(), b"x").unwrap();
        assert_ne!(Stamp::of(&path), Some(empty));
    }

    #[test]
    fn settings_stay_until_nobody_answers() {
        let dns = Dns::default();
        let first = dns.settings().unwrap();
        assert!(Arc::ptr_eq(&first, &dns.settings().unwrap()));
        dns.forget(&first);
        assert!(!Arc::ptr_eq(&first, &dns.settings().unwrap()));
    }
}

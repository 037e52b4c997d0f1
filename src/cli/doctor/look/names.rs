//! Asking resolvers for the names of the sites.

use std::net::IpAddr;
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::certs::dns::resolver::Resolver;
use crate::cli::doctor::judge::names::{Name, Reach};
use crate::cli::hosts::{self, block};
use crate::config::{Config, is_local};
use crate::hostname::{HostName, HostPattern};

/// More names are not asked for.
pub(in crate::cli::doctor) const NAMES_MAX: usize = 50;
/// As many servers as the C library asks.
const SERVERS_MAX: usize = 3;
const PATIENCE: Duration = Duration::from_secs(5);

/// The names that can be asked for, each with who shall find it.
pub(in crate::cli::doctor) fn asked(config: &Config) -> Vec<(HostName, Reach)> {
    let mut asked: Vec<(HostName, Reach)> = Vec::new();
    for pattern in config.sites.iter().flat_map(|site| site.names.iter()) {
        let HostPattern::Exact(name) = pattern else {
            continue;
        };
        if name.ip().is_some() || asked.iter().any(|(known, _reach)| known == name) {
            continue;
        }
        let reach = if is_local(pattern, &config.local_suffixes) {
            Reach::Here
        } else {
            Reach::Everywhere
        };
        asked.push((name.clone(), reach));
    }
    asked
}

/// All at once, in their order.
pub(in crate::cli::doctor) async fn names(asked: &[(HostName, Reach)]) -> Vec<Name> {
    let hosts = std::fs::read(hosts::FILE).unwrap_or_default();
    let mut asking = JoinSet::new();
    for (index, (name, reach)) in asked.iter().take(NAMES_MAX).enumerate() {
        let (name, reach) = (name.clone(), *reach);
        asking.spawn(async move { (index, look(&name, reach).await) });
    }
    let mut found = asking.join_all().await;
    found.sort_by_key(|(index, _name)| *index);
    let with_hosts = found.into_iter().map(|(_index, mut name)| {
        name.hosts = block::entry(&hosts, &name.name);
        name
    });
    with_hosts.collect()
}

async fn look(name: &HostName, reach: Reach) -> Name {
    let mut servers = Vec::new();
    // Others are not asked for names that are this machine's own.
    if reach == Reach::Everywhere {
        for server in Resolver::system()
            .servers()
            .await
            .into_iter()
            .take(SERVERS_MAX)
        {
            let answer = timeout(PATIENCE, Resolver::at(server).addresses_of(name)).await;
            let answer = match answer {
                Ok(Ok(addresses)) => Ok(addresses),
                Ok(Err(error)) => Err(error.to_string()),
                Err(_late) => Err("no answer in time".to_owned()),
            };
            servers.push((server.ip().to_string(), answer));
        }
    }
    Name {
        name: name.to_string(),
        reach,
        system: by_system(name).await,
        hosts: None,
        servers,
    }
}

async fn by_system(name: &HostName) -> Result<Vec<IpAddr>, String> {
    let found = timeout(PATIENCE, lookup_host((name.as_str(), 443))).await;
    let addresses = found
        .map_err(|_late| "no answer in time".to_owned())?
        .map_err(|error| error.to_string())?;
    let mut addresses: Vec<IpAddr> = addresses.map(|address| address.ip()).collect();
    addresses.dedup();
    Ok(addresses)
}

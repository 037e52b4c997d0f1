//! Whether the names of the sites lead anywhere, by each resolver that matters.

use std::net::IpAddr;

use crate::cli::doctor::finding::{Finding, Status};

/// What resolvers say of one name.
#[derive(Debug, Clone)]
pub(in crate::cli::doctor) struct Name {
    pub(in crate::cli::doctor) name: String,
    pub(in crate::cli::doctor) reach: Reach,
    /// The system's, as most programs ask; an error in words.
    pub(in crate::cli::doctor) system: Result<Vec<IpAddr>, String>,
    /// Line and address in the hosts file.
    pub(in crate::cli::doctor) hosts: Option<(usize, String)>,
    /// The servers of the system's configuration, each with what it says.
    pub(in crate::cli::doctor) servers: Vec<(String, Result<Vec<IpAddr>, String>)>,
}

/// Who is to reach a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli::doctor) enum Reach {
    /// It is local to this machine: a hosts file can mend it.
    Here,
    Everywhere,
}

/// `sync` writes the hosts file.
pub(in crate::cli::doctor) fn judge(name: &Name, sync: &str) -> Finding {
    match name.reach {
        Reach::Here => here(name, sync),
        Reach::Everywhere => everywhere(name),
    }
}

fn here(name: &Name, sync: &str) -> Finding {
    let own = &name.name;
    match &name.system {
        Ok(addresses) if addresses.iter().all(IpAddr::is_loopback) && !addresses.is_empty() => {
            finding(name, Status::Ok, format!("{own} leads to this machine"))
        }
        Ok(addresses) if !addresses.is_empty() => {
            let what = format!("{own} leads to {}, not to this machine", listed(addresses));
            let found = finding(name, Status::Warning, what);
            match &name.hosts {
                Some((line, _address)) => found
                    .detail(format!(
                        "line {line} of the hosts file says so, and the first line counts"
                    ))
                    .fix("sudo nano /etc/hosts"),
                None => found.fix(sync),
            }
        }
        Ok(_) | Err(_) => {
            let builtin = if own.ends_with(".localhost") {
                "Chrome, Firefox and newer curl know such names by themselves; Safari, programs linked with musl, and others do not"
            } else {
                "no program on this machine finds it"
            };
            let what = format!("the system's resolver does not know {own}");
            finding(name, Status::Warning, what)
                .detail(builtin)
                .fix(sync)
        }
    }
}

fn everywhere(name: &Name) -> Finding {
    let own = &name.name;
    let known = |found: &Result<Vec<IpAddr>, String>| {
        found.as_ref().is_ok_and(|addresses| !addresses.is_empty())
    };
    let says_no = |found: &Result<Vec<IpAddr>, String>| found.as_ref().is_ok_and(Vec::is_empty);
    let servers: Vec<String> = name
        .servers
        .iter()
        .map(|(at, found)| server(at, found))
        .collect();
    let detailed = |found: Finding| {
        if servers.is_empty() {
            found
        } else {
            found.detail(servers.join("\n"))
        }
    };
    if !known(&name.system) {
        // Servers that do not answer say nothing of the name.
        let status = if name.servers.iter().any(|(_at, found)| says_no(found)) {
            Status::Warning
        } else {
            Status::Unknown
        };
        let what = format!("{own} is not found from here");
        return detailed(finding(name, status, what)).fix(format!("dig +short {own}"));
    }
    let addresses = name.system.as_deref().map(listed).unwrap_or_default();
    let only_here = name.servers.iter().any(|(_at, found)| says_no(found))
        && !name.servers.iter().any(|(_at, found)| known(found));
    if only_here {
        let why = match &name.hosts {
            Some((line, _address)) => format!("line {line} of the hosts file"),
            None => "this machine alone".to_owned(),
        };
        let what = format!("{own} leads to {addresses} by {why}, and no DNS server knows it");
        return detailed(finding(name, Status::Warning, what)).fix(format!("dig +short {own}"));
    }
    detailed(finding(
        name,
        Status::Ok,
        format!("{own} leads to {addresses}"),
    ))
}

fn server(at: &str, found: &Result<Vec<IpAddr>, String>) -> String {
    match found {
        Ok(addresses) if addresses.is_empty() => format!("{at} says that there is none"),
        Ok(addresses) => format!("{at} says {}", listed(addresses)),
        Err(why) => format!("{at} does not say: {why}"),
    }
}

fn finding(name: &Name, status: Status, what: String) -> Finding {
    Finding::new(format!("name-{}", name.name), status, what)
}

fn listed(addresses: &[IpAddr]) -> String {
    let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    addresses.join(" and ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYNC: &str = "sudo onedoor hosts sync";

    fn name(name: &str, reach: Reach, system: Result<&[&str], &str>) -> Name {
        Name {
            name: name.to_owned(),
            reach,
            system: system.map(addresses).map_err(str::to_owned),
            hosts: None,
            servers: Vec::new(),
        }
    }

    fn addresses(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn a_local_name_leads_here_or_a_hosts_file_mends_it() {
        let known = name("a.localhost", Reach::Here, Ok(&["127.0.0.1", "::1"]));
        assert_eq!(judge(&known, SYNC).status, Status::Ok);
        let unknown = judge(&name("a.localhost", Reach::Here, Err("not known")), SYNC);
        assert_eq!(unknown.status, Status::Warning);
        assert!(unknown.detail.unwrap().contains("Safari"));
        assert_eq!(unknown.fix.unwrap(), SYNC);
        let mut elsewhere = name("a.test", Reach::Here, Ok(&["192.0.2.1"]));
        assert_eq!(judge(&elsewhere, SYNC).fix.unwrap(), SYNC);
        elsewhere.hosts = Some((7, "192.0.2.1".to_owned()));
        assert!(
            judge(&elsewhere, SYNC)
                .detail
                .unwrap()
                .starts_with("line 7 ")
        );
    }

    #[test]
    fn a_public_name_that_only_this_machine_knows_is_told() {
        let mut local = name("www.example.com", Reach::Everywhere, Ok(&["127.0.0.1"]));
        local.hosts = Some((3, "127.0.0.1".to_owned()));
        local.servers = vec![("192.0.2.53".to_owned(), Ok(Vec::new()))];
        let finding = judge(&local, SYNC);
        assert_eq!(finding.status, Status::Warning);
        assert!(
            finding.what.contains("line 3 of the hosts file"),
            "{finding:?}"
        );
        local
            .servers
            .push(("192.0.2.54".to_owned(), Ok(addresses(&["192.0.2.1"]))));
        assert_eq!(judge(&local, SYNC).status, Status::Ok);
    }

    #[test]
    fn servers_that_are_silent_prove_nothing() {
        let mut lost = name("www.example.com", Reach::Everywhere, Err("not found"));
        lost.servers = vec![("192.0.2.53".to_owned(), Err("timed out".to_owned()))];
        assert_eq!(judge(&lost, SYNC).status, Status::Unknown);
        lost.servers.push(("192.0.2.54".to_owned(), Ok(Vec::new())));
        assert_eq!(judge(&lost, SYNC).status, Status::Warning);
    }
}

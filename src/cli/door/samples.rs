//! A door for the tests of this folder: an own file, a guest that displaces a name of it, and a saved lease.

use crate::control::health::{Health, Kind as Spoken, Listening, Status as Readiness};
use crate::control::leases::{Kind, LeaseId, Presence};
use crate::control::owner::Owner;
use crate::control::status::{LeaseStatus, SiteStatus, Status};

pub(super) const NOW: &str = "2026-01-31T12:00:00Z";

pub(super) fn owner(pid: u32, command: &str, folder: &str, since: &str) -> Owner {
    Owner {
        pid,
        uid: 1000,
        command: command.to_owned(),
        folder: folder.into(),
        since: since.parse().unwrap(),
    }
}

pub(super) fn door() -> Status {
    let holder = owner(4312, "onedoor up", "/src/a", "2026-01-31T11:46:00Z");
    Status {
        health: Health {
            status: Readiness::Ready,
            version: "0.1.0".to_owned(),
            pid: 4312,
            since: holder.since,
            listeners: vec![
                listening("127.0.0.1:443", Spoken::Tls),
                listening("127.0.0.1:80", Spoken::Plain),
                listening("127.0.0.1:8443", Spoken::Tls),
            ],
            sites: 4,
            revision: 8,
        },
        file: "proxy.toml".to_owned(),
        storage: "/data/onedoor".to_owned(),
        connections: 12,
        leases: vec![
            LeaseStatus {
                displaced: vec!["shop.localhost".to_owned()],
                ..lease(0, Kind::File, holder.clone())
            },
            lease(
                1,
                Kind::Session,
                owner(
                    4313,
                    "onedoor up -c b.toml",
                    "/src/b",
                    "2026-01-31T11:58:00Z",
                ),
            ),
            lease(
                2,
                Kind::Saved,
                owner(
                    4000,
                    "onedoor add c.localhost 5000",
                    "/src/c",
                    "2026-01-29T11:00:00Z",
                ),
            ),
        ],
        sites: vec![
            site(0, &["a.localhost", "www.a.localhost"], "localhost:3000"),
            SiteStatus {
                overrides: Some(LeaseId::FILE),
                ..site(1, &["shop.localhost"], "localhost:4000")
            },
            SiteStatus {
                urls: Vec::new(),
                listen: vec!["8443".to_owned()],
                ..site(1, &["*.dev.localhost"], "unix:/run/dev.sock")
            },
            site(2, &["c.localhost"], "https://up.test"),
        ],
        shadowed: Vec::new(),
        down: Vec::new(),
        storage_problem: None,
        refused: None,
        holder,
    }
}

fn listening(address: &str, kind: Spoken) -> Listening {
    Listening {
        address: address.parse().unwrap(),
        kind,
    }
}

fn lease(id: u32, kind: Kind, owner: Owner) -> LeaseStatus {
    LeaseStatus {
        lease: LeaseId(id),
        kind,
        owner,
        presence: Presence::Connected,
        displaced: Vec::new(),
    }
}

fn site(lease: u32, names: &[&str], target: &str) -> SiteStatus {
    SiteStatus {
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        lease: LeaseId(lease),
        urls: names.iter().map(|name| format!("https://{name}")).collect(),
        target: target.to_owned(),
        certificate: "local CA".to_owned(),
        listen: vec!["127.0.0.1:443".to_owned()],
        overrides: None,
    }
}

//! Guests of other users: what they may have here, by `[control]` of the holder's own file, and what is left out of their offers.

use super::App;
use super::change::NotReloaded;
use super::commands::{not_allowed, too_many_of};
use crate::config::alerts::Alerts;
use crate::config::site::Service;
use crate::config::target::{Address, Target};
use crate::config::{Config, Loaded};
use crate::control::accounts::Accounts;
use crate::control::leases::{Insistence, Lease, LeaseId};
use crate::control::session::message::Refusal;
use crate::hostname::HostPattern;

/// Leases of one other user at once.
const LEASES_EACH_MAX: usize = 16;
/// Names that are listed in a refusal.
const NAMES_SHOWN_MAX: usize = 10;

/// Whose offer is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// Our own user's, or root's, who may read and run here what we may.
    Trusted,
    AnotherUsers,
}

impl Whose {
    pub(super) fn of(uid: u32, holder: u32) -> Self {
        if uid == holder || uid == 0 {
            Self::Trusted
        } else {
            Self::AnotherUsers
        }
    }
}

impl App {
    pub(super) fn whose(&self, uid: u32) -> Whose {
        Whose::of(uid, self.guests.holder.uid)
    }

    /// Whether another user's guest may have what it claims. Everybody else may.
    ///
    /// # Errors
    /// `not-allowed`, with the rule that there is.
    pub(super) async fn admit(&self, lease: &Lease, loaded: &Loaded) -> Result<(), Refusal> {
        let uid = lease.owner.uid;
        if self.whose(uid) == Whose::Trusted {
            return Ok(());
        }
        if lease.insistence == Insistence::Replaces {
            return Err(not_allowed(
                "`--replace` is for the user who runs this door: another user's guest displaces nobody",
            ));
        }
        let has_more = |other: &&Lease| other.owner.uid == uid && other.id != lease.id;
        if self.guests.table.leases().filter(has_more).count() >= LEASES_EACH_MAX {
            return Err(too_many_of(LEASES_EACH_MAX));
        }
        let reading = tokio::task::spawn_blocking(Accounts::read);
        let accounts = reading
            .await
            .map_err(|error| NotReloaded::stopped(error).refusal())?;
        judge(uid, &loaded.config, &self.own.config, &accounts)
    }

    /// Ends the leases of other users whose names the rules in service do not give them any more.
    pub(super) async fn end_strangers(&mut self) {
        let strangers: Vec<LeaseId> = self
            .guests
            .table
            .leases()
            .filter(|lease| self.whose(lease.owner.uid) == Whose::AnotherUsers)
            .map(|lease| lease.id)
            .collect();
        for id in strangers {
            let (Some(lease), Some(party)) = (
                self.guests.table.lease(id).cloned(),
                self.guests.party(id).cloned(),
            ) else {
                continue;
            };
            if let Err(refused) = self.admit(&lease, &party.loaded).await {
                self.guests.dismiss(id, refused.text.trim_end());
                Box::pin(self.end_lease(id, "may not have its names any more")).await;
            }
        }
    }
}

/// Takes away what would act for the holder and not for the guest alone: orders of certificates, whose programs run as the holder's
/// user, and names that the local CA would sign for everybody.
pub(super) fn restrict(config: &mut Config) {
    config.acme = None;
    config.alerts = Alerts::default();
    config.local_suffixes = Vec::new();
}

fn judge(uid: u32, theirs: &Config, own: &Config, accounts: &Accounts) -> Result<(), Refusal> {
    let given: Vec<&HostPattern> = accounts.allowed(uid, &own.control.allow).collect();
    let who = accounts.user(uid);
    let foreign: Vec<String> = theirs
        .sites
        .iter()
        .flat_map(|site| &site.names)
        .filter(|name| !given.iter().any(|rule| covers(rule, name)))
        .map(|name| format!("`{name}`"))
        .collect();
    if !foreign.is_empty() {
        return Err(not_allowed(&format!(
            "{who} may not have {} here: {}",
            listed(foreign),
            rule_in_words(&given)
        )));
    }
    let is_here = |listen| own.listen.contains(listen) || own.http.contains(listen);
    let sockets = theirs.sites.iter().flat_map(|site| site.listen.iter());
    if let Some(listen) = sockets.chain(&theirs.http).find(|listen| !is_here(listen)) {
        return Err(not_allowed(&format!(
            "another user's guest is served where this door listens already, and not at {listen}: leave `listen` and `http` out"
        )));
    }
    let services = theirs.sites.iter().map(|site| &site.service);
    let is_unix = |target: &&Target| matches!(target.address, Address::Unix(_));
    if let Some(target) = services.flat_map(targets).find(is_unix) {
        return Err(not_allowed(&format!(
            "the door would open {target} with the rights of its own user: another user's targets are at ports"
        )));
    }
    Ok(())
}

/// Whether all that a pattern stands for is given by a rule.
fn covers(rule: &HostPattern, wanted: &HostPattern) -> bool {
    match (rule, wanted) {
        (HostPattern::CatchAll, _) => true,
        (rule, HostPattern::Exact(name)) => rule.matches(name),
        (rule, HostPattern::Wildcard(_) | HostPattern::CatchAll) => rule == wanted,
    }
}

fn rule_in_words(given: &[&HostPattern]) -> String {
    if given.is_empty() {
        return "`control.allow` of this door gives this user no name".to_owned();
    }
    let names = given.iter().map(|name| format!("`{name}`")).collect();
    format!("`control.allow` of this door gives {}", listed(names))
}

fn listed(mut names: Vec<String>) -> String {
    let hidden = names.len().saturating_sub(NAMES_SHOWN_MAX);
    names.truncate(NAMES_SHOWN_MAX);
    let names = names.join(", ");
    match hidden {
        0 => names,
        hidden => format!("{names} and {hidden} more"),
    }
}

fn targets(service: &Service) -> Vec<&Target> {
    match service {
        Service::Plain(http) | Service::Secure(_, http) => {
            let rules = http.root.iter();
            let rules = rules.chain(http.paths.iter().map(|path| &path.rule));
            rules
                .flat_map(|rule| rule.backends())
                .flat_map(|backends| backends.targets().map(AsRef::as_ref))
                .collect()
        }
        Service::Passthrough(tunnel) | Service::Tcp(_, tunnel) => {
            tunnel.backends.targets().map(AsRef::as_ref).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::read;

    const OWN: &str = r#"
        listen = ["127.0.0.1:8443"]
        http = false
        [control]
        group = "dev"
        allow = { "ana" = ["*.ana.test", "ana.test"], "@dev" = ["*.dev.test"] }
        [sites]
        "own.test" = "3000"
        "#;

    fn refusal(sites: &str) -> Option<String> {
        let config = |text: &str| read(Path::new("/etc/proxy.toml"), text).unwrap().config;
        let theirs = config(&format!(
            "listen = [\"127.0.0.1:8443\"]\nhttp = false\n{sites}"
        ));
        let accounts = Accounts::parse("ana:x:1001:1001:::\n", "dev:x:50:ana\n");
        let judged = judge(1001, &theirs, &config(OWN), &accounts);
        judged.err().map(|refusal| refusal.text)
    }

    #[test]
    fn a_user_has_what_the_rules_give_and_nothing_else() {
        #[track_caller]
        fn check(site: &str, expected: Option<&str>) {
            let text = refusal(&format!("[sites]\n{site}"));
            match expected {
                None => assert_eq!(text, None),
                Some(words) => assert!(
                    text.as_ref().is_some_and(|text| text.contains(words)),
                    "{text:?}"
                ),
            }
        }
        check("\"ana.test\" = \"3000\"", None);
        check("\"a.ana.test\" = \"3000\"", None);
        check("\"*.ana.test\" = \"3000\"", None);
        check("\"a.dev.test\" = \"3000\"", None);
        check(
            "\"a.b.ana.test\" = \"3000\"",
            Some(
                "`ana` may not have `a.b.ana.test` here: `control.allow` of this door gives `*.ana.test`, `ana.test`, `*.dev.test`",
            ),
        );
        check("\"*\" = { to = \"3000\", tls = \"internal\" }", Some("`*`"));
        check("\"*.test\" = \"3000\"", Some("`*.test`"));
        check("\"own.test\" = \"3000\"", Some("`own.test`"));
    }

    #[test]
    fn another_users_guest_opens_no_sockets_of_the_door() {
        for site in [
            "\"a.ana.test\" = { to = \"3000\", listen = [\"127.0.0.1:22\"] }",
            "\"a.ana.test:25\" = \"3000\"",
        ] {
            let text = refusal(&format!("[sites]\n{site}")).unwrap();
            assert!(text.contains("leave `listen` and `http` out"), "{text}");
        }
        for site in [
            "\"a.ana.test\" = \"unix:/run/docker.sock\"",
            "\"a.ana.test\" = { passthrough = \"unix:/run/docker.sock\" }",
            "\"a.ana.test\" = { to = \"3000\", paths = { \"/x\" = \"unix:/run/docker.sock\" } }",
        ] {
            let text = refusal(&format!("[sites]\n{site}")).unwrap();
            assert!(text.contains("unix:/run/docker.sock"), "{text}");
        }
    }
}

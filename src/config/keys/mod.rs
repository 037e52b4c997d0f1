//! Which keys each table knows, which it will know, and what other programs call them.

mod certificates;
mod foreign;
mod tables;
mod traffic;

use super::problem::{At, Problem};
use super::suggest;
pub(super) use certificates::{
    ACME, ACME_DNS, ALERTS, CLOUDFLARE, CONTROL, EAB, EXEC, FALLBACK, ON_DEMAND, RFC2136, SECRET,
    STORAGE,
};
pub(super) use tables::{
    DEFAULTS, HEADERS, HSTS, INCLUDED, LIMITS, LOG, PATH, RESPOND, REWRITE, SITE, TARGET, TIMEOUT,
    TLS, TOP,
};
pub(super) use traffic::{AUTH, BALANCE, EJECT, HEALTH, RATE, RATE_KEY, RETRY, TRUST};

/// The keys of one kind of table.
#[derive(Debug)]
pub(super) struct Keys {
    /// What the table is, for messages: `a site`.
    pub(super) of: &'static str,
    pub(super) known: &'static [&'static str],
    /// Named in the documentation, not built yet.
    pub(super) unbuilt: &'static [&'static str],
    /// What other programs call a key, folded, and its name here.
    pub(super) foreign: &'static [(&'static str, &'static str)],
}

/// Stands in the tables of foreign names for what is no key here: the left-hand side itself.
const SITE_KEY: &str = "[site]";

impl Keys {
    /// What is wrong with `key`, if it is none of the known ones.
    pub(super) fn problem(&self, key: &str, at: At) -> Option<Problem> {
        if self.known.contains(&key) {
            return None;
        }
        if self.unbuilt.contains(&key) {
            return Some(not_built_yet(key, at));
        }
        let of = self.of;
        let message = format!("`{key}` is no key of {of}");
        Some(
            Problem::error("unknown-key", message)
                .at(at, self.label(key))
                .help(self.help(key)),
        )
    }

    fn translation(&self, key: &str) -> Option<&'static str> {
        let folded = suggest::fold(key);
        let (_, ours) = self.foreign.iter().find(|(theirs, _)| *theirs == folded)?;
        Some(ours)
    }

    /// The key of ours that an unknown one most likely stands for.
    pub(super) fn meant(&self, key: &str) -> Option<&'static str> {
        self.translation(key).or_else(|| self.near(key))
    }

    fn label(&self, key: &str) -> String {
        match self.meant(key) {
            Some(ours) if self.known.contains(&ours) || self.unbuilt.contains(&ours) => {
                format!("did you mean `{ours}`?")
            }
            Some(_) | None => "unknown key".to_owned(),
        }
    }

    fn near(&self, key: &str) -> Option<&'static str> {
        suggest::nearest(key, self.known.iter().chain(self.unbuilt).copied())
    }

    fn help(&self, key: &str) -> String {
        match self.translation(key) {
            Some(SITE_KEY) => {
                return "a site is named by its key: `\"host\" = { … }`; further names are `aliases`"
                    .to_owned();
            }
            Some(ours) if self.unbuilt.contains(&ours) => {
                return format!(
                    "what others call `{key}` is `{ours}` here, and it is not built yet"
                );
            }
            Some(ours) => {
                let belongs = match home(ours).filter(|_home| !self.known.contains(&ours)) {
                    Some(home) => format!(", a key of {}", home.of),
                    None => String::new(),
                };
                return format!("what others call `{key}` is `{ours}` here{belongs}");
            }
            None => {}
        }
        match self.near(key) {
            Some(near) if self.unbuilt.contains(&near) => {
                return format!("`{near}` is known, but not built yet");
            }
            Some(near) => return format!("there is a similar key: `{near}`"),
            None => {}
        }
        match home(key) {
            Some(home) => format!("`{key}` is a key of {}", home.of),
            None => format!("the keys of {} are {}", self.of, listed(self.known)),
        }
    }
}

/// The table that a key most likely belongs to.
fn home(key: &str) -> Option<&'static Keys> {
    let homes = [
        &SITE, &TOP, &PATH, &TARGET, &TLS, &LIMITS, &LOG, &TIMEOUT, &ACME, &ALERTS, &CONTROL,
        &TRUST, &HEALTH, &RETRY, &RATE, &AUTH,
    ];
    homes.into_iter().find(|keys| keys.known.contains(&key))
}

/// The problem with a key, or a form of one, that is documented and does nothing yet.
pub(super) fn not_built_yet(what: &str, at: At) -> Problem {
    Problem::error(
        "not-built-yet",
        format!("`{what}` is known, but not built yet"),
    )
    .at(at, "this would do nothing")
    .help("remove it; this version cannot do what it asks for")
}

/// `a`, `b` and `c`, each in backticks.
pub(super) fn listed(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        None => String::new(),
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLES: [&Keys; 33] = [
        &TOP,
        &SITE,
        &DEFAULTS,
        &PATH,
        &TARGET,
        &TLS,
        &LOG,
        &LIMITS,
        &TIMEOUT,
        &HSTS,
        &RESPOND,
        &HEADERS,
        &REWRITE,
        &ACME,
        &FALLBACK,
        &EAB,
        &ON_DEMAND,
        &RFC2136,
        &ACME_DNS,
        &CLOUDFLARE,
        &EXEC,
        &STORAGE,
        &ALERTS,
        &CONTROL,
        &SECRET,
        &BALANCE,
        &HEALTH,
        &EJECT,
        &RETRY,
        &AUTH,
        &RATE,
        &RATE_KEY,
        &TRUST,
    ];

    fn help(keys: &Keys, key: &str) -> Option<String> {
        keys.problem(key, At::new(0, 0..1))
            .and_then(|problem| problem.help)
    }

    #[test]
    fn foreign_names_are_translated() {
        assert_eq!(
            help(&SITE, "proxy_pass").as_deref(),
            Some("what others call `proxy_pass` is `to` here")
        );
        assert!(
            help(&SITE, "server_name")
                .unwrap()
                .contains("named by its key")
        );
        assert_eq!(
            help(&SITE, "basicauth").as_deref(),
            Some("what others call `basicauth` is `auth` here")
        );
        assert_eq!(
            help(&SITE, "set_real_ip_from").as_deref(),
            Some("what others call `set_real_ip_from` is `trust` here, a key of the top level")
        );
    }

    #[test]
    fn every_translation_leads_to_a_key() {
        for keys in TABLES {
            for (theirs, ours) in keys.foreign {
                let has =
                    |table: &&Keys| table.known.contains(ours) || table.unbuilt.contains(ours);
                let leads = *ours == SITE_KEY || TABLES.iter().any(has);
                assert!(leads, "{theirs} leads to {ours}");
                assert!(!keys.known.contains(theirs), "{theirs} is our own");
            }
        }
    }

    #[test]
    fn keys_of_other_tables_say_where_they_belong() {
        assert_eq!(
            help(&SITE, "workers").as_deref(),
            Some("`workers` is a key of the top level")
        );
        assert_eq!(
            help(&PATH, "ssl_certificate").as_deref(),
            Some("what others call `ssl_certificate` is `cert` here, a key of a site")
        );
        assert_eq!(help(&SITE, "to"), None);
    }

    #[test]
    fn the_example_shows_every_key() {
        let example = include_str!("../../../proxy.toml.example");
        for key in TABLES.iter().flat_map(|keys| keys.known) {
            let shown = example.contains(&format!("{key} = "))
                || example.contains(&format!("[{key}]"))
                || example.contains(&format!(".{key}]"));
            assert!(shown, "{key}");
        }
    }
}

//! What is odd about `acme` once the sites are known, at the places where it is said.

use super::names::NotOrdered;
use super::{Acme, Challenge};
use crate::config::problem::{At, Problem};
use crate::config::problems::Problems;

/// Where `acme` is said, for what is found out later.
#[derive(Debug, Clone)]
pub(in crate::config) struct Places {
    pub(super) acme: At,
    pub(super) challenges: Vec<(Challenge, At)>,
    /// The keys that are said, however badly.
    pub(super) said: Vec<&'static str>,
}

/// The ports that somebody else's connections come to.
#[derive(Debug, Clone, Copy)]
pub(in crate::config) struct Reached {
    /// `tls-alpn-01` comes to 443.
    pub(in crate::config) tls: bool,
    /// `http-01` comes to 80.
    pub(in crate::config) plain: bool,
}

impl Places {
    /// Whether a name cannot be ordered for a key that is there and could not be read, which is told already.
    pub(in crate::config) fn explain(&self, why: NotOrdered) -> bool {
        let said = |key| self.said.contains(&key);
        match why {
            NotOrdered::WildcardWithoutDns => said("dns") || said("on_demand"),
            NotOrdered::CatchAllWithoutOnDemand => said("on_demand"),
            NotOrdered::OutOfReach => false,
        }
    }

    /// Warns of challenges that the CA would knock for in vain. A forwarded port looks the same, so it is no error.
    pub(in crate::config) fn warn_of_silence(
        &self,
        acme: &Acme,
        reached: Reached,
        problems: &mut Problems,
    ) {
        if !acme.first.directory.is_lets_encrypt() {
            return;
        }
        let deaf = |kind: Challenge| match kind {
            Challenge::TlsAlpn01 => (!reached.tls).then_some(("listen", 443)),
            Challenge::Http01 => (!reached.plain).then_some(("http", 80)),
            Challenge::Dns01 => None,
        };
        for (kind, at) in &self.challenges {
            if let Some((key, port)) = deaf(*kind) {
                problems.push(no_way(*at, key, port));
            }
        }
        let unsaid = self.challenges.is_empty() && acme.dns.is_none();
        if unsaid && !reached.tls && !reached.plain {
            problems.push(no_way(self.acme, "listen", 443));
        }
    }
}

fn no_way(at: At, key: &str, port: u16) -> Problem {
    Problem::warning(
        "challenge-without-a-socket",
        format!("Let's Encrypt comes to port {port}, and `{key}` has no such socket"),
    )
    .at(at, "proven there")
    .help(format!(
        "fine if port {port} of the public address is forwarded to a socket of `{key}`; else add {port} to `{key}`"
    ))
}

//! What stands before a rule, how one of several targets is chosen, and what else is done with an answer, in words.

use std::time::Duration;

use crate::config::backends::{Backends, Balance, Eject, Member, Probe, ProxyVersion, Retry, Role};
use crate::config::guard::{Auth, Guard, RateKey};
use crate::config::network::Networks;
use crate::config::site::{ClientAuth, Coding, Demand, Rule};

/// What a TLS client has to show.
pub(super) fn shown(demand: &ClientAuth) -> String {
    let whose = match demand.roots.len() {
        1 => "of the authority of `client_ca`".to_owned(),
        authorities => format!("of one of the {authorities} authorities of `client_ca`"),
    };
    match demand.demand {
        Demand::Require => format!("only clients with a certificate {whose}"),
        Demand::Request => format!("clients may show a certificate, which must be {whose}"),
    }
}

/// What is looked at before anything else is done with a request.
pub(super) fn guarded(guard: &Guard) -> Vec<String> {
    let mut lines = Vec::new();
    let Guard { access, rate, auth } = guard;
    if let Some(allow) = &access.allow {
        lines.push(format!("only from {}, else 403", networks(allow)));
    }
    if !access.deny.is_empty() {
        lines.push(format!("never from {}: 403", networks(&access.deny)));
    }
    if let Some(rate) = rate {
        let key = match &rate.key {
            RateKey::Ip => "address".to_owned(),
            RateKey::Host => "host".to_owned(),
            RateKey::Header(name) => format!("value of {name}"),
        };
        let (limit, burst, per) = (rate.limit, rate.burst, time(rate.per));
        lines.push(format!(
            "{limit} requests in {per} for each {key}, {burst} at once, else 429"
        ));
    }
    match auth {
        Some(Auth::Basic(basic)) => {
            let users = basic.users.len();
            let noun = if users == 1 { "user" } else { "users" };
            lines.push(format!(
                "only with the password of one of {users} {noun}, else 401"
            ));
        }
        Some(Auth::Forward(asked)) => {
            let (target, path) = (&asked.target, &asked.path);
            lines.push(format!("only if {target}{path} says so with 2xx"));
        }
        None => {}
    }
    lines
}

/// How a target is chosen, watched and spared; nothing of what is as ever.
pub(super) fn chosen(backends: &Backends) -> Vec<String> {
    let mut lines = Vec::new();
    let backups = backends
        .members
        .iter()
        .any(|member| member.role == Role::Backup);
    if backends.members.len() > 1 || backends.balance != Balance::RoundRobin {
        lines.push(balanced(&backends.balance, &backends.members));
    }
    if backups {
        lines.push("backups are asked when no other target can be".to_owned());
    }
    if let Some(health) = &backends.health {
        let what = match &health.probe {
            Probe::Http { path, .. } => format!("GET {path}"),
            Probe::Tcp => "a connection".to_owned(),
            Probe::Grpc { service } if service.is_empty() => "the gRPC health of the server".into(),
            Probe::Grpc { service } => format!("the gRPC health of {service}"),
        };
        let (every, fails, passes) = (time(health.every), health.fails, health.passes);
        lines.push(format!(
            "checked by {what} every {every}: down after {fails}, up after {passes}"
        ));
    }
    if backends.eject != Eject::default() {
        let Eject {
            fails,
            within,
            duration,
        } = backends.eject;
        let (within, duration) = (time(within), time(duration));
        lines.push(format!(
            "left out for {duration} after {fails} failures in {within}"
        ));
    }
    if backends.retry != Retry::default() {
        lines.push(match backends.retry.tries.get() {
            1 => "never tried again".to_owned(),
            tries => format!("tried up to {tries} times, where that is safe"),
        });
    }
    if let Some(most) = backends.max_conns {
        lines.push(format!("at most {most} at once at each target"));
    }
    match backends.proxy_protocol {
        Some(ProxyVersion::V1) => lines.push("with a PROXY header, version 1".to_owned()),
        Some(ProxyVersion::V2) => lines.push("with a PROXY header, version 2".to_owned()),
        None => {}
    }
    lines
}

/// What is done with bodies of answers.
pub(super) fn answered(rule: &Rule) -> Vec<String> {
    let mut lines = Vec::new();
    if !rule.compress.is_empty() {
        let codings = rule.compress.iter().map(|coding| match coding {
            Coding::Zstd => "zstd",
            Coding::Brotli => "br",
            Coding::Gzip => "gzip",
        });
        let codings: Vec<&str> = codings.collect();
        lines.push(format!(
            "compressed, as the client likes: {}",
            codings.join(", ")
        ));
    }
    lines
}

fn balanced(balance: &Balance, members: &[Member]) -> String {
    let weighted = members
        .iter()
        .any(|member| member.weight != members[0].weight);
    let how = match balance {
        Balance::RoundRobin => "in turn".to_owned(),
        Balance::LeastConn => "whoever has the fewest requests under way".to_owned(),
        Balance::Random => "the less busy of two that chance picks".to_owned(),
        Balance::IpHash => "the same for the same address".to_owned(),
        Balance::Cookie(name) => format!("whoever the cookie {name} says"),
        Balance::Header(name) => format!("the same for the same value of {name}"),
    };
    if weighted {
        format!("{how}, by weight")
    } else {
        how
    }
}

/// Long lists are cut.
fn networks(list: &Networks) -> String {
    const SHOWN_MAX: usize = 4;
    let shown: Vec<String> = list
        .0
        .iter()
        .take(SHOWN_MAX)
        .map(ToString::to_string)
        .collect();
    let more = match list.0.len().saturating_sub(SHOWN_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    shown.join(", ") + &more
}

/// As a configuration says it.
fn time(time: Duration) -> String {
    let millis = time.as_millis();
    for (unit, size) in [("h", 3_600_000), ("m", 60_000), ("s", 1_000)] {
        if millis >= size && millis.is_multiple_of(size) {
            return format!("{}{unit}", millis / size);
        }
    }
    format!("{millis}ms")
}

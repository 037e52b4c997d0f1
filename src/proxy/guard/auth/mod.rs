//! `auth`: whoever asks says who it is, and proves it.
//!
//! The `Authorization` field goes on to the upstream, as with other proxies: many look at the name in it. A rule whose upstream should
//! not see passwords removes it.

mod credentials;
pub(in crate::proxy) mod forward;
mod hash;
pub mod passwords;

use std::net::IpAddr;
use std::time::Instant;

use http::{HeaderMap, HeaderValue};

use crate::config::guard::Htpasswd;
use crate::proxy::context::Common;
use crate::proxy::exchange::Fault;
use crate::proxy::replies;
use credentials::{Brought, Credentials};
use passwords::{Finding, Question};

/// What a head's credentials come to.
#[derive(Debug)]
pub(super) enum Login {
    /// This user, who was found right lately.
    Known(Box<str>),
    /// To be found out.
    Unproven(Question),
    /// There is nothing to find out.
    Missing,
    /// They cannot be right.
    Wrong,
}

/// Looks at what a request brings along.
pub(super) fn login(
    file: &Htpasswd,
    headers: &HeaderMap,
    client: IpAddr,
    common: &Common,
    now: Instant,
) -> Login {
    let credentials = match credentials::read(headers) {
        Brought::Credentials(credentials) => credentials,
        Brought::Nothing => return Login::Missing,
        Brought::Nonsense => return Login::Wrong,
    };
    let passwords = &common.passwords;
    match passwords.question(file, credentials, client) {
        Some(question) if passwords.is_known(&question, now) => Login::Known(question.into_user()),
        Some(question) => Login::Unproven(question),
        None => Login::Wrong,
    }
}

/// Finds out whether a password is right, on another thread.
///
/// # Errors
/// What the client is told.
pub(super) async fn prove(
    question: Question,
    file: &Htpasswd,
    common: &Common,
    now: Instant,
) -> Result<Box<str>, Refusal> {
    match common.passwords.find(&question, now).await {
        Finding::Right => Ok(question.into_user()),
        Finding::Wrong => Err(Refusal::Wrong(unauthorized(file))),
        Finding::Busy => Err(Refusal::Busy(Fault::Reply(replies::auth_busy()))),
    }
}

/// Why somebody does not get in, and what is said.
pub(super) enum Refusal {
    Wrong(Fault),
    Busy(Fault),
}

/// Asks for a user and a password of this place.
pub(super) fn unauthorized(file: &Htpasswd) -> Fault {
    Fault::Reply(replies::unauthorized(challenge(&file.realm)))
}

fn challenge(realm: &str) -> HeaderValue {
    let realm = realm.replace('\\', "\\\\").replace('"', "\\\"");
    let text = format!("Basic realm=\"{realm}\", charset=\"UTF-8\"");
    HeaderValue::try_from(text).unwrap_or_else(|_unprintable| {
        HeaderValue::from_static("Basic realm=\"here\", charset=\"UTF-8\"")
    })
}

impl Question {
    fn into_user(self) -> Box<str> {
        let Credentials { user, .. } = self.credentials;
        user
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_realm_stays_within_its_quotes() {
        assert_eq!(
            challenge("*.a.test"),
            "Basic realm=\"*.a.test\", charset=\"UTF-8\""
        );
        assert_eq!(
            challenge("a\"\\b"),
            "Basic realm=\"a\\\"\\\\b\", charset=\"UTF-8\""
        );
        assert_eq!(challenge("a\nb"), "Basic realm=\"here\", charset=\"UTF-8\"");
    }
}

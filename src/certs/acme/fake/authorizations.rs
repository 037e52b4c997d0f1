//! Authorizations and their challenges: one failed challenge fails its authorization.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::jws::Signed;
use super::reply::Reply;
use super::state::{BASE, Probe, State, missing};
use crate::certs::acme::request::ChallengeKind;

const PENDING_LIFE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

#[derive(Debug)]
pub(super) struct Authorization {
    pub(super) account: usize,
    /// As in the order: with `*.` if it is a wildcard's.
    pub(super) name: String,
    pub(super) status: Status,
    pub(super) expires: SystemTime,
    challenges: Vec<(ChallengeKind, String)>,
    /// The challenge that is looked at, and when.
    looking: Option<(usize, SystemTime)>,
    failure: Option<(usize, &'static str, String)>,
    won_by: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Pending,
    Valid,
    Invalid,
    Deactivated,
    Expired,
}

impl Authorization {
    pub(super) fn status(&self, now: SystemTime) -> Status {
        let is_live = matches!(self.status, Status::Pending | Status::Valid);
        if is_live && self.expires <= now {
            return Status::Expired;
        }
        self.status
    }

    fn base(&self) -> &str {
        self.name.strip_prefix("*.").unwrap_or(&self.name)
    }
}

impl State {
    /// An authorization for the name: a valid one of the account, or a new one.
    pub(super) fn authorize(&mut self, account: usize, name: &str) -> usize {
        let now = self.now();
        let key = (account, name.to_owned());
        let known = self.index.authorizations.get(&key).into_iter().flatten();
        let reused = known
            .copied()
            .find(|it| self.authorizations[*it].status(now) == Status::Valid);
        if let Some(number) = reused {
            return number;
        }
        let number = self.authorizations.len();
        let known = self.index.authorizations.entry(key).or_default();
        known.push(number);
        let is_wildcard = name.starts_with("*.");
        let is_address = name.parse::<std::net::IpAddr>().is_ok();
        let kinds = self.behaviour.challenges.clone().into_iter();
        let kinds = kinds.filter(|kind| match kind {
            ChallengeKind::Dns01 => !is_address,
            ChallengeKind::Http01 | ChallengeKind::TlsAlpn01 => !is_wildcard,
        });
        let challenges = kinds.map(|kind| (kind, self.token())).collect();
        self.authorizations.push(Authorization {
            account,
            name: name.to_owned(),
            status: Status::Pending,
            expires: now + PENDING_LIFE,
            challenges,
            looking: None,
            failure: None,
            won_by: None,
        });
        number
    }

    pub(super) fn authorization(
        &mut self,
        account: usize,
        number: usize,
        signed: &Signed,
    ) -> Result<Reply, Reply> {
        let now = self.now();
        let authorization = self.authorizations.get_mut(number).ok_or_else(missing)?;
        if authorization.account != account {
            return Err(Reply::problem(
                403,
                "unauthorized",
                "it is another account's",
            ));
        }
        if signed.payload["status"] == "deactivated" {
            if !matches!(authorization.status(now), Status::Pending | Status::Valid) {
                return Err(Reply::problem(400, "malformed", "it is final already"));
            }
            authorization.status = Status::Deactivated;
        }
        Ok(Reply::json(200, &self.authorization_json(number)))
    }

    pub(super) fn challenge(
        &mut self,
        account: usize,
        number: usize,
        which: usize,
    ) -> Result<Reply, Reply> {
        let now = self.now();
        let due = now + self.behaviour.validation_time;
        let authorization = self.authorizations.get_mut(number).ok_or_else(missing)?;
        if authorization.account != account || which >= authorization.challenges.len() {
            return Err(missing());
        }
        match authorization.status(now) {
            Status::Pending => {
                authorization.looking.get_or_insert((which, due));
                self.index.looking.insert(number);
            }
            Status::Valid => {}
            Status::Invalid | Status::Deactivated | Status::Expired => {
                return Err(Reply::problem(
                    400,
                    "malformed",
                    "the authorization is final",
                ));
            }
        }
        self.settle();
        Ok(Reply::json(200, &self.challenge_json(number, which)))
    }

    /// Looks at the challenges that are due.
    pub(super) fn settle_authorizations(&mut self) {
        let now = self.now();
        for number in self.index.looking.clone() {
            let authorization = &self.authorizations[number];
            let Some((which, due)) = authorization.looking else {
                continue;
            };
            if due > now {
                continue;
            }
            self.index.looking.remove(&number);
            if authorization.status != Status::Pending {
                continue;
            }
            let probe = self.probe(number, which);
            let found = (self.look)(&probe);
            let reuse = self.behaviour.authorization_reuse;
            let authorization = &mut self.authorizations[number];
            authorization.looking = None;
            match found {
                Ok(()) => {
                    authorization.status = Status::Valid;
                    authorization.expires = now + reuse;
                    authorization.won_by = Some(which);
                }
                Err((kind, words)) => {
                    authorization.status = Status::Invalid;
                    authorization.failure = Some((which, kind, words));
                    let subject = (authorization.account, authorization.name.clone());
                    self.counters.failed_authorizations += 1;
                    self.buckets
                        .spend_failure(&self.behaviour.limits, &subject, now);
                }
            }
        }
    }

    /// What is being looked at.
    pub(super) fn probes(&self) -> Vec<Probe> {
        let looking = self.index.looking.iter();
        let of = |number: &usize| {
            let (which, _due) = self.authorizations[*number].looking?;
            Some(self.probe(*number, which))
        };
        looking.filter_map(of).collect()
    }

    fn probe(&self, number: usize, which: usize) -> Probe {
        let authorization = &self.authorizations[number];
        let (kind, token) = authorization.challenges[which].clone();
        let thumbprint = &self.accounts[authorization.account].key.thumbprint;
        Probe {
            kind,
            name: authorization.base().to_owned(),
            key_authorization: format!("{token}.{thumbprint}"),
            token,
        }
    }

    pub(super) fn pending_authorizations(&self) -> usize {
        let now = self.now();
        let all = self.authorizations.iter();
        all.filter(|it| it.status(now) == Status::Pending).count()
    }

    fn authorization_json(&self, number: usize) -> Value {
        let authorization = &self.authorizations[number];
        let challenges: Vec<Value> = (0..authorization.challenges.len())
            .map(|which| self.challenge_json(number, which))
            .chain(std::iter::once(json!({
                "type": "dns-persist-01", "url": format!("{BASE}/persist"), "status": "pending",
                "issuer-domain-names": ["ca.test"],
            })))
            .collect();
        let kind = match authorization.base().parse::<std::net::IpAddr>() {
            Ok(_) => "ip",
            Err(_) => "dns",
        };
        let mut json = json!({
            "identifier": { "type": kind, "value": authorization.base() },
            "status": word(authorization.status(self.now())),
            "challenges": challenges,
        });
        if authorization.name.starts_with("*.") {
            json["wildcard"] = json!(true);
        }
        json
    }

    fn challenge_json(&self, number: usize, which: usize) -> Value {
        let authorization = &self.authorizations[number];
        let (kind, token) = &authorization.challenges[which];
        let failure = authorization.failure.as_ref();
        let failure = failure.filter(|(failed, ..)| *failed == which);
        let status = if failure.is_some() {
            "invalid"
        } else if authorization.won_by == Some(which) {
            "valid"
        } else if authorization
            .looking
            .is_some_and(|(looked, _)| looked == which)
        {
            "processing"
        } else {
            "pending"
        };
        let mut json = json!({
            "type": kind.as_str(), "token": token, "status": status,
            "url": format!("{BASE}/challenge/{number}/{which}"),
        });
        if let Some((_, kind, words)) = failure {
            let kind = format!("urn:ietf:params:acme:error:{kind}");
            json["error"] = json!({ "type": kind, "detail": words, "status": 403 });
        }
        json
    }
}

fn word(status: Status) -> &'static str {
    match status {
        Status::Pending => "pending",
        Status::Valid => "valid",
        Status::Invalid => "invalid",
        Status::Deactivated => "deactivated",
        Status::Expired => "expired",
    }
}

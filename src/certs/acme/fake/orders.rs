//! Orders as Boulder has them: `replaces` is looked at first, then an order that can be used again, then the limits.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use http::header;
use rcgen::CertificateSigningRequestParams;
use serde_json::{Value, json};

use super::authorizations::Status;
use super::issue::san_text;
use super::jws::{Signed, decode};
use super::reply::Reply;
use super::state::{BASE, State, missing};

const ORDER_LIFE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

#[derive(Debug)]
pub(super) struct Order {
    account: usize,
    pub(super) names: BTreeSet<String>,
    profile: Option<String>,
    replaces: Option<String>,
    authorizations: Vec<usize>,
    expires: SystemTime,
    is_renewal: bool,
    stage: Stage,
}

enum Stage {
    Open,
    Processing(SystemTime, Box<CertificateSigningRequestParams>),
    /// The number of the certificate.
    Valid(usize),
}

impl std::fmt::Debug for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Open => "Open",
            Self::Processing(..) => "Processing",
            Self::Valid(_) => "Valid",
        })
    }
}

impl State {
    pub(super) fn new_order(&mut self, account: usize, signed: &Signed) -> Result<Reply, Reply> {
        let now = self.now();
        let names = names(&signed.payload)?;
        let asked = signed.payload["profile"].as_str().map(str::to_owned);
        if let Some(profile) = &asked
            && !self.behaviour.profiles.contains_key(profile)
        {
            return Err(Reply::problem(400, "invalidProfile", "unknown profile"));
        }
        let profile = self.behaviour.profile_forced.clone().or(asked);
        let replaces = signed.payload["replaces"].as_str().map(str::to_owned);
        let is_exempt = match &replaces {
            Some(id) => {
                let replaced = self.replaced(account, id, &names, now);
                self.counters.vain_replacements += u64::from(replaced.is_err());
                replaced?
            }
            None => false,
        };
        let key = (account, names.clone());
        let known = self.index.orders.get(&key).into_iter().flatten();
        let reused = known.copied().find(|number| {
            self.orders[*number].profile == profile
                && matches!(self.order_status(*number), "pending" | "ready")
        });
        if let Some(number) = reused {
            return Ok(self.order_reply(201, number));
        }
        if let Some(name) = names
            .iter()
            .find(|name| self.behaviour.paused.contains(*name))
        {
            let words = format!("{name} is paused: visit {BASE}/unpause?jwt=x");
            return Err(Reply::problem(429, "rateLimited", &words));
        }
        let is_renewal = self.index.issued.contains(&names);
        if is_exempt {
            self.counters.exempt += 1;
        } else {
            let limits = &self.behaviour.limits;
            self.buckets
                .admit(limits, account, &names, is_renewal, now)?;
        }
        let each = names.iter().map(|name| self.authorize(account, name));
        let authorizations = each.collect();
        self.counters.orders += 1;
        let number = self.orders.len();
        self.index.orders.entry(key).or_default().push(number);
        if let Some(id) = &replaces {
            let replacing = self.index.replacing.entry(id.clone()).or_default();
            replacing.push(number);
        }
        self.orders.push(Order {
            account,
            names,
            profile,
            replaces,
            authorizations,
            expires: now + ORDER_LIFE,
            is_renewal: is_renewal || is_exempt,
            stage: Stage::Open,
        });
        Ok(self.order_reply(201, number))
    }

    /// Whether the order may replace that certificate, and if so whether it is inside its window.
    fn replaced(
        &self,
        account: usize,
        id: &str,
        names: &BTreeSet<String>,
        now: SystemTime,
    ) -> Result<bool, Reply> {
        let certificate = self.index.certificates.get(id).ok_or_else(missing)?;
        let certificate = &self.certificates[*certificate];
        if certificate.account != account {
            return Err(Reply::problem(
                403,
                "unauthorized",
                "another account's certificate",
            ));
        }
        if certificate.names.is_disjoint(names) {
            return Err(Reply::problem(400, "malformed", "no name in common"));
        }
        let mut replacing = self.index.replacing.get(id).into_iter().flatten();
        let is_taken = replacing.any(|number| self.order_status(*number) != "invalid");
        if is_taken {
            let words = "the certificate has been replaced by another order";
            return Err(Reply::problem(409, "alreadyReplaced", words));
        }
        let (start, end) = certificate.window();
        Ok(start <= now && now < end)
    }

    pub(super) fn show_order(&self, account: usize, number: usize) -> Result<Reply, Reply> {
        let order = self.orders.get(number).ok_or_else(missing)?;
        let is_over = order.expires <= self.now() && self.order_status(number) != "valid";
        if order.account != account || is_over {
            return Err(missing());
        }
        Ok(self.order_reply(200, number))
    }

    pub(super) fn finalize(
        &mut self,
        account: usize,
        number: usize,
        signed: &Signed,
    ) -> Result<Reply, Reply> {
        self.show_order(account, number)?;
        let status = self.order_status(number);
        if status != "ready" {
            let words = format!("the order is {status}");
            return Err(Reply::problem(403, "orderNotReady", &words));
        }
        let bad = |words: &str| Reply::problem(400, "badCSR", words);
        let csr = signed.payload["csr"].as_str().and_then(decode);
        let csr = csr.ok_or_else(|| bad("no CSR"))?.into();
        let csr = CertificateSigningRequestParams::from_der(&csr);
        let csr = csr.map_err(|_unreadable| bad("the CSR cannot be read"))?;
        let found: BTreeSet<String> = csr.params.subject_alt_names.iter().map(san_text).collect();
        if found != self.orders[number].names {
            return Err(bad("the CSR has other names than the order"));
        }
        if csr.params.distinguished_name.iter().next().is_some() {
            return Err(bad("the CSR has a subject"));
        }
        let due = self.now() + self.behaviour.processing_time;
        self.orders[number].stage = Stage::Processing(due, Box::new(csr));
        self.index.processing.insert(number);
        self.settle();
        Ok(self.order_reply(200, number))
    }

    pub(super) fn download(&self, account: usize, number: usize) -> Result<Reply, Reply> {
        let certificate = self.certificates.get(number).ok_or_else(missing)?;
        if certificate.account != account {
            return Err(missing());
        }
        let forced = self.behaviour.chain_forced.as_ref();
        let chain = forced.unwrap_or(&certificate.chain_pem);
        let link = format!("<{BASE}/certificate/{number}/1>;rel=\"alternate\"");
        Ok(Reply::text(200, chain).with(header::LINK, link))
    }

    /// Does what is due.
    pub(super) fn settle(&mut self) {
        self.settle_authorizations();
        let now = self.now();
        for number in self.index.processing.clone() {
            let order = &mut self.orders[number];
            let Stage::Processing(due, _) = &order.stage else {
                continue;
            };
            if *due > now {
                continue;
            }
            let Stage::Processing(_, csr) = std::mem::replace(&mut order.stage, Stage::Open) else {
                continue;
            };
            let (account, names) = (order.account, order.names.clone());
            let (is_renewal, profile) = (order.is_renewal, order.profile.clone());
            let limits = &self.behaviour.limits;
            self.buckets.spend_issuance(limits, &names, is_renewal, now);
            self.index.processing.remove(&number);
            self.index.issued.insert(names.clone());
            let certificate = self.issue(account, names, profile.as_deref(), *csr);
            let issued = self.certificates.len();
            self.index
                .certificates
                .insert(certificate.id.clone(), issued);
            self.certificates.push(certificate);
            self.counters.issued += 1;
            self.orders[number].stage = Stage::Valid(issued);
        }
    }

    fn order_status(&self, number: usize) -> &'static str {
        let order = &self.orders[number];
        let now = self.now();
        match order.stage {
            Stage::Processing(..) => return "processing",
            Stage::Valid(_) => return "valid",
            Stage::Open => {}
        }
        if order.expires <= now {
            return "invalid";
        }
        let statuses = order.authorizations.iter();
        let mut statuses = statuses.map(|it| self.authorizations[*it].status(now));
        if statuses.clone().all(|status| status == Status::Valid) {
            return "ready";
        }
        if statuses.any(|it| !matches!(it, Status::Valid | Status::Pending)) {
            return "invalid";
        }
        "pending"
    }

    fn order_reply(&self, status: u16, number: usize) -> Reply {
        let order = &self.orders[number];
        let identifiers: Vec<Value> = order.names.iter().map(|name| identifier(name)).collect();
        let authorizations = order.authorizations.iter();
        let authorizations: Vec<String> = authorizations
            .map(|it| format!("{BASE}/authz/{it}"))
            .collect();
        let word = self.order_status(number);
        let mut json = json!({
            "status": word,
            "identifiers": identifiers,
            "authorizations": authorizations,
            "finalize": format!("{BASE}/finalize/{number}"),
        });
        if let Some(profile) = &order.profile {
            json["profile"] = json!(profile);
        }
        if let (Some(replaces), true) = (&order.replaces, self.behaviour.echoes_replaces) {
            json["replaces"] = json!(replaces);
        }
        if let Stage::Valid(certificate) = order.stage {
            json["certificate"] = json!(format!("{BASE}/certificate/{certificate}"));
        }
        let reply = Reply::json(status, &json).at(&format!("/order/{number}"));
        match word {
            "processing" => reply.retry_after(Duration::from_secs(3)),
            _ => reply,
        }
    }
}

fn names(payload: &Value) -> Result<BTreeSet<String>, Reply> {
    let bad = || Reply::problem(400, "malformed", "no identifiers");
    let identifiers = payload["identifiers"].as_array().ok_or_else(bad)?;
    let names = identifiers
        .iter()
        .map(|it| Some(it["value"].as_str()?.to_owned()));
    let names: Option<BTreeSet<String>> = names.collect();
    names.filter(|names| !names.is_empty()).ok_or_else(bad)
}

fn identifier(name: &str) -> Value {
    let kind = match name.parse::<std::net::IpAddr>() {
        Ok(_) => "ip",
        Err(_) => "dns",
    };
    json!({ "type": kind, "value": name })
}

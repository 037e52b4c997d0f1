//! Accounts: one for each key.

use serde_json::{Value, json};

use super::jws::{PublicKey, Signed, is_bound};
use super::reply::Reply;
use super::state::{BASE, State};

#[derive(Debug)]
pub(super) struct Account {
    pub(super) key: PublicKey,
    pub(super) contacts: Vec<String>,
    pub(super) is_active: bool,
}

impl State {
    pub(super) fn new_account(&mut self, signed: &Signed) -> Result<Reply, Reply> {
        let key = signed.key.as_ref();
        let key = key.ok_or_else(|| Reply::problem(400, "malformed", "no key"))?;
        signed.verify(key)?;
        self.counters.registrations += 1;
        if let Some(number) = self.accounts.iter().position(|it| it.key == *key) {
            return Ok(shown(200, number));
        }
        if let Some((kid, secret)) = &self.behaviour.eab {
            let binding = &signed.payload["externalAccountBinding"];
            if binding.is_null() {
                let words = "an external account is required";
                return Err(Reply::problem(403, "externalAccountRequired", words));
            }
            if !is_bound(binding, kid, secret, key) {
                return Err(Reply::problem(
                    403,
                    "unauthorized",
                    "unknown external account",
                ));
            }
        }
        if signed.payload["termsOfServiceAgreed"] != true {
            return Err(Reply::problem(
                400,
                "malformed",
                "the terms must be agreed to",
            ));
        }
        let now = self.now();
        self.buckets.admit_account(&self.behaviour.limits, now)?;
        self.accounts.push(Account {
            key: key.clone(),
            contacts: contacts(&signed.payload),
            is_active: true,
        });
        Ok(shown(201, self.accounts.len() - 1))
    }

    /// The number of the account that signed.
    pub(super) fn account(&self, signed: &Signed) -> Result<usize, Reply> {
        let gone = || Reply::problem(400, "accountDoesNotExist", "no account has this URL");
        let kid = signed.kid.as_deref().ok_or_else(gone)?;
        let number = kid.strip_prefix(&format!("{BASE}/account/"));
        let number = number
            .and_then(|it| it.parse::<usize>().ok())
            .ok_or_else(gone)?;
        let account = self.accounts.get(number).ok_or_else(gone)?;
        signed.verify(&account.key)?;
        if !account.is_active {
            return Err(Reply::problem(
                403,
                "unauthorized",
                "the account is deactivated",
            ));
        }
        Ok(number)
    }

    pub(super) fn update_account(&mut self, number: usize, signed: &Signed) -> Reply {
        if signed.payload.get("contact").is_some() {
            self.accounts[number].contacts = contacts(&signed.payload);
        }
        shown(200, number)
    }
}

fn shown(status: u16, number: usize) -> Reply {
    Reply::json(status, &json!({ "status": "valid" })).at(&format!("/account/{number}"))
}

fn contacts(payload: &Value) -> Vec<String> {
    let contacts = payload["contact"].as_array();
    let contacts = contacts.into_iter().flatten();
    contacts
        .filter_map(|it| Some(it.as_str()?.to_owned()))
        .collect()
}

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
        if signed.payload["onlyReturnExisting"] != true {
            self.counters.registrations += 1;
        }
        if let Some(number) = self.accounts.iter().position(|it| it.key == *key) {
            if !self.accounts[number].is_active {
                let words = "the account is deactivated";
                return Err(Reply::problem(403, "unauthorized", words));
            }
            return Ok(shown(200, number));
        }
        if signed.payload["onlyReturnExisting"] == true {
            let words = "no account has this key";
            return Err(Reply::problem(400, "accountDoesNotExist", words));
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

    /// RFC 8555 section 7.3.5
    pub(super) fn change_key(&mut self, number: usize, signed: &Signed) -> Result<Reply, Reply> {
        let malformed = |words| Reply::problem(400, "malformed", words);
        let inner = signed.within()?;
        let key = inner.key.as_ref().ok_or_else(|| malformed("no new key"))?;
        inner.verify(key)?;
        let old = PublicKey::parse(&inner.payload["oldKey"]);
        if old.as_ref() != Some(&self.accounts[number].key) {
            return Err(malformed("the old key is another one"));
        }
        if inner.url != signed.url || !inner.nonce.is_empty() {
            return Err(malformed("the inner header is wrong"));
        }
        if inner.payload["account"].as_str() != signed.kid.as_deref() {
            return Err(malformed("the account is another one"));
        }
        if self.accounts.iter().any(|it| it.key == *key) {
            return Err(Reply::problem(409, "conflict", "the key has an account"));
        }
        self.accounts[number].key = key.clone();
        self.counters.key_changes += 1;
        Ok(shown(200, number))
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

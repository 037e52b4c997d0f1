//! What becomes of what was found, in sentences.

use super::entry::Told;
use crate::certs::adopt::{AccountFate, Fate, Seen};
use crate::certs::import::findings::{Findings, FoundAccount};
use crate::certs::utc::minute;

pub(super) fn fate(fate: &Fate, findings: &Findings, told: Told) -> String {
    match fate {
        Fate::Take { over: None } => would(told, "be taken"),
        Fate::Take { over: Some(until) } => would(
            told,
            &format!("take the place of ours until {}", minute(*until)),
        ),
        Fate::Taken => "taken".to_owned(),
        Fate::Same => "here already".to_owned(),
        Fate::OursStays { until } => {
            format!(
                "left: ours is newer or lasts longer, until {}",
                minute(*until)
            )
        }
        Fate::OtherWins { number } => {
            let other = findings.certificates.get(*number);
            let other = other.map(|other| other.place.as_str()).unwrap_or_default();
            format!("left: {other} lasts longer")
        }
        Fate::Busy => "not now: another process is ordering for that name".to_owned(),
        Fate::Failed(why) => format!("failed: {why}"),
    }
}

pub(super) fn account(
    fate: &AccountFate,
    found: &FoundAccount,
    findings: &Findings,
    told: Told,
) -> String {
    let tool = found.tool;
    match fate {
        AccountFate::Adopt { seen, .. } => would(told, &format!("become ours{}", unseen(seen))),
        AccountFate::Adopted { seen, .. } => format!("ours from now on{}", unseen(seen)),
        AccountFate::TakeOver { .. } => would(
            told,
            &format!("get a new key of ours; {tool} could not use it any more"),
        ),
        AccountFate::TakenOver { .. } => {
            format!("ours from now on, under a new key: {tool} cannot use it any more")
        }
        AccountFate::Ours { .. } => "ours already".to_owned(),
        AccountFate::OursStays { url: Some(url) } => {
            format!("left: onedoor has another account there, {url}, which stays")
        }
        AccountFate::OursStays { url: None } => {
            "left: onedoor is just making another account there".to_owned()
        }
        AccountFate::OtherWins { number } => {
            let other = findings.accounts.get(*number);
            let other = other.map(|other| other.place.as_str()).unwrap_or_default();
            format!("left: {other} is the one that stays at this CA, for it ordered more")
        }
        AccountFate::NeedsTakeOver { kind } => format!(
            "left: its key is {kind}, and onedoor orders with P-256; `--take-over-account` has the CA change the key, and then {tool} cannot use the account any more"
        ),
        AccountFate::Unknown => "left: the CA does not know it".to_owned(),
        AccountFate::Unusable(why) => format!("left: {why}"),
        AccountFate::Unreachable(why) => {
            format!("left: the CA must be asked about it, and was not reached: {why}")
        }
        AccountFate::Busy => "not now: another process is making an account there".to_owned(),
        AccountFate::Failed(why) => format!("failed: {why}"),
    }
}

fn would(told: Told, what: &str) -> String {
    match told {
        Told::Beforehand => format!("would {what}"),
        // Only of what was given up before it was its turn.
        Told::Afterwards => format!("did not {what}"),
    }
}

fn unseen(seen: &Seen) -> String {
    match seen {
        Seen::Confirmed => String::new(),
        Seen::NotAsked(why) => format!("; the CA was not reached to confirm it: {why}"),
    }
}

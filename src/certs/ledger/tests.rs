use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::instant::{DAY, HOUR, MINUTE};
use super::kept::{EVENTS_MAX, SUBJECTS_MAX, lightest_out};
use super::limits::{Limit, Limits};
use super::refusal::Reason;
use super::{Ledger, Purpose, Scope};

/// 2026-11-22 01:02:03 UTC.
fn start() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_795_309_323)
}

fn production() -> &'static Limits {
    Limits::of("https://acme-v02.api.letsencrypt.org/directory")
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn left(ledger: &Ledger, limit: Limit, now: SystemTime) -> Vec<(String, u32, u32)> {
    let buckets = ledger.report(production(), now).buckets.into_iter();
    buckets
        .filter(|bucket| bucket.limit == limit)
        .map(|bucket| (bucket.subject, bucket.left, bucket.ca_left))
        .collect()
}

#[test]
fn a_refusal_says_which_limit_how_much_is_left_and_when_it_refills() {
    let mut ledger = Ledger::default();
    let site = names(&["www.example.com"]);
    for _ in 0..2 {
        ledger
            .admit(production(), &site, Purpose::New, start())
            .unwrap();
    }
    let refusal = ledger
        .admit(production(), &site, Purpose::New, start() + HOUR)
        .unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "Let's Encrypt issues 5 certificates for exactly these names in 7 days; onedoor's own budget of 2 is used up, 0 left; the next one is free on 2026-11-29 01:03 UTC"
    );
    for _ in 0..3 {
        ledger
            .admit(production(), &site, Purpose::Forced, start() + HOUR)
            .unwrap();
    }
    let refusal = ledger
        .admit(production(), &site, Purpose::Forced, start() + HOUR)
        .unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "Let's Encrypt issues 5 certificates for exactly these names in 7 days; all are used up, 0 left; the next one is free on 2026-11-23 10:39 UTC"
    );
    let other = Limits::of("https://ca.internal/directory");
    for _ in 0..30 {
        ledger
            .admit(other, &names(&["b.internal"]), Purpose::New, start())
            .unwrap();
    }
    let refusal = ledger
        .admit(other, &names(&["b.internal"]), Purpose::New, start())
        .unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "this certificate authority publishes no limits, so onedoor assumes 60 certificates for exactly these names in 1 hour; onedoor's own budget of 30 is used up, 0 left; the next one is free on 2026-11-22 02:03 UTC"
    );
}

#[test]
fn a_refused_order_spends_nothing() {
    let mut ledger = Ledger::default();
    let site = names(&["a.example.com", "b.example.org"]);
    for _ in 0..3 {
        ledger.authorization_failed(production(), "a.example.com", start());
    }
    let refusal = ledger
        .admit(production(), &site, Purpose::New, start())
        .unwrap_err();
    assert!(matches!(
        refusal.reason,
        Reason::UsedUp { limit: Limit::FailedValidations, ref subject, .. } if subject == "a.example.com"
    ));
    for limit in [Limit::CertificatesPerNames, Limit::CertificatesPerDomain] {
        assert!(left(&ledger, limit, start()).is_empty());
    }
    assert_eq!(left(&ledger, Limit::NewOrders, start())[0].1, 300);
    ledger
        .admit(production(), &site, Purpose::New, start() + HOUR)
        .unwrap();
    assert_eq!(
        left(&ledger, Limit::CertificatesPerDomain, start() + HOUR),
        [
            ("example.com".to_owned(), 39, 49),
            ("example.org".to_owned(), 39, 49)
        ]
    );
}

#[test]
fn a_renewal_of_the_same_names_counts_for_the_names_only() {
    let mut ledger = Ledger::default();
    let site = names(&["www.example.com"]);
    ledger.issued(production(), &site, start());
    let at = start() + DAY * 100;
    ledger
        .admit(
            production(),
            &names(&["WWW.example.com"]),
            Purpose::Renewal,
            at,
        )
        .unwrap();
    assert_eq!(left(&ledger, Limit::NewOrders, at)[0].1, 300);
    assert!(left(&ledger, Limit::CertificatesPerDomain, at).is_empty());
    assert_eq!(left(&ledger, Limit::CertificatesPerNames, at)[0].1, 1);
    let late = start() + DAY * 121;
    ledger
        .admit(production(), &site, Purpose::Renewal, late)
        .unwrap();
    assert_eq!(left(&ledger, Limit::CertificatesPerDomain, late)[0].1, 39);
}

#[test]
fn a_renewal_inside_its_window_is_written_down_and_only_held_by_the_authority_itself() {
    let mut ledger = Ledger::default();
    let site = names(&["www.example.com"]);
    let until = start() + HOUR;
    ledger.blocked(
        production(),
        &Scope::Names(site.clone()),
        until,
        "too many",
        start(),
    );
    for _ in 0..100 {
        ledger
            .admit(production(), &site, Purpose::AriRenewal, start())
            .unwrap();
    }
    assert!(left(&ledger, Limit::CertificatesPerNames, start()).is_empty());
    assert!(
        ledger
            .events()
            .any(|event| event.what == "renewal inside its window")
    );
    ledger.blocked(production(), &Scope::Ca, until, "busy", start());
    let refusal = ledger
        .admit(production(), &site, Purpose::AriRenewal, start())
        .unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "Let's Encrypt asked to wait until 2026-11-22 02:03 UTC with everything: busy"
    );
    ledger
        .admit(production(), &site, Purpose::AriRenewal, until)
        .unwrap();
}

#[test]
fn a_wait_holds_what_it_is_about_even_by_hand() {
    let mut ledger = Ledger::default();
    let scope = Scope::Domain("www.example.com".to_owned());
    ledger.blocked(
        production(),
        &scope,
        start() + DAY * 80,
        "slow\u{1b}[2J",
        start(),
    );
    let refusal = ledger
        .admit(
            production(),
            &names(&["b.example.com"]),
            Purpose::Forced,
            start(),
        )
        .unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "Let's Encrypt asked to wait until 2026-11-29 01:03 UTC with certificates of a domain (example.com): slow [2J"
    );
    ledger
        .admit(
            production(),
            &names(&["example.org"]),
            Purpose::New,
            start(),
        )
        .unwrap();
    let shorter = start() + MINUTE;
    ledger.blocked(production(), &scope, shorter, "sooner", start());
    assert_eq!(
        ledger.report(production(), start()).blocks[0].words,
        "slow [2J"
    );
}

#[test]
fn an_order_that_was_not_issued_gives_the_certificates_back() {
    let mut ledger = Ledger::default();
    let site = names(&["www.example.com"]);
    for minute in 0..20 {
        let at = start() + MINUTE * minute;
        ledger.admit(production(), &site, Purpose::New, at).unwrap();
        ledger.not_issued(production(), &site, at, at + MINUTE / 2);
    }
    let at = start() + MINUTE * 19 + MINUTE / 2;
    assert!(left(&ledger, Limit::CertificatesPerNames, at).is_empty());
    assert!(left(&ledger, Limit::CertificatesPerDomain, at).is_empty());
    assert!(left(&ledger, Limit::NewOrders, at)[0].1 < 300);
}

#[test]
fn a_clock_that_was_far_ahead_locks_nobody_out() {
    let mut ledger = Ledger::default();
    let site = names(&["www.example.com"]);
    let ahead = start() + DAY * 80;
    for _ in 0..2 {
        ledger
            .admit(production(), &site, Purpose::New, ahead)
            .unwrap();
    }
    ledger.blocked(production(), &Scope::Ca, ahead + HOUR, "busy", ahead);
    ledger.settle(production(), start());
    let now = start() + DAY;
    let refusal = ledger
        .admit(production(), &site, Purpose::New, now)
        .unwrap_err();
    assert!(refusal.to_string().contains("budget of 2"));
    assert_eq!(refusal.free_at, start() + DAY * 7);
    ledger
        .admit(production(), &site, Purpose::Forced, now)
        .unwrap();
    let free_at = refusal.free_at;
    ledger
        .admit(production(), &site, Purpose::New, free_at)
        .unwrap();
}

#[test]
fn accounts_have_a_budget_too() {
    let mut ledger = Ledger::default();
    for _ in 0..3 {
        ledger.may_make_account(production(), start()).unwrap();
        ledger.account_made(production(), start());
    }
    ledger.may_make_account(production(), start()).unwrap_err();
    let later = start() + HOUR * 3;
    ledger.may_make_account(production(), later).unwrap();
}

#[test]
fn tables_stay_bounded_and_the_lightest_go_first() {
    let mut ledger = Ledger::default();
    for n in 0..=EVENTS_MAX {
        let site = names(&[&format!("host{n}.example")]);
        ledger.issued(production(), &site, start() + DAY * 30);
    }
    assert_eq!(ledger.events().count(), EVENTS_MAX);
    let excess = SUBJECTS_MAX + 10;
    let mut entries = (0..excess).map(|n| (n.to_string(), n as u64)).collect();
    lightest_out(&mut entries, SUBJECTS_MAX, |weight| *weight);
    assert_eq!(entries.len(), SUBJECTS_MAX);
    assert!(!entries.contains_key("9") && entries.contains_key("10"));
}

#[test]
fn a_report_is_a_table_and_json() {
    let mut ledger = Ledger::default();
    let site = names(&["www.example.com"]);
    ledger
        .admit(production(), &site, Purpose::New, start())
        .unwrap();
    ledger.blocked(production(), &Scope::Ca, start() + HOUR, "busy", start());
    let report = ledger.report(production(), start());
    assert_eq!(
        report.table(),
        "Let's Encrypt
LIMIT                           OF               LEFT        AT THE CA   NEXT
new orders                      this account     299 of 300  299 of 300  2026-11-22 01:03 UTC
certificates of a domain        example.com      39 of 40    49 of 50    2026-11-29 01:03 UTC
certificates of the same names  www.example.com  1 of 2      4 of 5      2026-11-29 01:03 UTC
new accounts                    this storage     3 of 3      10 of 10
wait until 2026-11-22 02:03 UTC with everything, as asked: busy
"
    );
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(
        json["buckets"][2],
        serde_json::json!({"limit": "certificates_per_names", "subject": "www.example.com", "left": 1, "of": 2, "ca_left": 4, "ca_of": 5, "refills_at": "2026-11-29T01:02:03Z"})
    );
    assert_eq!(json["buckets"][3]["refills_at"], serde_json::Value::Null);
    assert_eq!(json["blocks"][0]["until"], "2026-11-22T02:02:03Z");
}

//! How the certificates are, by the days that are left.

use crate::cli::certs::digest::{Digest, Health};
use crate::cli::doctor::finding::{Finding, Status};

pub(in crate::cli::doctor) fn judge(digest: &Digest) -> Finding {
    let name = &digest.name;
    let id = format!("certificate-{name}");
    let days = match digest.days_left {
        Some(days) => format!("the certificate of {name} has {days} days left"),
        None => format!("{name} has no certificate"),
    };
    let (status, what) = match digest.health {
        Health::Fine => (Status::Ok, days),
        Health::Warning => (Status::Warning, days),
        Health::Critical => (Status::Problem, days),
        Health::Unknown => (Status::Unknown, days),
        Health::NotYet => (Status::Unknown, format!("{name} has no certificate yet")),
    };
    let mut found = Finding::new(id, status, what);
    if !digest.reasons.is_empty() {
        found = found.detail(digest.reasons.join("\n"));
    }
    match digest.health {
        Health::Fine => found,
        Health::NotYet => found.fix("onedoor up"),
        Health::Warning | Health::Critical | Health::Unknown => {
            found.fix(format!("onedoor certs show '{name}'"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_told_by_its_days() {
        #[track_caller]
        fn check(health: Health, days_left: Option<i64>, status: Status, fix: Option<&str>) {
            let digest = Digest {
                name: "*.example.com".to_owned(),
                health,
                days_left,
                reasons: Vec::new(),
            };
            let finding = judge(&digest);
            assert_eq!((finding.status, finding.fix.as_deref()), (status, fix));
        }
        let show = Some("onedoor certs show '*.example.com'");
        check(Health::Fine, Some(60), Status::Ok, None);
        check(Health::Warning, Some(15), Status::Warning, show);
        check(Health::Critical, Some(-1), Status::Problem, show);
        check(Health::NotYet, None, Status::Unknown, Some("onedoor up"));
    }
}

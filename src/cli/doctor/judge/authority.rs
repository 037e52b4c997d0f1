//! Whether certificate authorities are reached, and whether their clocks agree with ours.

use std::time::{Duration, SystemTime};

use crate::certs::acme::reach::Reached;
use crate::cli::doctor::finding::{Finding, Status};
use crate::system::System;

/// Less is the way of the packets.
const CLOCK_SLACK: Duration = Duration::from_secs(30);
/// More makes new certificates not yet valid, and old ones expire unseen.
const CLOCK_WRONG: Duration = Duration::from_secs(15 * 60);

/// A CA of the configuration, and what its directory answered.
#[derive(Debug, Clone)]
pub(in crate::cli::doctor) struct Authority {
    pub(in crate::cli::doctor) url: String,
    pub(in crate::cli::doctor) reached: Result<Reached, String>,
    /// When the answer came.
    pub(in crate::cli::doctor) now: SystemTime,
}

pub(in crate::cli::doctor) fn judge(authority: &Authority) -> Finding {
    let url = &authority.url;
    let id = format!("ca-{url}");
    match &authority.reached {
        Ok(reached) if reached.status.is_success() => {
            Finding::new(id, Status::Ok, format!("the CA {url} answers"))
        }
        Ok(reached) => Finding::new(
            id,
            Status::Problem,
            format!("the CA {url} answers {}", reached.status),
        )
        .fix(format!("curl -i '{url}'")),
        Err(why) => Finding::new(id, Status::Problem, format!("the CA {url} is not reached"))
            .detail(why)
            .fix(format!("curl -v '{url}'")),
    }
}

/// By the first CA that says its time.
pub(in crate::cli::doctor) fn clock(authorities: &[Authority], system: System) -> Finding {
    let finding = |status, what: String| Finding::new("clock", status, what);
    let told = authorities.iter().find_map(|authority| {
        let date = authority.reached.as_ref().ok()?.date?;
        Some((&authority.url, date, authority.now))
    });
    let Some((url, date, now)) = told else {
        return finding(
            Status::Unknown,
            "the clock was not compared: no CA told the time".to_owned(),
        )
        .fix(match system {
            System::Darwin => "sntp time.apple.com",
            System::Linux | System::OtherUnix => "timedatectl",
        });
    };
    let (off, direction) = match now.duration_since(date) {
        Ok(ahead) => (ahead, "ahead"),
        Err(behind) => (behind.duration(), "behind"),
    };
    if off <= CLOCK_SLACK {
        return finding(Status::Ok, format!("the clock agrees with that of {url}"));
    }
    let status = if off > CLOCK_WRONG {
        Status::Problem
    } else {
        Status::Warning
    };
    finding(
        status,
        format!(
            "the clock is {} s {direction} of that of {url}",
            off.as_secs()
        ),
    )
    .fix(match system {
        System::Darwin => "sudo sntp -sS time.apple.com",
        System::Linux | System::OtherUnix => "sudo timedatectl set-ntp true",
    })
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    fn authority(reached: Result<(u16, Option<u64>), &str>) -> Authority {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        Authority {
            url: "https://ca.test/dir".to_owned(),
            reached: reached
                .map(|(status, date)| Reached {
                    status: StatusCode::from_u16(status).unwrap(),
                    date: date.map(at),
                })
                .map_err(str::to_owned),
            now: at(1_000_000),
        }
    }

    #[test]
    fn a_ca_answers_or_why_not() {
        assert_eq!(judge(&authority(Ok((200, None)))).status, Status::Ok);
        assert_eq!(judge(&authority(Ok((503, None)))).status, Status::Problem);
        let lost = judge(&authority(Err("connection refused")));
        assert_eq!(lost.detail.unwrap(), "connection refused");
        assert_eq!(lost.fix.unwrap(), "curl -v 'https://ca.test/dir'");
    }

    #[test]
    fn clocks_are_compared_with_patience() {
        #[track_caller]
        fn check(date: Option<u64>, expected: Status) -> Finding {
            let authorities = [authority(Err("x")), authority(Ok((200, date)))];
            let finding = clock(&authorities, System::Linux);
            assert_eq!(finding.status, expected);
            finding
        }
        check(None, Status::Unknown);
        check(Some(999_980), Status::Ok);
        check(Some(1_000_060), Status::Warning);
        let ahead = check(Some(990_000), Status::Problem);
        assert!(ahead.what.contains("10000 s ahead"), "{ahead:?}");
    }
}

//! Whether a onedoor serves here, and whether it can be talked to.

use crate::cli::doctor::finding::{Finding, Status};

/// What is found at the control socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli::doctor) enum Holder {
    Serving {
        pid: u32,
        version: String,
    },
    /// It starts or drains.
    NotReady {
        pid: u32,
        version: String,
    },
    Nobody,
    /// A socket lies there, and nobody is behind it.
    Stale,
    /// Somebody is there, and does not answer.
    Silent,
    /// Whoever is there is not to be believed, in words.
    Strange(String),
}

impl Holder {
    pub(in crate::cli::doctor) fn pid(&self) -> Option<u32> {
        match self {
            Self::Serving { pid, .. } | Self::NotReady { pid, .. } => Some(*pid),
            Self::Nobody | Self::Stale | Self::Silent | Self::Strange(_) => None,
        }
    }
}

/// `socket` and `lock` are as a shell takes them; `own` is the version of this program.
pub(in crate::cli::doctor) fn judge(
    holder: &Holder,
    socket: &str,
    lock: &str,
    own: &str,
) -> Finding {
    let finding = |status, what: String| Finding::new("control", status, what);
    match holder {
        Holder::Serving { pid, version } if version != own => finding(
            Status::Warning,
            format!("onedoor {version} serves (pid {pid}), and this is {own}"),
        )
        .fix("onedoor restart"),
        Holder::Serving { pid, .. } => {
            finding(Status::Ok, format!("a onedoor serves here (pid {pid})"))
        }
        Holder::NotReady { pid, .. } => finding(
            Status::Warning,
            format!("a onedoor (pid {pid}) is starting or draining"),
        )
        .fix("onedoor doctor"),
        Holder::Nobody => finding(Status::Ok, "no onedoor serves here now".to_owned()),
        Holder::Stale => finding(
            Status::Warning,
            "a onedoor that was killed left its control socket".to_owned(),
        )
        .detail("the next `onedoor up` removes it by itself")
        .fix(format!("rm {socket}")),
        Holder::Silent => finding(
            Status::Problem,
            "whoever has the control socket does not answer".to_owned(),
        )
        .fix(format!("fuser -v {lock}")),
        Holder::Strange(why) => finding(
            Status::Problem,
            "whoever has the control socket is not a onedoor of yours".to_owned(),
        )
        .detail(why)
        .fix(format!("ls -la {socket}")),
    }
}

/// What a running door found out by connections to itself.
pub(in crate::cli::doctor) fn shadowed(shadows: &[String]) -> Vec<Finding> {
    let finding = |shadow: &String| {
        Finding::new("shadowed", Status::Problem, shadow.clone())
            .detail("whoever binds a more specific address takes its connections")
            .fix("onedoor status")
    };
    shadows.iter().map(finding).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shadowed_address_is_a_problem() {
        let told = "connections to 0.0.0.0:443 go to caddy (pid 7) instead of here".to_owned();
        let findings = shadowed(std::slice::from_ref(&told));
        assert_eq!(findings[0].status, Status::Problem);
        assert_eq!(findings[0].what, told);
        assert!(shadowed(&[]).is_empty());
    }

    #[test]
    fn every_state_of_the_socket_has_its_word() {
        #[track_caller]
        fn check(holder: &Holder, status: Status, fix: Option<&str>) {
            let finding = judge(holder, "/run/x/control.sock", "/run/x/lock", "1.2.0");
            assert_eq!((finding.status, finding.fix.as_deref()), (status, fix));
        }
        let serving = |version: &str| Holder::Serving {
            pid: 7,
            version: version.to_owned(),
        };
        check(&serving("1.2.0"), Status::Ok, None);
        check(&serving("1.1.0"), Status::Warning, Some("onedoor restart"));
        check(&Holder::Nobody, Status::Ok, None);
        check(
            &Holder::Stale,
            Status::Warning,
            Some("rm /run/x/control.sock"),
        );
        check(
            &Holder::Silent,
            Status::Problem,
            Some("fuser -v /run/x/lock"),
        );
        let strange = Holder::Strange("it belongs to user number 5".to_owned());
        check(
            &strange,
            Status::Problem,
            Some("ls -la /run/x/control.sock"),
        );
    }
}

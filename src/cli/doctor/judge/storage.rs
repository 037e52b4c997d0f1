//! Whether the storage keeps what is put there, and whether there are descriptors enough.

use crate::cli::doctor::finding::{Finding, Status};
use crate::storage::ephemeral::Ephemeral;
use crate::system::System;

/// What becomes of a file in the storage.
#[derive(Debug, Clone)]
pub(in crate::cli::doctor) struct Storage {
    /// As a shell takes it.
    pub(in crate::cli::doctor) folder: String,
    pub(in crate::cli::doctor) kind: Ephemeral,
    pub(in crate::cli::doctor) written: Written,
    pub(in crate::cli::doctor) orders: Orders,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli::doctor) enum Written {
    /// Written, read back and removed.
    Well,
    /// The folder is not there; its parent takes one.
    NotThereYet,
    /// Why not, in words.
    Refused(String),
}

/// Whether public certificates would be lost with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli::doctor) enum Orders {
    None,
    /// They are not ordered for that reason.
    HeldBack,
    /// The configuration accepts it.
    Accepted,
}

pub(in crate::cli::doctor) fn judge(storage: &Storage) -> Finding {
    let folder = &storage.folder;
    let finding = |status, what: String| Finding::new("storage", status, what);
    let volume = "docker run -v onedoor:/data …";
    match (&storage.written, storage.orders) {
        (Written::Refused(why), _) => finding(
            Status::Problem,
            format!("nothing can be written to the storage {folder}"),
        )
        .detail(why)
        .fix(format!("ls -ld {folder}")),
        (Written::Well | Written::NotThereYet, Orders::HeldBack) if storage.kind.is_lost() => {
            finding(
                Status::Problem,
                format!(
                    "no certificate is ordered: the storage {folder} is on {}",
                    storage.kind
                ),
            )
            .detail(
                "it goes when the container goes, and a CA gives only so many certificates a week",
            )
            .fix(volume)
        }
        (Written::Well | Written::NotThereYet, _) if storage.kind.is_lost() => finding(
            Status::Warning,
            format!(
                "the storage {folder} is on {}, and does not last",
                storage.kind
            ),
        )
        .detail("a new local CA at each start must be trusted again by every client")
        .fix(volume),
        (Written::NotThereYet, _) => finding(
            Status::Ok,
            format!("the storage will be {folder}, on {}", storage.kind),
        ),
        (Written::Well, _) => finding(
            Status::Ok,
            format!(
                "the storage {folder} is written and read, on {}",
                storage.kind
            ),
        ),
    }
}

/// The same for one that machines share; its name shows no secrets.
pub(in crate::cli::doctor) fn judge_shared(name: &str, written: &Written) -> Finding {
    let finding = |status, what: String| Finding::new("storage", status, what);
    match written {
        Written::Well | Written::NotThereYet => finding(
            Status::Ok,
            format!("the storage {name} is written and read"),
        ),
        Written::Refused(why) => finding(
            Status::Problem,
            format!(
                "the storage {name} cannot be used: what is known is served, nothing is ordered"
            ),
        )
        .detail(why),
    }
}

/// `hard` is as far as the limit may be raised, none: it is unlimited. `wanted` is how many connections the configuration allows.
pub(in crate::cli::doctor) fn descriptors(
    hard: Option<u64>,
    possible: usize,
    wanted: usize,
    system: System,
) -> Finding {
    let finding = |status, what: String| Finding::new("descriptors", status, what);
    let Some(hard) = hard else {
        return finding(Status::Ok, "files and sockets are not limited".to_owned());
    };
    if possible >= wanted {
        return finding(
            Status::Ok,
            format!("{hard} files and sockets are enough for {wanted} connections"),
        );
    }
    finding(
        Status::Warning,
        format!("{hard} files and sockets allow {possible} connections, not {wanted}"),
    )
    .detail("as LimitNOFILE= in a unit of systemd, or --ulimit nofile= for a container")
    .fix(match system {
        System::Darwin => "sudo launchctl limit maxfiles 65536 200000",
        System::Linux | System::OtherUnix => "sudo prlimit --nofile=65536 --pid $$",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storage_is_judged_by_what_it_keeps() {
        #[track_caller]
        fn check(kind: Ephemeral, written: Written, orders: Orders, expected: Status) {
            let folder = "/data/onedoor".to_owned();
            let storage = Storage {
                folder,
                kind,
                written,
                orders,
            };
            assert_eq!(judge(&storage).status, expected, "{storage:?}");
        }
        use Ephemeral::{Kept, Overlay, Tmpfs, Unknown};
        check(Kept, Written::Well, Orders::None, Status::Ok);
        check(Unknown, Written::NotThereYet, Orders::None, Status::Ok);
        check(Overlay, Written::Well, Orders::HeldBack, Status::Problem);
        check(Tmpfs, Written::Well, Orders::Accepted, Status::Warning);
        check(
            Kept,
            Written::Refused("full".to_owned()),
            Orders::None,
            Status::Problem,
        );
    }

    #[test]
    fn few_descriptors_are_told_with_what_they_allow() {
        assert_eq!(descriptors(None, 1, 2, System::Linux).status, Status::Ok);
        assert_eq!(
            descriptors(Some(100_000), 50_000, 20_000, System::Linux).status,
            Status::Ok
        );
        let few = descriptors(Some(1024), 480, 20_000, System::Darwin);
        assert_eq!(few.status, Status::Warning);
        assert!(few.what.contains("480"));
        assert!(few.fix.unwrap().contains("launchctl"));
    }
}

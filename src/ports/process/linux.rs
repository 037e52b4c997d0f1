//! Linux tells about processes in `/proc`.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use super::{account, fact, first_of_its_kind};
use crate::ports::holder::{Process, User};

/// Clock ticks a second in `/proc/PID/stat`: part of the kernel's ABI on every architecture we run on.
const USER_HZ: u64 = 100;
const SECOND: u64 = 1_000_000_000;

pub(super) fn look_at(pid: u32, name: String) -> Process {
    let pid = first_of_its_kind(pid, &name, |pid| namesake_above(pid, &name));
    Process {
        pid,
        name,
        user: fact(user(pid)),
        age: fact(age(pid)),
        directory: fact(fs::read_link(folder(pid).join("cwd")).ok()),
        command: fact(command(pid)),
        unit: unit(pid),
    }
}

pub(super) fn name_of(pid: u32) -> Option<String> {
    let name = fs::read_to_string(folder(pid).join("comm")).ok()?;
    Some(name.trim_end().to_owned())
}

/// None for an account that is not in the local file.
pub(super) fn account_name(uid: u32) -> Option<String> {
    name_in(&fs::read_to_string("/etc/passwd").ok()?, uid)
}

fn folder(pid: u32) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}"))
}

fn namesake_above(pid: u32, name: &str) -> Option<u32> {
    let parent = parent(&stat(pid)?)?;
    let same = stat(parent)?.contains(&format!("({name})"));
    same.then_some(parent)
}

fn stat(pid: u32) -> Option<String> {
    fs::read_to_string(folder(pid).join("stat")).ok()
}

fn user(pid: u32) -> Option<User> {
    let status = fs::read_to_string(folder(pid).join("status")).ok()?;
    let uids = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    let uid = uids.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(account(uid))
}

fn age(pid: u32) -> Option<Duration> {
    let uptime = fs::read_to_string("/proc/uptime").ok()?;
    let uptime: f64 = uptime.split_ascii_whitespace().next()?.parse().ok()?;
    let uptime = Duration::try_from_secs_f64(uptime).ok()?;
    uptime.checked_sub(started(&stat(pid)?)?)
}

fn command(pid: u32) -> Option<Vec<String>> {
    let octets = fs::read(folder(pid).join("cmdline")).ok()?;
    let text = String::from_utf8_lossy(&octets);
    let words: Vec<String> = text.split_terminator('\0').map(str::to_owned).collect();
    (!words.is_empty()).then_some(words)
}

fn unit(pid: u32) -> Option<String> {
    service(&fs::read_to_string(folder(pid).join("cgroup")).ok()?)
}

/// Fields are counted from behind the name, which may hold spaces and parentheses.
fn after_name(stat: &str) -> Option<&str> {
    stat.rsplit_once(')').map(|(_name, rest)| rest)
}

fn parent(stat: &str) -> Option<u32> {
    after_name(stat)?
        .split_ascii_whitespace()
        .nth(1)?
        .parse()
        .ok()
}

/// When the process began, counted from the start of the system.
fn started(stat: &str) -> Option<Duration> {
    let ticks: u64 = after_name(stat)?
        .split_ascii_whitespace()
        .nth(19)?
        .parse()
        .ok()?;
    Some(Duration::from_nanos(ticks.checked_mul(SECOND / USER_HZ)?))
}

fn name_in(accounts: &str, uid: u32) -> Option<String> {
    let uid = uid.to_string();
    accounts.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == uid).then(|| name.to_owned())
    })
}

/// The innermost systemd service; a user's own services come with the manager's unit before them.
fn service(cgroup: &str) -> Option<String> {
    let path = cgroup.lines().find_map(|line| {
        line.strip_prefix("0::").or_else(|| {
            line.split_once(":name=systemd:")
                .map(|(_number, path)| path)
        })
    })?;
    let last = path.rsplit('/').find(|part| part.ends_with(".service"))?;
    let users_manager = last.starts_with("user@");
    (!users_manager && path.ends_with(last)).then(|| {
        let by_user = path.contains("/user@");
        if by_user {
            format!("--user {last}")
        } else {
            last.to_owned()
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let stat = "42 (a) b) S 7 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 1500 1 1 1";
        assert_eq!(parent(stat), Some(7));
        assert_eq!(started(stat), Some(Duration::from_secs(15)));
        assert_eq!(started("42 (cut) S 7"), None);
    }

    #[test]
    fn an_account_is_found_by_its_number() {
        let accounts = "root:x:0:0::/root:/bin/sh\nana:x:1000:1000::/home/ana:/bin/sh\n";
        assert_eq!(name_in(accounts, 1000).as_deref(), Some("ana"));
        assert_eq!(name_in(accounts, 100), None);
        assert_eq!(name_in("broken", 0), None);
    }

    #[test]
    fn a_service_is_read_from_the_control_group() {
        #[track_caller]
        fn check(cgroup: &str, expected: Option<&str>) {
            assert_eq!(service(cgroup).as_deref(), expected);
        }
        check("0::/system.slice/caddy.service\n", Some("caddy.service"));
        check(
            "9:name=systemd:/system.slice/nginx.service\n0::/\n",
            Some("nginx.service"),
        );
        check(
            "0::/user.slice/user-1000.slice/user@1000.service/app.slice/shop.service",
            Some("--user shop.service"),
        );
        check("0::/user.slice/user-1000.slice/session-2.scope", None);
        check(
            "0::/user.slice/user-1000.slice/user@1000.service/app.slice/app-vte.scope",
            None,
        );
        check("0::/", None);
    }
}

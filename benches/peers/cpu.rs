//! CPU time of a process and its children, as the scheduler counts it: nanoseconds, not clock ticks.
//!
//! Work the kernel does in the process's name (its system calls, the loopback it drives) is in; what a thread used that has ended since is not.

use std::collections::HashMap;
use std::fs;
use std::time::Duration;

use anyhow::{Result, ensure};

const SETTLE_PAUSE: Duration = Duration::from_millis(20);
const SETTLE_READS_MAX: u32 = 15;

/// The process and all its descendants, the process first.
pub(crate) fn tree(root: u32) -> Vec<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for (pid, parent) in numbered("/proc").into_iter().filter_map(with_parent) {
        children.entry(parent).or_default().push(pid);
    }
    let mut found = vec![root];
    let mut next = 0;
    while let Some(pid) = found.get(next) {
        found.extend(children.remove(pid).unwrap_or_default());
        next += 1;
    }
    found
}

/// CPU time since the start of the process tree, once the processes have come to rest: work left over from the last load is counted to that load.
///
/// # Errors
/// The process is gone, or this kernel keeps no such count.
pub(crate) fn settled(root: u32) -> Result<Duration> {
    let mut before = total(root)?;
    for _ in 0..SETTLE_READS_MAX {
        std::thread::sleep(SETTLE_PAUSE);
        let after = total(root)?;
        if after == before {
            break;
        }
        before = after;
    }
    Ok(before)
}

fn total(root: u32) -> Result<Duration> {
    let nanoseconds = tree(root).into_iter().map(of_process).sum();
    ensure!(
        nanoseconds > 0,
        "no CPU time for process {root}: it is gone, or the kernel keeps no schedstat"
    );
    Ok(Duration::from_nanos(nanoseconds))
}

fn of_process(pid: u32) -> u64 {
    let threads = numbered(&format!("/proc/{pid}/task"));
    threads
        .into_iter()
        .filter_map(|thread| {
            fs::read_to_string(format!("/proc/{pid}/task/{thread}/schedstat")).ok()
        })
        .filter_map(|text| text.split_whitespace().next()?.parse::<u64>().ok())
        .sum()
}

fn with_parent(pid: u32) -> Option<(u32, u32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in parentheses and may hold anything.
    let (_, fields) = stat.rsplit_once(')')?;
    Some((pid, fields.split_whitespace().nth(1)?.parse().ok()?))
}

fn numbered(directory: &str) -> Vec<u32> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

//! User memory of a process tree: anonymous and shared-anonymous pages by proportional share, swapped pages with them.
//!
//! Pages of programs and libraries are left out: they are shared with whoever else runs them. Socket buffers belong to the kernel and are not counted.

use std::fs;

use anyhow::{Context, Result};

use crate::cpu;

const COUNTED: [&str; 3] = ["Pss_Anon:", "Pss_Shmem:", "SwapPss:"];

/// KiB in use by the process and its children.
///
/// # Errors
/// The process is gone, or it belongs to somebody else.
pub(crate) fn kibibytes(root: u32) -> Result<u64> {
    let mut sum = 0;
    for pid in cpu::tree(root) {
        let path = format!("/proc/{pid}/smaps_rollup");
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
        sum += text.lines().filter_map(counted).sum::<u64>();
    }
    Ok(sum)
}

fn counted(line: &str) -> Option<u64> {
    let mut words = line.split_whitespace();
    let name = words.next()?;
    if !COUNTED.contains(&name) {
        return None;
    }
    words.next()?.parse().ok()
}

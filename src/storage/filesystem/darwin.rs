//! macOS names its file systems.

use rustix::fs::StatFs;

use super::FileSystem;

pub(super) fn kind(found: &StatFs) -> FileSystem {
    let octets = found
        .f_fstypename
        .iter()
        .map(|letter| letter.cast_unsigned());
    let name: Vec<u8> = octets.take_while(|octet| *octet != 0).collect();
    FileSystem::Named(String::from_utf8_lossy(&name).into_owned())
}
